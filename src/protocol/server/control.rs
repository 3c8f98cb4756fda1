//! What the scheduler says to a shard.

use super::step::Step;
use super::{Server, ServerEvent, TableState};
use crate::clock::RangeClock;
use crate::error::ExitCode;
use crate::filter;
use crate::id::Nanos;
use crate::keyspace::Partition;
use crate::protocol::machine::Output;
use crate::protocol::membership;
use crate::store::{StoreError, Table};
use crate::wire::{Consistency, ControlMessage, JobConfig, RxFrame, Shutdown, TableSpec, Task, TaskReply};

impl Server {
    pub(super) fn on_control(&mut self, now: Nanos, frame: &RxFrame) {
        self.membership.on_heard(now);
        match ControlMessage::from_frame(frame) {
            Ok(ControlMessage::Welcome { config, partition, .. }) => self.on_welcome(&config, partition),
            Ok(ControlMessage::Task { sequence, task }) => self.on_task(sequence, task),
            Ok(ControlMessage::Writer { sequence, writer, change }) => self.on_writer(sequence, writer, change),
            Ok(ControlMessage::Shutdown(shutdown)) => self.on_shutdown(shutdown),
            // A heartbeat was heard above; the rest is not for servers.
            _ => {}
        }
    }

    fn on_shutdown(&mut self, shutdown: Shutdown) {
        if self.membership.on_shutdown(&self.identity, &mut self.outputs) {
            self.outputs.push_back(Output::Event(ServerEvent::Ended(shutdown)));
        }
    }

    /// Takes the job's tables, once. A change of epoch moves ranges, which needs transfer.
    fn on_welcome(&mut self, config: &JobConfig, partition: Partition) {
        if !self.tables.is_empty() || !partition.is_whole() {
            return;
        }
        self.identity.epoch = partition.epoch;
        self.partition = partition;
        self.writers = config.writers;
        let states: Result<Vec<_>, _> = config.tables.iter().map(|spec| self.open_table(spec, config)).collect();
        match states {
            Ok(states) => {
                self.tables = states;
                self.membership.on_welcome();
                self.outputs.push_back(Output::Event(ServerEvent::Welcome));
            }
            Err(error) => {
                let message = format!("{}: {error}", self.identity.node);
                self.fail(Shutdown { exit_code: ExitCode::Usage as u8, message });
            }
        }
    }

    fn open_table(&self, spec: &TableSpec, job: &JobConfig) -> Result<TableState, StoreError> {
        let owned = self.partition.owned_by(self.identity.node, spec.key_end);
        let clock_bytes_max = self.clock_bytes_max / job.tables.len().max(1);
        let clock_bytes = RangeClock::bytes_at_rest(&owned, self.writers);
        if clock_bytes > clock_bytes_max {
            let (writers, ranges) = (self.writers, owned.len());
            let reason = format!(
                "the clock of {writers} workers and {ranges} key ranges takes {clock_bytes} bytes in one shard, limit \
                 {clock_bytes_max}, a table's share: use fewer workers or tables"
            );
            return Err(StoreError::Declaration { table: spec.name.clone(), reason });
        }
        Ok(TableState {
            spec: spec.clone(),
            table: Table::with_functions(spec, &owned, &self.pool, &self.functions)?,
            filters: filter::Chain::new(&spec.filters, spec.dtype),
            clock: RangeClock::within(clock_bytes_max, &owned, self.writers),
            step: Step::new(job.survives_worker_loss && spec.consistency == Consistency::Sequential),
            waiting: Vec::new(),
            waited: 0,
        })
    }

    /// Begins a task, once: a repeated one is answered with what is known of it, and one that has
    /// overtaken the welcome will be repeated.
    fn on_task(&mut self, sequence: u64, task: Task) {
        if !self.membership.is_welcomed() {
            return;
        }
        match &self.last_task {
            Some((last, _)) if *last == sequence => self.repeat_task_reply(),
            Some((last, _)) if *last > sequence => {}
            _ => {
                self.last_task = Some((sequence, None));
                self.outputs.push_back(Output::Event(ServerEvent::Task { sequence, task }));
            }
        }
    }

    /// Reports how a task went.
    pub fn task_done(&mut self, sequence: u64, reply: TaskReply) {
        if let Some((last, answer)) = &mut self.last_task
            && *last == sequence
        {
            *answer = Some(reply);
            self.repeat_task_reply();
        }
    }

    pub(super) fn repeat_task_reply(&mut self) {
        if let Some((sequence, Some(reply))) = &self.last_task
            && self.membership.is_connected()
        {
            let message = ControlMessage::TaskDone { sequence: *sequence, reply: reply.clone() };
            membership::send(&self.identity, &message, &mut self.outputs);
        }
    }
}
