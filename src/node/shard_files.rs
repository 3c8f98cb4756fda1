//! A shard's side of model files: it counts, writes its part of a file that the scheduler has laid
//! out, streams it where no directory is shared, and loads its part of a file.

use crate::error::ExitCode;
use crate::id::TableId;
use crate::keyspace::KeyRange;
use crate::memory::MappedFile;
use crate::protocol::server::Server;
use crate::store::{ArrayKind, ModelView, Table};
use crate::wire::{ModelRows, SaveTask, SectionInfo, Task, TaskReply};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// Carries out the scheduler's tasks; keeps the section that is being streamed in a file without a name.
#[derive(Debug, Default)]
pub(super) struct ShardFiles {
    streamed: Option<StreamedArray>,
}

/// One array of one section, encoded once and read in parts.
#[derive(Debug)]
struct StreamedArray {
    section: u32,
    array: u8,
    file: File,
    bytes: u64,
}

impl ShardFiles {
    /// Carries a task out.
    pub(super) fn carry_out(&mut self, server: &mut Server, task: Task) -> TaskReply {
        let what = task_words(&task);
        let outcome = match task {
            Task::Count { with_state } => Ok(TaskReply::Sections(count(server, with_state))),
            Task::Save(save) => write_sections(server, &save),
            Task::Stream { with_state, section, array, offset, bytes } => {
                self.stream(server, with_state, section, array, offset, bytes)
            }
            Task::Load { path, header_crc32 } => load_file(server, &path, header_crc32),
            Task::LoadRows(rows) => Ok(load_rows(server, &rows)),
        };
        outcome.unwrap_or_else(|error| failed(format!("{what}: {error}")))
    }

    fn stream(
        &mut self,
        server: &Server,
        with_state: bool,
        section: u32,
        array: u8,
        offset: u64,
        bytes: u32,
    ) -> io::Result<TaskReply> {
        let is_open = self.streamed.as_ref().is_some_and(|open| (open.section, open.array) == (section, array));
        if !is_open {
            self.streamed = Some(encode_array(server, with_state, section, array)?);
        }
        let Some(streamed) = &self.streamed else { return Ok(failed("nothing to stream".to_owned())) };
        let rest = streamed.bytes.saturating_sub(offset).min(u64::from(bytes));
        let mut part = vec![0; usize::try_from(rest).unwrap_or(0)];
        streamed.file.read_exact_at(&mut part, offset)?;
        Ok(TaskReply::Part(part))
    }
}

/// What an error of this task begins with.
fn task_words(task: &Task) -> String {
    match task {
        Task::Count { .. } => "cannot count its part of the model".to_owned(),
        Task::Save(save) => format!("cannot write its part of the model {}", save.path),
        Task::Stream { .. } => format!("cannot write its part of the model to {}", std::env::temp_dir().display()),
        Task::Load { path, .. } => format!("cannot read its part of the model {path}"),
        Task::LoadRows(_) => "cannot load its part of the model".to_owned(),
    }
}

fn failed(message: String) -> TaskReply {
    TaskReply::Failed { exit_code: ExitCode::CannotStart as u8, message }
}

/// Every owned range of every table, in the order that all tasks mean.
fn sections(server: &Server) -> Vec<(u16, KeyRange)> {
    let tables = 0..server.tables().count() as u16;
    tables.flat_map(|table| server.owned(TableId(table)).into_iter().map(move |range| (table, range))).collect()
}

fn table_of(server: &Server, table: u16) -> io::Result<&Table> {
    server.tables().nth(usize::from(table)).ok_or_else(|| io::Error::other("the job's tables are not known yet"))
}

fn count(server: &Server, with_state: bool) -> Vec<SectionInfo> {
    let info = |(table, range): (u16, KeyRange)| {
        let count = |with_state| table_of(server, table).map_or(0, |own| own.section_info(range, with_state).key_count);
        let (key_count, nonzero_count) = (count(with_state), count(false));
        SectionInfo { table, range, key_count, nonzero_count, crc32: [0; 3] }
    };
    sections(server).into_iter().map(info).collect()
}

/// Writes each section's arrays at their offsets of the scheduler's temporary file.
fn write_sections(server: &Server, save: &SaveTask) -> io::Result<TaskReply> {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(&save.path) else {
        return Ok(TaskReply::NotShared);
    };
    let mut nonce = [0; 8];
    if file.read_exact_at(&mut nonce, 0).is_err() || u64::from_le_bytes(nonce) != save.nonce {
        return Ok(TaskReply::NotShared);
    }
    let own = sections(server);
    if own.len() != save.offsets.len() {
        return Ok(failed(format!("{} sections to write, {} were laid out", own.len(), save.offsets.len())));
    }
    let mut written = Vec::with_capacity(own.len());
    for ((table, range), offsets) in own.into_iter().zip(&save.offsets) {
        let mut write =
            |kind: ArrayKind, offset: u64, bytes: &[u8]| file.write_all_at(bytes, offsets[kind as usize] + offset);
        let sums = table_of(server, table)?.write_part(range, save.with_state, &mut write)?;
        written.push(SectionInfo { table, range, key_count: sums.key_count, nonzero_count: 0, crc32: sums.crc32 });
    }
    file.sync_data()?;
    Ok(TaskReply::Sections(written))
}

fn encode_array(server: &Server, with_state: bool, section: u32, array: u8) -> io::Result<StreamedArray> {
    let (table, range) = sections(server)
        .get(section as usize)
        .copied()
        .ok_or_else(|| io::Error::other(format!("there is no section {section}")))?;
    let file = tempfile::tempfile()?;
    let mut bytes = 0;
    let mut write = |kind: ArrayKind, offset: u64, piece: &[u8]| {
        if kind as u8 != array {
            return Ok(());
        }
        bytes = offset + piece.len() as u64;
        file.write_all_at(piece, offset)
    };
    table_of(server, table)?.write_part(range, with_state, &mut write)?;
    Ok(StreamedArray { section, array, file, bytes })
}

/// Loads the owned rows of a model file that this shard sees as the scheduler does.
fn load_file(server: &mut Server, path: &str, header_crc32: u32) -> io::Result<TaskReply> {
    let Ok(file) = MappedFile::open(path.as_ref()) else { return Ok(TaskReply::NotShared) };
    let Ok(model) = ModelView::open(&file) else { return Ok(TaskReply::NotShared) };
    if model.header_crc32() != header_crc32 {
        return Ok(TaskReply::NotShared);
    }
    let mut key_count = 0;
    for (table, range) in sections(server) {
        for section in model.sections().iter().filter(|section| section.table == usize::from(table)) {
            let rows = section.rows(range);
            key_count += rows.keys.len() as u64;
            let Some(own) = server.table_mut(TableId(table)) else { continue };
            if let Err(error) = own.load(rows.keys, rows.values, rows.state) {
                return Ok(bad_model(format!("{path}: {error}")));
            }
        }
    }
    Ok(TaskReply::Loaded { key_count })
}

fn load_rows(server: &mut Server, rows: &ModelRows) -> TaskReply {
    let Some(table) = server.table_mut(TableId(rows.table)) else {
        return bad_model(format!("there is no table {}", rows.table));
    };
    match table.load(&rows.keys, &rows.values, rows.state.as_deref()) {
        Ok(()) => TaskReply::Loaded { key_count: rows.keys.len() as u64 },
        Err(error) => bad_model(error.to_string()),
    }
}

fn bad_model(message: String) -> TaskReply {
    TaskReply::Failed { exit_code: ExitCode::BadInput as u8, message }
}
