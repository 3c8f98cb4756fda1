//! A worker's driver.

use super::config::NodeConfig;
use super::driver::Driver;
use super::error::NodeError;
use super::time::now;
use crate::id::NodeId;
use crate::limit;
use crate::memory::Pool;
use crate::protocol::Identity;
use crate::protocol::worker::Worker;
use crate::transport::fabric::FabricTransport;
use std::sync::Arc;

/// A worker on its fabric.
pub type WorkerDriver = Driver<Worker, FabricTransport>;

/// Opens the driver of worker `rank`. It begins to join with its first round.
///
/// # Errors
/// When the transport cannot be opened.
pub fn open_worker(config: &NodeConfig, rank: u32, pool: &Arc<Pool>) -> Result<WorkerDriver, NodeError> {
    let node = NodeId::worker(rank);
    let (incarnation, transport) = config.transport(node, false, pool)?;
    let transport = FabricTransport::open(transport, &config.links)?;
    let identity = Identity::new(node, config.job, incarnation);
    let mut worker = Worker::new(now(), identity, config.host.clone(), &config.scheduler, Arc::clone(pool));
    worker.filter_by(config.push_filters.clone());
    if let Some(landing) = transport.landing_pool() {
        worker.land_in(landing, limit::LANDING_BYTES_MIN);
    }
    Ok(Driver::new(worker, transport))
}
