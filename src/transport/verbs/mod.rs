//! RDMA verbs: the library found at run time, the device, port and GID that a node uses, and the
//! links between nodes that carry their data frames.
//!
//! [`Library::load`] proves that libibverbs is there and made safe for `fork`; [`LocalPort::choose`]
//! then picks a port, opens its device and settles what a queue pair needs to know of this end: LID or
//! GID, MTU, traffic class and the device's limits. Nothing is assumed that the device does not say.
//!
//! [`Verbs`] has what all links of one thread share: completion queue and channel, shared receive queue,
//! the ring that peers write, the registered slabs. A link is a reliable queue pair to one peer.
//! ```text
//! begin(peer) -> endpoint ==TCP==> the peer's connect        frames: tx_burst -> flush
//! connect(peer, endpoint) <==TCP== the peer's begin          flush and rx_burst -> incoming
//! ```
//! Set-up: `setup`, `pairing`, `endpoint`, `resource`, `registry`. Data path: `plan` (which way a frame
//! goes, and the requests for it), `send`, `post`, `sent`, `receive`, `receives`, `link`. Beside them:
//! `tokens` names offers of memory, `window` opens it, `event` hears of failing devices, `live` counts what exists.
//!
//! For the fabric: call `flush` after each round of `tx_burst`, also when nothing was sent: credits go
//! back there. `look` while spinning, `arm` before sleeping on [`Verbs::fds`]. A peer that [`Verbs::failed`]
//! names gets nothing more through and must be closed. For a reply with a target that goes another
//! way, call [`Verbs::answered_elsewhere`].
//!
//! Invariants:
//! * A [`Device`] is open as long as it lives, and everything made on it holds it by `Arc`.
//! * Peers write only into the ring and into landings, each a region of its own or behind a window that is
//!   open for one answer, and read only a worker's pool. What they can write is never referenced, only copied.
//! * Messages on their way to this end are never more than the receives that are posted.
//! * A link that fails is a [`LinkFailure`] with its peer; the others go on. Nothing exits or panics.

mod choice;
mod config;
mod counts;
mod device;
mod endpoint;
mod error;
mod event;
mod failure;
mod fault;
mod gid;
mod inline_trial;
mod library;
mod limits;
mod link;
mod live;
mod memlock;
mod pairing;
mod plan;
mod port;
mod post;
mod progress;
mod receive;
mod receives;
mod registry;
mod resource;
mod self_test;
mod send;
mod sent;
mod setup;
mod sysfs;
mod tokens;
mod window;
mod window_trial;

pub use choice::LocalPort;
pub use config::{VerbsConfig, WindowUse};
pub use counts::OpcodeCounts;
pub use device::Device;
pub use endpoint::VerbsEndpoint;
pub use error::VerbsError;
pub use failure::LinkFailure;
pub use fault::Fault;
pub use gid::{Gid, GidEntry, GidKind, choose_gid};
pub use library::Library;
pub use limits::{Demand, DeviceLimits};
pub use live::LiveObjects;
pub use memlock::{LockedMemory, MemoryLockLimit};
pub use port::{LinkLayer, Mtu, Port, PortState};
pub use self_test::LoopbackTimes;

use super::ring::{Lender, PIECES_MAX};
use crate::id::{JobId, NodeId};
use crate::memory::SharedBytes;
use crate::wire::TxFrame;
use link::Link;
use pairing::Pairing;
use rdma_sys::ibv_wc;
use receives::Receives;
use registry::Registry;
use resource::MemoryRegion;
use send::Batch;
use std::collections::{BTreeMap, VecDeque};

/// Completions taken at a time.
const POLL_COUNT: usize = 64;
/// Bytes of a list of pieces.
const LIST_BYTES: usize = PIECES_MAX * 16;
/// A busy node asks the device for events once in so many rounds; a node that sleeps, each time.
const EVENT_ROUNDS: u32 = 4096;

/// The verbs links of one thread.
pub struct Verbs {
    /// First: queue pairs go before what they use.
    links: Vec<Option<Box<Link>>>,
    shared: Shared,
    by_peer: BTreeMap<NodeId, usize>,
    by_number: BTreeMap<u32, usize>,
    links_max: usize,
    completions: Vec<ibv_wc>,
    /// Links with arrivals, in turn.
    ready: VecDeque<usize>,
    /// Links with arrivals of peers that are not read from for now.
    parked: Vec<usize>,
    /// Links that may have something to send.
    unsent: Vec<usize>,
    /// Used again by each `tx_burst`.
    carried: Vec<TxFrame>,
    failures: VecDeque<(NodeId, LinkFailure)>,
    /// Receives that closed links may have taken along.
    lost_receives: usize,
    /// Why the device cannot be used any more.
    out_of_use: Option<String>,
    is_armed: bool,
    /// Whether a look has just taken the completions and found something.
    has_looked: bool,
    polls: u32,
}

/// What all links of a transport use.
struct Shared {
    job: JobId,
    registry: Registry,
    pairing: Pairing,
    receives: Receives,
    /// Slots that peers write.
    ring: MemoryRegion,
    slot_bytes: usize,
    /// Windows that a link may have, where the device has them.
    windows_max: Option<usize>,
    lender: Lender,
    /// Used again for each wish of a peer.
    grants: Vec<u16>,
    batch: Batch,
    counts: OpcodeCounts,
}

impl Shared {
    /// A slot of the ring. The lender has checked the number.
    fn slot(&self, slot: u16) -> SharedBytes<'_> {
        // Invariant: the ring is memory of the transport's own.
        let Some(memory) = self.ring.own() else { unreachable!("the ring is no slab") };
        memory.shared().part(usize::from(slot) * self.slot_bytes, self.slot_bytes)
    }
}
