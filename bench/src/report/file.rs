//! Rows as JSON and CSV.

use super::Report;
use anyhow::Result;
use parashard::error::{ExitCode, Failure};
use serde_json::Value;
use std::path::Path;

impl Report {
    /// An array with one object a row; each names the machine, so that rows can be laid together.
    pub(super) fn to_json(&self) -> Result<String> {
        let rows = self.rows.iter().map(|row| {
            let mut object = row.to_object();
            object.insert("machine".to_owned(), self.machine.to_json());
            Value::Object(object)
        });
        Ok(serde_json::to_string_pretty(&rows.collect::<Vec<_>>())? + "\n")
    }

    /// A line of names, then one line a row; a field that a row has not is empty.
    pub(super) fn to_csv(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| row.all()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut text = names.join(",") + "\n";
        for row in &self.rows {
            let cells: Vec<String> = names.iter().map(|name| cell(row.field(name))).collect();
            text += &(cells.join(",") + "\n");
        }
        text
    }
}

fn cell(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Some(Value::String(text)) => text,
        Some(Value::Array(list)) => format!("\"{}\"", Value::Array(list).to_string().replace('"', "\"\"")),
        Some(other) => other.to_string(),
    }
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let wrong = |error| Failure::new(ExitCode::CannotStart, format!("{}: cannot be written: {error}", path.display()));
    Ok(std::fs::write(path, text).map_err(wrong)?)
}
