//! What a node must know before it can join: the same few facts for all three roles.

use super::error::NodeError;
use super::placement::Placement;
use crate::id::{Generation, Incarnation, JobId, NodeId};
use crate::limit;
use crate::protocol::server::PullFilters;
use crate::protocol::worker::PushFilters;
use crate::store::Functions;
use crate::transport::fabric::LinkSettings;
use crate::transport::handshake::Secret;
use std::fmt;
use std::time::Duration;

/// A node's place in a job.
#[derive(Clone)]
pub struct NodeConfig {
    /// The job.
    pub job: JobId,
    /// The job's secret.
    pub secret: Secret,
    /// Where to listen, `host:port`; port 0 takes a free one. Workers do not listen.
    pub listen: String,
    /// Host name to tell the others, when it is not the one listened on.
    pub advertise: Option<String>,
    /// Where the scheduler listens; empty on the scheduler itself.
    pub scheduler: String,
    /// The host's name among the job's hosts.
    pub host: String,
    /// How long to look for messages before sleeping, while they come in quick succession.
    pub spin: Duration,
    /// Bytes that each shard of a server keeps of key lists, positions included, and again of answers that it
    /// remembers; others keep none.
    pub key_cache_bytes: usize,
    /// How pairs of servers and workers choose the way of their data.
    pub links: LinkSettings,
    /// Which processors and which memory.
    pub placement: Placement,
    /// What a server runs for workers that call it by name; others run none.
    pub functions: Functions,
    /// The filters of pushes that tables may declare by name; for workers.
    pub push_filters: PushFilters,
    /// The filters of answers to pulls that tables may declare by name; for servers.
    pub pull_filters: PullFilters,
}

impl fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeConfig({}, listen {}, scheduler {})", self.job, self.listen, self.scheduler)
    }
}

impl NodeConfig {
    /// A scheduler of this machine alone, or the threads of a job in one process: listens on any port of loopback,
    /// sleeps at once, and has nothing of the program's own. Other nodes change what is different for them.
    #[must_use]
    pub fn local(job: JobId, secret: Secret) -> NodeConfig {
        NodeConfig {
            job,
            secret,
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            scheduler: String::new(),
            host: "here".to_owned(),
            spin: Duration::ZERO,
            key_cache_bytes: limit::SHARD_KEY_CACHE_BYTES,
            links: LinkSettings::default(),
            placement: Placement::default(),
            functions: Functions::default(),
            push_filters: PushFilters::default(),
            pull_filters: PullFilters::default(),
        }
    }

    /// What to tell the others: the listening address, or the advertised host with its port.
    pub(super) fn advertised(&self, listening: Option<&str>) -> Result<String, NodeError> {
        let Some((host, port)) = listening.and_then(|address| address.rsplit_once(':')) else {
            return Err(NodeError::Config(format!("{} is not an address to listen on", self.listen)));
        };
        match &self.advertise {
            Some(advertised) => Ok(format!("{advertised}:{port}")),
            None if matches!(host, "0.0.0.0" | "[::]") => Err(NodeError::Config(format!(
                "listening on {host}, which no other host can call: give --advertise HOST"
            ))),
            None => Ok(format!("{host}:{port}")),
        }
    }

    /// The configuration of a transport for one node of this process.
    pub(super) fn transport(
        &self,
        node: NodeId,
        listens: bool,
        pool: &std::sync::Arc<crate::memory::Pool>,
    ) -> Result<(Incarnation, crate::transport::tcp::TcpConfig), NodeError> {
        let incarnation = Incarnation(u64::from_le_bytes(random()?));
        let config = crate::transport::tcp::TcpConfig {
            node,
            incarnation,
            job: self.job,
            generation: Generation(0),
            secret: self.secret.clone(),
            listen: listens.then(|| self.listen.clone()),
            pool: std::sync::Arc::clone(pool),
            random: Box::new(|| random().unwrap_or_else(|error| unreachable!("{error}"))),
            spin: self.spin,
        };
        Ok((incarnation, config))
    }
}

/// Random bytes from the system.
///
/// # Errors
/// When the system has none, which it had a moment ago.
pub fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| NodeError::System { what: "draw random bytes", source: std::io::Error::other(error) })?;
    Ok(bytes)
}
