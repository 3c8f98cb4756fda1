//! Charts with linear axes, two beside each other, each with its own legend.

use super::plot::{Area, COLOURS, Drawn, FONT, LEGEND_HEIGHT, mark};
use plotters::prelude::*;
use std::ops::Range;

/// Size of one chart with its legend.
pub(super) const WIDTH: u32 = 660;
pub(super) const HEIGHT: u32 = 380;
const LEGEND_WIDTH: u32 = 190;

/// Curves over one axis.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    /// What stands at 0, 1, 2 and so on; where there is none, numbers do.
    pub(crate) ticks: Vec<String>,
    pub(crate) curves: Vec<Curve>,
}

/// Points with a line through them.
pub(crate) struct Curve {
    pub(crate) label: String,
    /// Curves of one colour differ in being dashed.
    pub(crate) colour: usize,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws all of them.
pub(super) fn draw(charts: &[Chart], area: &Area<'_>) -> Drawn {
    let cells = area.split_evenly((charts.len().div_ceil(2), 2));
    charts.iter().zip(&cells).try_for_each(|(chart, cell)| chart.draw(cell))
}

impl Chart {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let (width, _) = area.dim_in_pixel();
        let (left, legend) = area.split_horizontally(width - LEGEND_WIDTH);
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let x_range = match self.ticks.len() {
            0 => span(points().map(|point| point.0)),
            count => -0.4..count as f64 - 0.6,
        };
        let mut chart = ChartBuilder::on(&left)
            .caption(&self.title, (FONT, 16))
            .margin(6)
            .x_label_area_size(40)
            .y_label_area_size(62)
            .build_cartesian_2d(x_range, span(points().map(|point| point.1)))?;
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_labels(self.ticks.len().max(8))
            .x_label_formatter(&|place| self.tick(*place))
            .y_label_formatter(&|value| plain(*value))
            .label_style((FONT, 12))
            .axis_desc_style((FONT, 14))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (index, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[curve.colour % COLOURS.len()];
            let style = colour.stroke_width(2);
            let top = 30 + LEGEND_HEIGHT * i32::try_from(index)?;
            if curve.dashed {
                chart.draw_series(DashedLineSeries::new(curve.points.iter().copied(), 5, 4, style))?;
                for begin in [8, 18, 28] {
                    legend.draw(&PathElement::new([(begin, top + 7), (begin + 6, top + 7)], style))?;
                }
            } else {
                chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
                legend.draw(&PathElement::new([(8, top + 7), (34, top + 7)], style))?;
            }
            let turn = curve.colour / COLOURS.len();
            let area = chart.plotting_area();
            curve.points.iter().try_for_each(|&point| mark(area, point, turn, colour.filled()))?;
            mark(&legend, (21, top + 7), turn, colour.filled())?;
            legend.draw(&Text::new(curve.label.clone(), (42, top), (FONT, 13)))?;
        }
        Ok(())
    }

    fn tick(&self, place: f64) -> String {
        if self.ticks.is_empty() {
            return plain(place);
        }
        let index = place.round();
        let is_near = (place - index).abs() < 0.01 && index >= 0.0;
        self.ticks.get(index as usize).filter(|_| is_near).cloned().unwrap_or_default()
    }
}

/// From the smallest to the largest and a little more; from 0 where that is not far.
fn span(numbers: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = numbers.fold((f64::MAX, f64::MIN), |(low, high), number| (low.min(number), high.max(number)));
    if low > high {
        return 0.0..1.0;
    }
    let more = ((high - low) * 0.05).max(1e-6);
    if low >= 0.0 && low < high * 0.5 { 0.0..high + more } else { low - more..high + more }
}

/// A number with at most three digits behind its point.
fn plain(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_begins_at_nought_where_that_is_not_far() {
        assert_eq!(span([0.2, 1.0].into_iter()), 0.0..1.04);
        assert!(span([0.5, 0.6].into_iter()).start > 0.49);
        assert_eq!(span(std::iter::empty()), 0.0..1.0);
    }
}
