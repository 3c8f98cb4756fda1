//! RDMA verbs: the library found at run time, and the device, port and GID that a node uses.
//!
//! [`Library::load`] proves that libibverbs is there and made safe for `fork`; [`LocalPort::choose`]
//! then picks a port, opens its device and settles what a queue pair needs to know of this end: LID or
//! GID, MTU, traffic class and the device's limits. Nothing is assumed that the device does not say.
//!
//! Invariant: a [`Device`] is open as long as it lives, and everything made on it holds it by `Arc`.

mod choice;
mod config;
mod device;
mod error;
mod gid;
mod guard;
mod inline_trial;
mod library;
mod limits;
mod memlock;
mod port;
mod self_test;
mod sysfs;

pub use choice::LocalPort;
pub use config::VerbsConfig;
pub use device::Device;
pub use error::VerbsError;
pub use gid::{Gid, GidEntry, GidKind, choose_gid};
pub use library::Library;
pub use limits::{Demand, DeviceLimits};
pub use memlock::{LockedMemory, MemoryLockLimit};
pub use port::{LinkLayer, Mtu, Port, PortState};
pub use self_test::LoopbackTimes;
