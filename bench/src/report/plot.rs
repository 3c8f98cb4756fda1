//! The drawing: a line through the sizes of each name, or one bar a row.

use super::table::rounded;
use super::{Report, Row};
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

const SIZE: (u32, u32) = (960, 600);
const FONT: &str = "sans-serif";
/// Colours that differ in lightness too.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(140, 86, 75),
];

/// What the drawing shows.
pub(crate) enum Plot {
    /// A field over the size of an operation, both in powers of ten; rows of one name, and of one
    /// value of each field in `series`, make a line. The limit is dashed.
    Lines { x: &'static str, y: &'static str, series: &'static [&'static str] },
    /// A field, one bar a row; `label` are the fields that tell rows apart.
    Bars { y: &'static str, label: &'static [&'static str] },
}

impl Report {
    pub(super) fn to_svg(&self) -> Result<String> {
        let mut text = String::new();
        {
            let height = match self.plot {
                Plot::Lines { .. } => SIZE.1,
                Plot::Bars { .. } => 120 + 26 * u32::try_from(self.rows.len())?,
            };
            let area = SVGBackend::with_string(&mut text, (SIZE.0, height)).into_drawing_area();
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
        match self.plot {
            Plot::Lines { x, y, series } => self.draw_lines(&body, x, y, series),
            Plot::Bars { y, label } => self.draw_bars(&body, y, label),
        }
    }

    fn draw_lines(&self, area: &Area<'_>, x: &str, y: &str, series: &[&str]) -> Drawn {
        let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for row in &self.rows {
            let Some(point) = number(row, x).zip(number(row, y)) else { continue };
            add_point(&mut lines, label(row, series), point);
        }
        let mut limits: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for row in self.rows.iter().filter(|row| row.share_of_limit.is_some()) {
            let Some(point) = number(row, x).zip(row.limit) else { continue };
            add_point(&mut limits, format!("limit: {}", row.limit_name), point);
        }
        let points = || lines.iter().chain(&limits).flat_map(|(_, points)| points);
        let (x_range, y_range) = (span(points().map(|point| point.0)), span(points().map(|point| point.1)));
        let mut chart = ChartBuilder::on(area)
            .x_label_area_size(44)
            .y_label_area_size(70)
            .right_y_label_area_size(20)
            .build_cartesian_2d(x_range.log_scale(), y_range.log_scale())?;
        let (x_name, y_name) = (x.replace('_', " "), y.replace('_', " "));
        chart
            .configure_mesh()
            .x_desc(x_name)
            .y_desc(y_name)
            .label_style((FONT, 13))
            .axis_desc_style((FONT, 15))
            .x_label_formatter(&|size| short(*size))
            .y_label_formatter(&|rate| rounded(*rate))
            .light_line_style(BLACK.mix(0.05))
            .draw()?;
        for (index, (name, points)) in lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let style = colour.stroke_width(if index < COLOURS.len() { 2 } else { 1 });
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            chart
                .draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?
                .label(name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        for (name, points) in &limits {
            let dashed = DashedLineSeries::new(points.iter().copied(), 5, 5, BLACK.stroke_width(1));
            let dots = |(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.mix(0.4).stroke_width(1));
            chart.draw_series(dashed)?.label(name.clone()).legend(dots);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font((FONT, 13))
            .draw()?;
        Ok(())
    }

    fn draw_bars(&self, area: &Area<'_>, y: &str, fields: &[&str]) -> Drawn {
        let bars: Vec<(String, f64)> =
            self.rows.iter().filter_map(|row| Some((label(row, fields), number(row, y)?))).collect();
        let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let (width, _) = area.dim_in_pixel();
        // Text is measured by eye: the backend has no fonts.
        let name_width = 8 + 8 * bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let name_width = i32::try_from(name_width)?.min(i32::try_from(width)? / 2);
        let room = f64::from(i32::try_from(width)? - name_width - 90);
        for (index, (name, value)) in bars.iter().enumerate() {
            let top = 4 + 26 * i32::try_from(index)?;
            let right = name_width + (room * value / longest) as i32;
            let colour = COLOURS[index % COLOURS.len()];
            area.draw(&Text::new(name.clone(), (4, top + 2), (FONT, 14)))?;
            area.draw(&Rectangle::new([(name_width, top), (right.max(name_width + 1), top + 18)], colour.filled()))?;
            area.draw(&Text::new(rounded(*value), (right + 6, top + 2), (FONT, 14)))?;
        }
        let bottom = 8 + 26 * i32::try_from(bars.len())?;
        area.draw(&Text::new(y.replace('_', " "), (name_width, bottom), (FONT, 14)))?;
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn add_point(lines: &mut Vec<(String, Vec<(f64, f64)>)>, name: String, point: (f64, f64)) {
    let index = lines.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
        lines.push((name, Vec::new()));
        lines.len() - 1
    });
    // Limits of several names at one size were measured together; one stands for all.
    if lines[index].1.last().is_none_or(|last| last.0 < point.0) {
        lines[index].1.push(point);
    }
}

/// A name, and what tells its rows apart.
fn label(row: &Row, fields: &[&str]) -> String {
    let values = fields.iter().filter_map(|field| match row.field(field)? {
        Value::Null => None,
        Value::String(text) => Some(text),
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

/// A size in as few letters as an axis has room for.
fn short(size: f64) -> String {
    match size {
        size if size >= 1e9 => format!("{}G", rounded(size / 1e9)),
        size if size >= 1e6 => format!("{}M", rounded(size / 1e6)),
        size if size >= 1e3 => format!("{}k", rounded(size / 1e3)),
        size => rounded(size),
    }
}
