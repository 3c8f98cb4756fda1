//! The drawing: a line through the sizes of each name, or one bar a row.

use super::chart::{self, Chart};
use super::table::rounded;
use super::{Report, Row};
use anyhow::{Result, anyhow};
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;
use serde_json::Value;

const SIZE: (u32, u32) = (960, 600);
pub(super) const FONT: &str = "sans-serif";
/// Colours that differ in lightness too.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(140, 86, 75),
];

/// Width of the legend at the right of the lines.
const LEGEND_WIDTH: u32 = 260;
/// Height of a line of the legend.
pub(super) const LEGEND_HEIGHT: i32 = 20;
/// Height of a bar with its distance to the next.
const BAR_HEIGHT: i32 = 26;

/// What the drawing shows.
pub(crate) enum Plot {
    /// The rate over a size, both in powers of ten; rows of one name, and of one value of each field
    /// in `series`, make a line, and so do their limits, dashed.
    Lines { x: &'static str, series: &'static [&'static str] },
    /// A field, one bar a row; `label` are the fields that tell rows apart.
    Bars { y: &'static str, label: &'static [&'static str] },
    /// Charts of their own, two beside each other.
    Charts(Vec<Chart>),
}

/// Points of rows that belong together.
struct Line {
    /// Lines of one name have one colour and one shape of points.
    name: String,
    label: String,
    points: Vec<(f64, f64)>,
}

impl Report {
    pub(super) fn to_svg(&self) -> Result<String> {
        let mut text = String::new();
        {
            let height = match &self.plot {
                Plot::Lines { x, series } => {
                    let entries = self.lines(x, series).len() + self.limits(x).len();
                    SIZE.1.max(120 + LEGEND_HEIGHT as u32 * u32::try_from(entries)?)
                }
                Plot::Bars { .. } => 120 + BAR_HEIGHT as u32 * u32::try_from(self.rows.len())?,
                Plot::Charts(charts) => 80 + chart::HEIGHT * u32::try_from(charts.len().div_ceil(2))?,
            };
            let width = if matches!(self.plot, Plot::Charts(_)) { 2 * chart::WIDTH } else { SIZE.0 };
            let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
            self.draw(&area).map_err(|error| anyhow!("cannot draw: {error}"))?;
        }
        Ok(text)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        area.fill(&WHITE)?;
        let area = area.margin(12, 12, 12, 12);
        let (head, body) = area.split_vertically(56);
        head.draw(&Text::new(self.title.clone(), (4, 4), (FONT, 20)))?;
        head.draw(&Text::new(self.machine.to_string(), (4, 32), (FONT, 13).into_font().color(&BLACK.mix(0.6))))?;
        match &self.plot {
            Plot::Lines { x, series } => self.draw_lines(&body, x, series),
            Plot::Bars { y, label } => self.draw_bars(&body, y, label),
            Plot::Charts(charts) => chart::draw(charts, &body),
        }
    }

    fn draw_lines(&self, area: &Area<'_>, x: &str, series: &[&str]) -> Drawn {
        let (lines, limits) = (self.lines(x, series), self.limits(x));
        let names = distinct(lines.iter().map(|line| line.name.as_str()));
        let points = || lines.iter().chain(&limits).flat_map(|line| &line.points);
        let (x_range, y_range) = (span(points().map(|point| point.0)), span(points().map(|point| point.1)));
        let (left, legend) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH - 24);
        let mut chart = ChartBuilder::on(&left)
            .x_label_area_size(44)
            .y_label_area_size(70)
            .build_cartesian_2d(x_range.log_scale(), y_range.log_scale())?;
        let y_name = self.rows.iter().map(|row| row.rate_unit).find(|unit| !unit.is_empty()).unwrap_or_default();
        chart
            .configure_mesh()
            .x_desc(x.replace('_', " "))
            .y_desc(y_name)
            .label_style((FONT, 13))
            .axis_desc_style((FONT, 15))
            .x_label_formatter(&|size| short(*size))
            .y_label_formatter(&|rate| short(*rate))
            .light_line_style(BLACK.mix(0.05))
            .draw()?;
        let mut top = 8;
        let mut explain = |label: &str, turn: Option<usize>, style: ShapeStyle| {
            legend.draw(&PathElement::new([(12, top + 7), (34, top + 7)], style))?;
            if let Some(turn) = turn {
                mark(&legend, (23, top + 7), turn, style.color.filled())?;
            }
            legend.draw(&Text::new(label.to_owned(), (42, top), (FONT, 13)))?;
            top += LEGEND_HEIGHT;
            Drawn::Ok(())
        };
        for (index, line) in lines.iter().enumerate() {
            let (colour, turn) = colour(&names, &line.name);
            let is_first = lines[..index].iter().all(|other| other.name != line.name);
            let style = if is_first { colour.stroke_width(3) } else { colour.mix(0.6).stroke_width(1) };
            chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
            let points = chart.plotting_area();
            line.points.iter().try_for_each(|&point| mark(points, point, turn, colour.filled()))?;
            explain(&line.label, Some(turn), style)?;
        }
        for line in &limits {
            let dashed = DashedLineSeries::new(line.points.iter().copied(), 5, 5, BLACK.stroke_width(1));
            chart.draw_series(dashed)?;
            explain(&line.label, None, BLACK.mix(0.4).stroke_width(1))?;
        }
        Ok(())
    }

    /// Rates, one line for each name and value of the fields in `series`.
    fn lines(&self, x: &str, series: &[&str]) -> Vec<Line> {
        let mut lines = Vec::new();
        for row in &self.rows {
            if let Some(point) = number(row, x).zip(row.rate) {
                add_point(&mut lines, &row.name, label(row, series), point);
            }
        }
        lines
    }

    /// What limits them; one line for all names with the same.
    fn limits(&self, x: &str) -> Vec<Line> {
        let mut limits = Vec::new();
        for row in &self.rows {
            if let Some(point) = number(row, x).zip(row.limit) {
                add_point(&mut limits, row.limit_name, row.name.clone(), point);
            }
        }
        let mut merged: Vec<Line> = Vec::new();
        for limit in limits {
            match merged.iter_mut().find(|other| other.points == limit.points) {
                // The legend has no room for all of them.
                Some(other) if other.label.ends_with('…') => {}
                Some(other) => other.label += ", …",
                None => merged.push(limit),
            }
        }
        merged.iter_mut().for_each(|line| line.label = format!("{}: {}", line.name, line.label));
        merged
    }

    fn draw_bars(&self, area: &Area<'_>, y: &str, fields: &[&str]) -> Drawn {
        let bar = |row| Some((row, label(row, fields), number(row, y)?));
        let bars: Vec<(&Row, String, f64)> = self.rows.iter().filter_map(bar).collect();
        let names = distinct(self.rows.iter().map(|row| row.name.as_str()));
        let longest = bars.iter().map(|(_, _, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let (width, _) = area.dim_in_pixel();
        // Text is measured by eye: the backend has no fonts.
        let name_width = 8 + 8 * bars.iter().map(|(_, name, _)| name.chars().count()).max().unwrap_or(0);
        let name_width = i32::try_from(name_width)?.min(i32::try_from(width)? / 2);
        let room = f64::from(i32::try_from(width)? - name_width - 90);
        for (index, (row, name, value)) in bars.iter().enumerate() {
            let top = 4 + BAR_HEIGHT * i32::try_from(index)?;
            let right = name_width + (room * value / longest) as i32;
            let (colour, _) = colour(&names, &row.name);
            area.draw(&Text::new(name.clone(), (4, top + 2), (FONT, 14)))?;
            area.draw(&Rectangle::new([(name_width, top), (right.max(name_width + 1), top + 18)], colour.filled()))?;
            area.draw(&Text::new(rounded(*value), (right + 6, top + 2), (FONT, 14)))?;
        }
        let bottom = 8 + BAR_HEIGHT * i32::try_from(bars.len())?;
        let unit = self.rows.first().filter(|_| y == "median").map_or("", |row| row.unit);
        let name = if y == "median" { self.median_name.to_owned() } else { y.replace('_', " ") };
        area.draw(&Text::new(format!("{name} {unit}"), (name_width, bottom), (FONT, 14)))?;
        Ok(())
    }
}

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn add_point(lines: &mut Vec<Line>, name: &str, label: String, point: (f64, f64)) {
    let index = lines.iter().position(|line| line.label == label).unwrap_or_else(|| {
        lines.push(Line { name: name.to_owned(), label, points: Vec::new() });
        lines.len() - 1
    });
    // Rows of several depths have one limit.
    if !lines[index].points.contains(&point) {
        lines[index].points.push(point);
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// The colour of a name, and how often all colours were used up before it.
fn colour(names: &[&str], name: &str) -> (RGBColor, usize) {
    let index = names.iter().position(|other| *other == name).unwrap_or(0);
    (COLOURS[index % COLOURS.len()], index / COLOURS.len())
}

/// Draws a point in the shape that tells names of one colour apart.
pub(super) fn mark<C>(area: &DrawingArea<SVGBackend<'_>, C>, at: C::From, turn: usize, style: ShapeStyle) -> Drawn
where
    C: CoordTranslate,
    C::From: Clone + 'static,
{
    match turn % 4 {
        0 => area.draw(&Circle::new(at, 3, style))?,
        1 => area.draw(&TriangleMarker::new(at, 6, style))?,
        2 => area.draw(&Cross::new(at, 4, style))?,
        _ => area.draw(&Circle::new(at, 5, style.color.stroke_width(1)))?,
    }
    Ok(())
}

/// A name, and what tells its rows apart.
fn label(row: &Row, fields: &[&str]) -> String {
    let values = fields.iter().filter_map(|field| match row.field(field)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        // One outstanding is the usual.
        other if *field == "depth" && other == 1 => None,
        other => Some(format!("{} {other}", field.replace('_', " "))),
    });
    std::iter::once(row.name.clone()).chain(values).collect::<Vec<_>>().join(", ")
}

fn number(row: &Row, field: &str) -> Option<f64> {
    row.field(field)?.as_f64().filter(|number| *number > 0.0)
}

/// A little more than from the smallest to the largest.
fn span(numbers: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = numbers.fold((f64::MAX, f64::MIN), |(low, high), number| (low.min(number), high.max(number)));
    if low > high { 1.0..10.0 } else { low / 1.3..high * 1.3 }
}

/// A number in as few letters as an axis has room for.
fn short(number: f64) -> String {
    let (number, letter) = match number {
        number if number >= 1e9 => (number / 1e9, "G"),
        number if number >= 1e6 => (number / 1e6, "M"),
        number if number >= 1e4 => (number / 1e3, "k"),
        number => (number, ""),
    };
    let text = rounded(number);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}
