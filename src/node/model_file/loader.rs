//! Loading: every shard takes its part of a model file before the work begins.

use super::STREAM_BYTES;
use crate::id::NodeId;
use crate::memory::MappedFile;
use crate::node::error::NodeError;
use crate::protocol::scheduler::Scheduler;
use crate::store::ModelView;
use crate::wire::{ModelRows, TableSpec, Task, TaskReply};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a job goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadPlan {
    /// A model file.
    pub path: PathBuf,
    /// Sent to the shards by the scheduler, even where they could read it themselves.
    pub streamed: bool,
}

/// Where a shard that does not see the file stands in it.
#[derive(Debug, Clone, Copy, Default)]
struct StreamPlace {
    section: usize,
    /// Index among the shard's ranges of the section's table.
    range: usize,
    /// Rows of that range that were sent.
    row: usize,
}

/// Loads a model into the shards.
#[derive(Debug)]
pub(crate) struct Loader {
    path: PathBuf,
    file: MappedFile,
    streamed: bool,
    waiting: BTreeSet<NodeId>,
    streams: BTreeMap<NodeId, StreamPlace>,
}

impl Loader {
    /// Opens and checks the file against the job's tables.
    pub(crate) fn open(plan: &LoadPlan, tables: &[TableSpec], shards: &[NodeId]) -> Result<Loader, NodeError> {
        let path = plan.path.canonicalize().unwrap_or_else(|_| plan.path.clone());
        let file = MappedFile::open(&path).map_err(|source| NodeError::File {
            what: "cannot read the model",
            path: path.clone(),
            source,
        })?;
        let wrong = |reason: String| NodeError::Content { path: path.clone(), reason };
        let model = ModelView::open(&file).map_err(|error| wrong(error.to_string()))?;
        model.verify().map_err(|error| wrong(error.to_string()))?;
        check_tables(&model, tables).map_err(wrong)?;
        let waiting = shards.iter().copied().collect();
        Ok(Loader { path, file, streamed: plan.streamed, waiting, streams: BTreeMap::new() })
    }

    /// Whether every shard has its part.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Asks every shard to load its part, or begins to send it; true when none has a part.
    pub(crate) fn begin(&mut self, scheduler: &mut Scheduler) -> Result<bool, NodeError> {
        let header_crc32 = self.model()?.header_crc32();
        let path = self.path.to_string_lossy().into_owned();
        if self.streamed {
            let shards = self.waiting.clone();
            shards.into_iter().try_for_each(|shard| self.send_rows(scheduler, shard, StreamPlace::default()))?;
            return Ok(self.is_done());
        }
        for &shard in &self.waiting {
            scheduler.begin_task(shard, Task::Load { path: path.clone(), header_crc32 });
        }
        Ok(false)
    }

    /// Takes a shard's answer; true when all have their parts.
    pub(crate) fn on_reply(
        &mut self,
        scheduler: &mut Scheduler,
        shard: NodeId,
        reply: &TaskReply,
    ) -> Result<bool, NodeError> {
        match reply {
            TaskReply::NotShared => self.send_rows(scheduler, shard, StreamPlace::default())?,
            TaskReply::Loaded { .. } => match self.streams.remove(&shard) {
                Some(place) => self.send_rows(scheduler, shard, place)?,
                None => {
                    self.waiting.remove(&shard);
                }
            },
            // What belongs to saving does not come here; a failure has ended the job already.
            _ => {}
        }
        Ok(self.is_done())
    }

    /// Sends the next rows that a shard owns, or ends with it.
    fn send_rows(&mut self, scheduler: &mut Scheduler, shard: NodeId, mut place: StreamPlace) -> Result<(), NodeError> {
        let (partition, tables) = (scheduler.partition().clone(), scheduler.job().tables.clone());
        let model = self.model()?;
        while let Some(section) = model.sections().get(place.section) {
            let spec = &tables[section.table];
            let Some(&range) = partition.owned_by(shard, spec.key_end).get(place.range) else {
                place = StreamPlace { section: place.section + 1, ..StreamPlace::default() };
                continue;
            };
            let rows = section.rows(range);
            let row_bytes = 8 + spec.value_size() + rows.state_size();
            let count = (STREAM_BYTES / row_bytes).max(1).min(rows.keys.len() - place.row);
            if count == 0 {
                place = StreamPlace { range: place.range + 1, row: 0, ..place };
                continue;
            }
            let part = rows.slice(place.row..place.row + count);
            place.row += count;
            let task = Task::LoadRows(ModelRows {
                table: section.table as u16,
                keys: part.keys.to_vec(),
                values: part.values.to_vec(),
                state: part.state.map(<[u8]>::to_vec),
            });
            scheduler.begin_task(shard, task);
            self.streams.insert(shard, place);
            return Ok(());
        }
        self.waiting.remove(&shard);
        Ok(())
    }

    fn model(&self) -> Result<ModelView<'_>, NodeError> {
        ModelView::open(&self.file)
            .map_err(|error| NodeError::Content { path: self.path.clone(), reason: error.to_string() })
    }
}

/// Whether a model's tables can be loaded into a job's.
fn check_tables(model: &ModelView<'_>, tables: &[TableSpec]) -> Result<(), String> {
    let meta = &model.meta().tables;
    if meta.len() != tables.len() {
        return Err(format!("a model of {} tables, the job has {}", meta.len(), tables.len()));
    }
    for (own, wanted) in meta.iter().zip(tables) {
        if (own.dtype, own.width) != (wanted.dtype, wanted.width) {
            return Err(format!(
                "table '{}' holds {} x {} per key, the job {} x {}",
                own.name, own.width, own.dtype, wanted.width, wanted.dtype
            ));
        }
        if own.key_end > wanted.key_end {
            return Err(format!(
                "table '{}' has keys below {}, the job below {}: give --key-end or --bits as for the model",
                own.name, own.key_end, wanted.key_end
            ));
        }
    }
    Ok(())
}
