//! The machines one by one, driven with hand-made frames. Every frame passes through the wire.

mod call;
mod changed;
mod consistency;
mod dag;
mod held_back;
mod key_cache;
mod landing;
mod membership;
mod panic;
mod scheduler;
mod server;
mod value_filter;
mod worker;
mod worker_loss;

use super::{Identity, Input, Machine, Output};
use crate::id::{Epoch, Incarnation, JobId, Nanos, NodeId, TableId, Term};
use crate::keyspace::{HashRing, Partition};
use crate::memory::{Pool, RxBuf};
use crate::wire::{
    Consistency, ControlMessage, DType, Filters, JobConfig, Layout, NodeInfo, ResumePoint, RxFrame, TableSpec, TxFrame,
    UpdateFunction,
};
use std::time::Duration;

const JOB: JobId = JobId(77);
const FIRST: NodeId = NodeId::server(0, 0);
const SECOND: NodeId = NodeId::server(1, 0);
const WORKER: NodeId = NodeId::worker(0);
const KEY_END: u64 = 100;

/// What a machine wanted since it was asked last.
struct Drained<E> {
    frames: Vec<(NodeId, RxFrame)>,
    connects: Vec<NodeId>,
    events: Vec<E>,
}

impl<E> Drained<E> {
    /// The control messages for `to`.
    fn said(&self, to: NodeId) -> Vec<ControlMessage> {
        let frames = self.frames.iter().filter(|(peer, _)| *peer == to);
        frames.map(|(_, frame)| ControlMessage::from_frame(frame).unwrap()).collect()
    }
}

fn drain<M: Machine>(machine: &mut M) -> Drained<M::Event> {
    let mut drained = Drained { frames: Vec::new(), connects: Vec::new(), events: Vec::new() };
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Send { to, frame } => drained.frames.push((to, received(&frame))),
            Output::Connect { peer, .. } => drained.connects.push(peer),
            Output::Disconnect { .. } | Output::Withdraw { .. } => {}
            Output::Event(event) => drained.events.push(event),
        }
    }
    drained
}

/// The frame as its receiver sees it.
fn received(frame: &TxFrame) -> RxFrame {
    let raw = frame.encode_header();
    let body = frame.body_parts().concat();
    let mut block = Pool::unbounded().block(body.len());
    block.copy_from_slice(&body);
    RxFrame::new(&raw, raw.decode().unwrap(), RxBuf::new(block)).unwrap()
}

fn identity(node: NodeId) -> Identity {
    Identity::new(node, JOB, Incarnation(u64::from(node.0) + 1))
}

/// A control message in the words of the scheduler.
fn from_scheduler(message: &ControlMessage) -> Input {
    let mut frame = message.to_frame(NodeId::SCHEDULER);
    let identity = Identity { term: Term(1), epoch: Epoch(1), ..identity(NodeId::SCHEDULER) };
    frame.header = identity.stamp(frame.header);
    Input::Frame { from: NodeId::SCHEDULER, frame: received(&frame) }
}

/// A control message of any node for the scheduler.
fn to_scheduler(from: NodeId, message: &ControlMessage) -> Input {
    let mut frame = message.to_frame(from);
    frame.header = identity(from).stamp(frame.header);
    Input::Frame { from, frame: received(&frame) }
}

fn connected(peer: NodeId) -> Input {
    Input::Connected { peer, incarnation: identity(peer).incarnation }
}

fn lost(peer: NodeId) -> Input {
    Input::Lost { peer, reason: "the line was cut".to_owned() }
}

fn info(node: NodeId) -> NodeInfo {
    NodeInfo { node, address: "here".to_owned(), host: "host".to_owned() }
}

/// A table of i64, width 1.
fn table(id: u16, layout: Layout, consistency: Consistency) -> TableSpec {
    TableSpec {
        id: TableId(id),
        name: format!("table {id}"),
        dtype: DType::I64,
        width: 1,
        key_end: KEY_END,
        layout,
        update: UpdateFunction::Sum,
        consistency,
        filters: Filters::default(),
    }
}

fn job(tables: Vec<TableSpec>, writers: u32) -> JobConfig {
    JobConfig { tables, writers, program: Vec::new(), survives_worker_loss: false }
}

fn partition(shards: &[NodeId]) -> Partition {
    HashRing::even(shards).partition(Epoch(1), 0)
}

fn welcome(tables: Vec<TableSpec>, writers: u32, shards: &[NodeId]) -> Input {
    let servers = shards.iter().map(|&shard| info(shard)).collect();
    from_scheduler(&ControlMessage::Welcome {
        config: job(tables, writers),
        partition: partition(shards),
        servers,
        resume: ResumePoint::default(),
    })
}

fn seconds(seconds: u64) -> Nanos {
    Nanos(0).after(Duration::from_secs(seconds))
}

/// Lets a machine's timers act until `until`; gives the moment at which it stopped wanting to, and
/// fails when it wants to act more than a hundred times a second.
fn pass_time<M: Machine>(machine: &mut M, begin: Nanos, until: Nanos) -> Drained<M::Event> {
    let mut all = Drained { frames: Vec::new(), connects: Vec::new(), events: Vec::new() };
    let acts_max = 10 + until.since(begin).as_millis() / 10;
    let mut acts = 0;
    while let Some(due) = machine.poll_timeout().filter(|&due| due <= until) {
        machine.handle_timeout(due.max(begin));
        let drained = drain(machine);
        all.frames.extend(drained.frames);
        all.events.extend(drained.events);
        acts += 1;
        assert!(acts <= acts_max, "it spins: {acts} acts, now at {due:?}");
    }
    all
}
