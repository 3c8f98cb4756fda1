//! Saving: count, lay out, write in parallel, finish.

use super::STREAM_BYTES;
use super::temporary::TemporaryFile;
use crate::id::{JobId, NodeId};
use crate::node::config::random;
use crate::node::error::NodeError;
use crate::node::thread::start_thread;
use crate::protocol::scheduler::Scheduler;
use crate::store::{ModelLayout, ModelMeta, Part, PartChecksums, StoreError, TableMeta};
use crate::transport::Waker;
use crate::wire::{SaveTask, SectionInfo, Task, TaskReply};
use crc32fast::Hasher;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, TryRecvError};

/// What is saved where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavePlan {
    /// The model's final place.
    pub path: PathBuf,
    /// Also the update state.
    pub with_state: bool,
    /// Through the scheduler, even where servers see its folder.
    pub streamed: bool,
    /// What the learning program wants remembered, by name.
    pub notes: Vec<(String, String)>,
}

/// One section of one shard: where it goes, and what was written of it.
#[derive(Debug)]
struct Place {
    shard: NodeId,
    /// Index among the shard's own sections.
    index: u32,
    info: SectionInfo,
    offsets: [u64; 3],
    written: Option<PartChecksums>,
}

/// A shard's array on its way through the scheduler.
#[derive(Debug)]
struct Stream {
    place: usize,
    array: u8,
    offset: u64,
    hasher: Hasher,
    crc32: [u32; 3],
}

/// Saves the model of a job whose work is done.
#[derive(Debug)]
pub(crate) struct Saver {
    plan: SavePlan,
    job: JobId,
    shards: Vec<NodeId>,
    counts: BTreeMap<NodeId, Vec<SectionInfo>>,
    layout: Option<ModelLayout>,
    file: Option<TemporaryFile>,
    places: Vec<Place>,
    streams: BTreeMap<NodeId, Stream>,
    placing: Option<mpsc::Receiver<std::io::Result<()>>>,
    waker: Waker,
    nonzero_count: Option<u64>,
}

impl Saver {
    pub(crate) fn new(plan: SavePlan, job: JobId, shards: Vec<NodeId>, waker: Waker) -> Saver {
        Saver {
            plan,
            job,
            shards,
            counts: BTreeMap::new(),
            layout: None,
            file: None,
            places: Vec::new(),
            streams: BTreeMap::new(),
            placing: None,
            waker,
            nonzero_count: None,
        }
    }

    /// Number of keys whose value is not zero, once the model stands at its final place.
    pub(crate) fn saved_nonzero_count(&self) -> Option<u64> {
        self.nonzero_count
    }

    /// Asks every shard to count.
    pub(crate) fn begin(&mut self, scheduler: &mut Scheduler) {
        let with_state = self.plan.with_state;
        self.shards.iter().for_each(|&shard| scheduler.begin_task(shard, Task::Count { with_state }));
    }

    /// Takes a shard's answer. After the last one the model is put in its place.
    pub(crate) fn on_reply(
        &mut self,
        scheduler: &mut Scheduler,
        shard: NodeId,
        reply: TaskReply,
    ) -> Result<(), NodeError> {
        match reply {
            TaskReply::Sections(sections) if self.layout.is_none() => {
                self.counts.insert(shard, sections);
                if self.counts.len() == self.shards.len() {
                    self.lay_out(scheduler)?;
                }
            }
            TaskReply::Sections(sections) => self.on_written(shard, &sections),
            TaskReply::NotShared => self.stream_next(scheduler, shard, None),
            TaskReply::Part(bytes) => self.on_part(scheduler, shard, &bytes)?,
            // What belongs to loading does not come here; a failure has ended the job already.
            TaskReply::Loaded { .. } | TaskReply::Failed { .. } => {}
        }
        let complete = self.layout.is_some() && self.places.iter().all(|place| place.written.is_some());
        if complete { self.finish() } else { Ok(()) }
    }

    fn lay_out(&mut self, scheduler: &mut Scheduler) -> Result<(), NodeError> {
        let tables = scheduler.job().tables.iter().map(TableMeta::of).collect();
        let meta = ModelMeta { tables, metadata: self.plan.notes.clone() };
        self.places = self.counts.iter().flat_map(|(&shard, sections)| places_of(shard, sections)).collect();
        self.places.sort_by_key(|place| (place.info.table, place.info.range.begin));
        let parts: Vec<Part> = self.places.iter().map(part_of).collect();
        let layout = ModelLayout::new(&meta, &parts, self.plan.with_state).map_err(|error| self.wrong(&error))?;
        for (place, laid_out) in self.places.iter_mut().zip(layout.places()) {
            place.offsets = laid_out.offsets;
        }
        let nonce = u64::from_le_bytes(random()?);
        let file = TemporaryFile::create(&self.plan.path, self.job).map_err(|source| self.unwritable(source))?;
        let prepared =
            file.file().set_len(layout.file_bytes()).and_then(|()| file.file().write_all_at(&nonce.to_le_bytes(), 0));
        prepared.map_err(|source| self.unwritable(source))?;
        let path = file.path().to_string_lossy().into_owned();
        (self.layout, self.file) = (Some(layout), Some(file));
        if self.plan.streamed {
            let shards = self.shards.clone();
            shards.into_iter().for_each(|shard| self.stream_next(scheduler, shard, None));
            return Ok(());
        }
        for &shard in &self.shards {
            let mut own: Vec<&Place> = self.places.iter().filter(|place| place.shard == shard).collect();
            own.sort_by_key(|place| place.index);
            let task = SaveTask {
                path: path.clone(),
                nonce,
                with_state: self.plan.with_state,
                offsets: own.into_iter().map(|place| place.offsets).collect(),
            };
            scheduler.begin_task(shard, Task::Save(task));
        }
        Ok(())
    }

    fn on_written(&mut self, shard: NodeId, sections: &[SectionInfo]) {
        for place in self.places.iter_mut().filter(|place| place.shard == shard) {
            if let Some(section) = sections.get(place.index as usize) {
                place.written = Some(PartChecksums { key_count: section.key_count, crc32: section.crc32 });
            }
        }
    }

    /// Asks for the next part of a shard's arrays: of the one under way, or the first of the next section.
    fn stream_next(&mut self, scheduler: &mut Scheduler, shard: NodeId, under_way: Option<Stream>) {
        let next = || {
            let open = |place: &Place| place.shard == shard && place.written.is_none();
            let place = self.places.iter().position(open)?;
            Some(Stream { place, array: 0, offset: 0, hasher: Hasher::new(), crc32: [0; 3] })
        };
        let Some(stream) = under_way.or_else(next) else { return };
        let task = Task::Stream {
            with_state: self.plan.with_state,
            section: self.places[stream.place].index,
            array: stream.array,
            offset: stream.offset,
            bytes: STREAM_BYTES as u32,
        };
        scheduler.begin_task(shard, task);
        self.streams.insert(shard, stream);
    }

    fn on_part(&mut self, scheduler: &mut Scheduler, shard: NodeId, bytes: &[u8]) -> Result<(), NodeError> {
        let Some(mut stream) = self.streams.remove(&shard) else { return Ok(()) };
        let place = &mut self.places[stream.place];
        if let Some(file) = &self.file {
            let offset = place.offsets[usize::from(stream.array)] + stream.offset;
            let written = file.file().write_all_at(bytes, offset);
            written.map_err(|source| unwritable(&self.plan.path, source))?;
        }
        stream.hasher.update(bytes);
        stream.offset += bytes.len() as u64;
        if bytes.len() == STREAM_BYTES {
            self.stream_next(scheduler, shard, Some(stream));
            return Ok(());
        }
        stream.crc32[usize::from(stream.array)] = std::mem::take(&mut stream.hasher).finalize();
        (stream.array, stream.offset) = (stream.array + 1, 0);
        if stream.array < 3 {
            self.stream_next(scheduler, shard, Some(stream));
        } else {
            place.written = Some(PartChecksums { key_count: place.info.key_count, crc32: stream.crc32 });
            self.stream_next(scheduler, shard, None);
        }
        Ok(())
    }

    /// Writes the header and lets a thread of its own flush the file and put it in its place: a disk
    /// may take longer for that than a scheduler may be silent.
    fn finish(&mut self) -> Result<(), NodeError> {
        let (Some(layout), Some(mut file)) = (&self.layout, self.file.take()) else { return Ok(()) };
        let checksums: Vec<PartChecksums> = self.places.iter().filter_map(|place| place.written).collect();
        let header = layout.header_bytes(&checksums).map_err(|error| self.wrong(&error))?;
        file.file().write_all_at(&header, 0).map_err(|source| self.unwritable(source))?;
        let waker = self.waker.clone();
        let (sender, placed) = mpsc::channel();
        start_thread("model", move || {
            let outcome = file.place();
            // A file that could not be placed is removed before it is told.
            drop(file);
            // A scheduler that has ended meanwhile does not listen, and need not.
            let _ = sender.send(outcome);
            waker.wake();
        })?;
        self.placing = Some(placed);
        Ok(())
    }

    /// Hears of the thread that puts the model in its place; true when it is there.
    pub(crate) fn poll_placed(&mut self) -> Result<bool, NodeError> {
        let placed = match self.placing.as_ref().map(mpsc::Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => return Ok(false),
            Some(Ok(placed)) => placed,
            Some(Err(TryRecvError::Disconnected)) => Err(std::io::Error::other("its writer broke an invariant")),
        };
        self.placing = None;
        placed.map_err(|source| self.unwritable(source))?;
        self.nonzero_count = Some(self.places.iter().map(|place| place.info.nonzero_count).sum());
        Ok(true)
    }

    fn wrong(&self, error: &StoreError) -> NodeError {
        NodeError::Content { path: self.plan.path.clone(), reason: format!("the model cannot be laid out: {error}") }
    }

    fn unwritable(&self, source: std::io::Error) -> NodeError {
        unwritable(&self.plan.path, source)
    }
}

fn unwritable(path: &std::path::Path, source: std::io::Error) -> NodeError {
    NodeError::File { what: "cannot write the model", path: path.to_owned(), source }
}

fn places_of(shard: NodeId, sections: &[SectionInfo]) -> impl Iterator<Item = Place> + use<> {
    let sections = sections.to_vec();
    (0..).zip(sections).map(move |(index, info)| Place { shard, index, info, offsets: [0; 3], written: None })
}

fn part_of(place: &Place) -> Part {
    Part { table: u32::from(place.info.table), range: place.info.range, key_count: place.info.key_count }
}
