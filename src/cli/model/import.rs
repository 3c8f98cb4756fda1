//! `parashard model import`: the text is read into memory whole, checked line by line, then written.

use super::number::parse_number;
use super::{SectionLine, TEXT_VERSION};
use crate::cli::output::{Output, Stop, print};
use crate::error::{ExitCode, Failure};
use crate::learn::summary::grouped;
use crate::store::{KeyRange, ModelLayout, ModelMeta, Part, PartChecksums, TableMeta};
use clap::Args;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Zeros between arrays are written from these.
const ZEROS: [u8; 64] = [0; 64];

/// Arguments of `parashard model import`.
#[derive(Debug, Clone, Args)]
pub(super) struct ImportArguments {
    /// The text, as `parashard model export` writes it.
    #[arg(value_name = "TEXT")]
    text: PathBuf,
    /// Where the model goes.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Makes the model file.
pub(in crate::cli) fn run(arguments: &ImportArguments) -> Result<u8, Failure> {
    let text = read(&arguments.text)?;
    let keys: u64 = text.sections.iter().map(|section| section.keys).sum();
    Stop::exit_code(write(&text, &arguments.output))?;
    print(&format!("{}: {} keys\n", arguments.output.display(), grouped(keys)))
}

/// A model that was read from text.
#[derive(Debug, Default)]
struct Text {
    has_begun: bool,
    with_state: Option<bool>,
    meta: ModelMeta,
    sections: Vec<Section>,
}

/// The rows of one key range: arrays as the file has them.
#[derive(Debug)]
struct Section {
    table: u32,
    range: KeyRange,
    keys: u64,
    last_key: Option<u64>,
    arrays: [Vec<u8>; 3],
}

fn read(path: &Path) -> Result<Text, Failure> {
    let bad = |reason: String| Failure::new(ExitCode::BadInput, format!("{}{reason}", path.display()));
    let unreadable = |error: std::io::Error| bad(format!(": cannot be read: {error}"));
    let mut lines = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
    let (mut text, mut line, mut number) = (Text::default(), Vec::new(), 0u64);
    loop {
        line.clear();
        number += 1;
        if lines.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        let content = str::from_utf8(&line).map_err(|_| "it is no UTF-8 text".to_owned());
        let taken = content.and_then(|content| text.take(content.trim_end_matches(['\n', '\r'])));
        taken.map_err(|reason| bad(format!(":{number}: {reason}")))?;
    }
    match text.has_begun {
        true => Ok(text),
        false => Err(bad(": it is empty; give the text of `parashard model export`".to_owned())),
    }
}

fn json<T: DeserializeOwned>(value: &str) -> Result<T, String> {
    serde_json::from_str(value).map_err(|error| format!("{value:?} cannot be read: {error}"))
}

impl Text {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let header = line.strip_prefix("# ").and_then(|header| header.split_once(' '));
        if !self.has_begun {
            let Some(("parashard-model", version)) = header else {
                return Err("not a model's text: its first line is not `# parashard-model 1`".to_owned());
            };
            self.has_begun = true;
            return match json::<u32>(version)? {
                TEXT_VERSION => Ok(()),
                other => Err(format!("text of version {other}, this release reads version {TEXT_VERSION}")),
            };
        }
        match header {
            Some((name, value)) => self.take_header(name, value),
            None => self.take_row(line),
        }
    }

    fn take_header(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name != "section" && !self.sections.is_empty() {
            return Err(format!("`# {name}` must stand before the first section"));
        }
        match name {
            "state" => self.with_state = Some(json(value)?),
            "metadata" => self.meta.metadata.push(json(value)?),
            "table" => self.meta.tables.push(json::<TableMeta>(value)?),
            "section" => return self.begin_section(json(value)?),
            _ => return Err(format!("`# {name}` is no line of a model's text")),
        }
        Ok(())
    }

    /// A section that goes on where the last ended becomes one with it, as in every model file.
    fn begin_section(&mut self, line: SectionLine) -> Result<(), String> {
        let Some(table) = self.meta.tables.get(line.table as usize) else {
            return Err(format!("section of table {}, of which there are {}", line.table, self.meta.tables.len()));
        };
        if line.begin > line.end || line.end > table.key_end {
            return Err(format!(
                "section [{}, {}) lies outside the keys of table `{}`",
                line.begin, line.end, table.name
            ));
        }
        let range = KeyRange::new(line.begin, line.end);
        match self.sections.last_mut() {
            Some(last) if (last.table, last.range.end) > (line.table, line.begin) => {
                Err("sections must stand in the order of tables and keys".to_owned())
            }
            Some(last) if (last.table, last.range.end) == (line.table, line.begin) => {
                last.range.end = line.end;
                Ok(())
            }
            _ => {
                let arrays = Default::default();
                self.sections.push(Section { table: line.table, range, keys: 0, last_key: None, arrays });
                Ok(())
            }
        }
    }

    fn take_row(&mut self, line: &str) -> Result<(), String> {
        let Some(section) = self.sections.last_mut() else {
            return Err("a key before the first `# section`".to_owned());
        };
        let table = &self.meta.tables[section.table as usize];
        let mut words = line.split('\t');
        let word = words.next().unwrap_or_default();
        let key = word.parse::<u64>().map_err(|_| format!("{word:?} is no key"))?;
        if !section.range.contains(key) {
            return Err(format!("key {key} lies outside its section"));
        }
        if section.last_key.is_some_and(|last| last >= key) {
            return Err(format!("key {key} is not above the one before it"));
        }
        let width = usize::from(table.width);
        let state = if self.with_state == Some(true) { width * table.state_numbers() } else { 0 };
        let [keys, values, states] = &mut section.arrays;
        let mut count = 0;
        for word in words {
            match count < width {
                true => parse_number(table.dtype, word, values)?,
                false => parse_number(table.dtype.accumulator(), word, states)?,
            }
            count += 1;
        }
        if count != width + state {
            return Err(format!("key {key} has {count} numbers instead of {}", width + state));
        }
        keys.extend_from_slice(&key.to_le_bytes());
        section.last_key = Some(key);
        section.keys += 1;
        Ok(())
    }
}

fn write(text: &Text, path: &Path) -> Result<(), Stop> {
    let part = |section: &Section| Part { table: section.table, range: section.range, key_count: section.keys };
    let parts: Vec<Part> = text.sections.iter().map(part).collect();
    let layout = ModelLayout::new(&text.meta, &parts, text.with_state == Some(true))?;
    let checksums = text.sections.iter().map(|section| PartChecksums {
        key_count: section.keys,
        crc32: std::array::from_fn(|kind| crc32fast::hash(&section.arrays[kind])),
    });
    let header = layout.header_bytes(&checksums.collect::<Vec<_>>())?;
    let mut output = Output::open(Some(path))?;
    output.write(&header)?;
    let mut at = header.len() as u64;
    for (section, place) in text.sections.iter().zip(layout.places()) {
        for (array, &offset) in section.arrays.iter().zip(&place.offsets) {
            output.write(&ZEROS[..(offset - at) as usize])?;
            output.write(array)?;
            at = offset + array.len() as u64;
        }
    }
    output.finish()
}
