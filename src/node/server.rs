//! A server process: one thread a shard, each with a transport, a pool and a driver of its own.

use super::config::NodeConfig;
use super::driver::Driver;
use super::error::NodeError;
use super::placement::{Seat, seats};
use super::shard_files::ShardFiles;
use super::thread::no_thread;
use super::time::now;
use crate::error::Classify;
use crate::id::NodeId;
use crate::protocol::Identity;
use crate::protocol::server::{Server, ServerEvent};
use crate::transport::fabric::{FabricTransport, LinkSettings};
use crate::transport::{Transport, TransportError};
use crate::wire::Shutdown;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

/// How long a node that ends waits for its last words to leave.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs all shards of server `rank` until the job ends. Returns the job's end as the first shard heard it.
///
/// # Errors
/// When a shard cannot start or its poller fails.
pub fn run_server(config: &NodeConfig, rank: u32, shards: u8) -> Result<Shutdown, NodeError> {
    let seats = seats(&config.placement.pinning, rank, shards)?;
    let open = |(shard, seat)| Ok((open_shard(config, NodeId::server(rank, shard), seat)?, seat));
    let drivers = (0..shards).zip(seats).map(open).collect::<Result<Vec<_>, NodeError>>()?;
    let outcomes = std::thread::scope(|scope| {
        let start = |(driver, seat): (ShardDriver, Seat)| {
            let (begin, begun) = mpsc::channel();
            // None runs before all are there: a shard whose neighbour cannot start would serve for ever.
            let run = move || {
                begun.recv().map_or_else(|_| Err(stillborn(rank)), |()| seat.take().and_then(|()| run_shard(driver)))
            };
            let thread = Builder::new().name(format!("shard of {rank}")).spawn_scoped(scope, run);
            thread.map(|thread| (begin, thread)).map_err(no_thread)
        };
        let started: Vec<_> = drivers.into_iter().map(start).collect::<Result<_, NodeError>>()?;
        // A thread that is gone tells so when it is joined.
        started.iter().for_each(|(begin, _)| begin.send(()).unwrap_or_default());
        let threads = started.into_iter().map(|(_, thread)| thread);
        let joined = threads.map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(broken(rank)),
        });
        Ok::<_, NodeError>(joined.collect::<Vec<_>>())
    })?;
    outcomes
        .into_iter()
        .reduce(Result::and)
        .unwrap_or_else(|| Err(NodeError::Config("a server without shards".to_owned())))
}

/// A shard whose thread has panicked.
fn broken(rank: u32) -> NodeError {
    NodeError::Config(format!("a shard of server {rank} broke an invariant; see the log"))
}

/// A shard that never ran.
fn stillborn(rank: u32) -> NodeError {
    NodeError::Config(format!("another shard of server {rank} has not started"))
}

/// A shard on its fabric.
type ShardDriver = Driver<Server, FabricTransport>;

fn open_shard(config: &NodeConfig, node: NodeId, seat: Seat) -> Result<ShardDriver, NodeError> {
    let pool = config.placement.pool(seat.node);
    let (incarnation, transport) = config.transport(node, true, &pool)?;
    let links = LinkSettings { near: seat.node, ..config.links.clone() };
    let transport = FabricTransport::open(transport, &links)?;
    let address = config.advertised(transport.local_address().as_deref())?;
    let identity = Identity::new(node, config.job, incarnation);
    tracing::info!(%node, address, "listening");
    let mut server = Server::new(now(), identity, address, config.host.clone(), &config.scheduler, pool);
    server.limit_key_cache(config.key_cache_bytes);
    server.limit_sent(config.key_cache_bytes);
    server.serve_functions(config.functions.clone());
    server.filter_by(config.pull_filters.clone());
    Ok(Driver::new(server, transport))
}

fn run_shard(mut driver: ShardDriver) -> Result<Shutdown, NodeError> {
    let mut files = ShardFiles::default();
    loop {
        driver.poll(now());
        while let Some(event) = driver.poll_event() {
            match event {
                ServerEvent::Welcome => tracing::debug!("tables stand"),
                ServerEvent::Task { sequence, task } => {
                    let reply = files.carry_out(driver.machine_mut(), task);
                    driver.machine_mut().task_done(sequence, reply);
                    driver.flush(now());
                }
                ServerEvent::Ended(shutdown) => {
                    say_farewell(&mut driver);
                    return Ok(shutdown);
                }
            }
        }
        if let Err(error) = driver.wait(now(), None) {
            return Err(give_up(&mut driver, error));
        }
    }
}

/// Tells the scheduler why this shard cannot go on; other shards of the process end with the job.
fn give_up(driver: &mut ShardDriver, error: TransportError) -> NodeError {
    let why = Shutdown { exit_code: error.exit_code() as u8, message: error.to_string() };
    driver.machine_mut().fail(why);
    driver.flush(now());
    error.into()
}

/// Lets the goodbye leave before the process ends.
fn say_farewell(driver: &mut ShardDriver) {
    let traffic = driver.machine().traffic();
    tracing::debug!(?traffic, "leaving");
    let deadline = now().after(FAREWELL);
    while driver.transport_mut().queued_bytes(NodeId::SCHEDULER) > 0 && now() < deadline {
        driver.poll(now());
        if driver.wait(now(), Some(Duration::from_millis(10))).is_err() {
            return;
        }
    }
}
