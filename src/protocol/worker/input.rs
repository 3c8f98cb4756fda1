//! What a worker hears: the scheduler's words, lost and found connections, time.

use super::value_filter::ValueFilter;
use super::{Worker, WorkerEvent};
use crate::error::ExitCode;
use crate::filter::Chain;
use crate::id::{Nanos, NodeId};
use crate::keyspace::Partition;
use crate::protocol::machine::{Input, Machine, Output};
use crate::wire::{ControlMessage, JobConfig, Kind, NodeInfo, Shutdown, TableSpec};

impl Worker {
    fn on_control(&mut self, now: Nanos, message: ControlMessage) {
        self.membership.on_heard(now);
        match message {
            ControlMessage::Welcome { config, partition, servers, resume } => {
                if self.job.is_none() && partition.is_whole() {
                    self.resume_at(resume, &config.tables);
                }
                self.on_welcome(now, config, partition, &servers);
            }
            ControlMessage::Adopt { writer, turn } => self.on_adopt(writer, turn),
            ControlMessage::Release { unit } => self.on_release(unit),
            ControlMessage::UnitDoneHeard { sequence } => self.on_account_heard(sequence),
            ControlMessage::Assigned { sequence, assignment } => self.on_assigned(sequence, assignment),
            ControlMessage::Delay { sequence, table, delay_max } => self.on_delay(sequence, table, delay_max),
            ControlMessage::Shutdown(shutdown) => self.on_shutdown(shutdown),
            // A heartbeat was heard above; the rest is not for workers.
            _ => {}
        }
    }

    fn on_welcome(&mut self, now: Nanos, config: JobConfig, partition: Partition, servers: &[NodeInfo]) {
        if !partition.is_whole() || self.job.is_some() && partition.epoch <= self.partition.epoch {
            return;
        }
        for server in servers {
            let address = server.address.clone();
            self.outputs.push_back(Output::Connect { peer: server.node, address });
        }
        self.identity.epoch = partition.epoch;
        self.owners = partition.entries.iter().map(|entry| entry.owner).collect();
        self.owners.sort_unstable();
        self.owners.dedup();
        self.partition = partition;
        self.membership.on_welcome();
        if self.job.is_none() {
            let chain = |spec: &TableSpec| Chain::new(&spec.filters, spec.dtype);
            self.chains = config.tables.iter().map(chain).collect();
            let seed = u64::from(self.writer.0);
            let filters = config.tables.iter().map(|spec| ValueFilter::new(spec, &self.own_filters, seed, &self.pool));
            match filters.collect() {
                Ok(filters) => self.value_filters = filters,
                Err(error) => self.fail(Shutdown { exit_code: ExitCode::Limit as u8, message: error.to_string() }),
            }
            self.job = Some(config);
            self.outputs.push_back(Output::Event(WorkerEvent::Welcome));
        } else {
            self.slice_again(now);
        }
    }

    fn on_shutdown(&mut self, shutdown: Shutdown) {
        if self.membership.on_shutdown(&self.identity, &mut self.outputs) {
            self.outputs.push_back(Output::Event(WorkerEvent::Ended(shutdown)));
        }
    }
}

impl Machine for Worker {
    type Event = WorkerEvent;

    fn handle(&mut self, now: Nanos, input: Input) {
        match input {
            Input::Frame { from: NodeId::SCHEDULER, frame } if frame.header.kind == Kind::Control => {
                if let Ok(message) = ControlMessage::from_frame(&frame)
                    && self.identity.is_ruled_by(&frame.header)
                {
                    self.on_control(now, message);
                }
            }
            Input::Frame { from, frame } => self.on_answer(now, from, frame),
            Input::Connected { peer: NodeId::SCHEDULER, incarnation } => {
                let end = self.membership.on_connected(now, incarnation, &self.identity, &mut self.outputs);
                if let Some(shutdown) = end {
                    self.outputs.push_back(Output::Event(WorkerEvent::Ended(shutdown)));
                }
                self.ask_again();
            }
            Input::Connected { peer, incarnation } => {
                self.shards.on_connected(peer, incarnation);
                self.send_open_to(now, peer);
            }
            Input::Lost { peer: NodeId::SCHEDULER, .. } => self.membership.on_lost(now),
            Input::Lost { peer, .. } => self.shards.on_lost(peer),
            Input::Refused { peer, reason } => {
                let message = format!("{}: {peer} refuses this node: {reason}", self.identity.node);
                let shutdown = Shutdown { exit_code: ExitCode::CannotStart as u8, message };
                self.outputs.push_back(Output::Event(WorkerEvent::Ended(shutdown)));
            }
        }
    }

    fn handle_timeout(&mut self, now: Nanos) {
        if let Some(shutdown) = self.membership.on_timeout(now, &self.identity, &mut self.outputs) {
            self.outputs.push_back(Output::Event(WorkerEvent::Ended(shutdown)));
        }
        if now >= self.resend_at {
            self.send_overdue(now);
        }
    }

    fn poll_timeout(&self) -> Option<Nanos> {
        let resend = (!self.operations.is_empty() || self.question.is_open || !self.accounts.unheard.is_empty())
            .then_some(self.resend_at);
        [self.membership.poll_timeout(), resend].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<Output<WorkerEvent>> {
        self.outputs.pop_front()
    }
}
