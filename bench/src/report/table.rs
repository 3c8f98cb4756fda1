//! The aligned table on standard output.

use super::{Report, Row};
use serde_json::Value;

impl Report {
    /// Title, machine, one line a row, and what was left out.
    pub(crate) fn to_table(&self, runs: u16) -> String {
        let mut lines = vec![self.head()];
        lines.extend(self.rows.iter().map(|row| self.cells(row)));
        let columns = lines[0].len();
        let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let is_used = |column: usize| lines[1..].iter().any(|cells| !cells[column].is_empty());
        let used: Vec<(usize, usize)> =
            (0..columns).filter(|&column| is_used(column)).map(|column| (column, width(column))).collect();
        let medians = if runs == 1 { "one run".to_owned() } else { format!("medians of {runs} interleaved runs") };
        let mut text = format!("{}, {medians}\n{}\n\n", self.title, self.machine);
        for cells in &lines {
            let aligned = used.iter().map(|&(column, width)| match column {
                0 => format!("{:<width$}", cells[column]),
                _ => format!("{:>width$}", cells[column]),
            });
            text += aligned.collect::<Vec<_>>().join("  ").trim_end();
            text += "\n";
        }
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        text
    }

    fn head(&self) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| name.replace('_', " ")).collect::<Vec<_>>();
        let time = self.rows.first().map_or("us", |row| row.unit);
        let mut head = vec!["name".to_owned()];
        head.extend(own(self.before));
        head.extend([format!("{} {time}", self.median_name), format!("p99 {time}"), "rate".to_owned(), String::new()]);
        head.extend(["limit".to_owned(), "share".to_owned(), String::new()]);
        head.extend(own(self.after));
        head
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| shown(row.field(name))).collect::<Vec<_>>();
        let number = |number: Option<f64>| number.map_or(String::new(), rounded);
        let share = row.share_of_limit.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        let of = if share.is_empty() { String::new() } else { format!("of {}", row.limit_name) };
        let unit = if row.rate.is_some() { row.rate_unit.to_owned() } else { String::new() };
        let mut cells = vec![row.name.clone()];
        cells.extend(own(self.before));
        cells.extend([number(row.median), number(row.p99), number(row.rate), unit, number(row.limit), share, of]);
        cells.extend(own(self.after));
        cells
    }
}

/// A field as the table shows it.
fn shown(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) if number.is_f64() => number.as_f64().map_or(String::new(), rounded),
        Some(other) => other.to_string(),
    }
}

/// A number with three digits that mean something, or all of them before the point.
pub(super) fn rounded(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}
