//! What can go wrong with a device before the first byte.
//!
//! Each message says what is wrong and, behind the first "; ", what to do about it.

use super::failure::LinkFailure;
use super::memlock::LockedMemory;
use crate::error::{Classify, ExitCode, Severity};
use crate::id::NodeId;
use std::io;

/// Verbs that cannot be used, or not as asked for.
#[derive(Debug, thiserror::Error)]
pub enum VerbsError {
    /// libibverbs is missing or too old.
    #[error("{0}; install it: apt-get install libibverbs1 ibverbs-providers, or dnf install libibverbs")]
    Library(rdma_sys::LoadError),
    /// Registered memory could not be kept out of the children of a fork.
    #[error("ibv_fork_init: {0}; let nothing in this process register memory before it")]
    Fork(io::Error),
    /// The list of devices cannot be read.
    #[error("ibv_get_device_list: {0}; see whether /sys/class/infiniband_verbs is mounted and readable")]
    DeviceList(io::Error),
    /// There is no device.
    #[error(
        "no RDMA device here; where there is an adapter its driver may be missing: \
         lspci | grep -i -e mellanox -e infiniband, then sudo modprobe -a ib_uverbs mlx5_ib"
    )]
    NoDevice,
    /// The configured device is not there.
    #[error("there is no RDMA device `{device}`; PARASHARD_VERBS_DEVICE may name one of: {known}")]
    UnknownDevice {
        /// What was asked for.
        device: String,
        /// What is there.
        known: String,
    },
    /// The configured port is not there.
    #[error("RDMA device {device} has no port {port}; PARASHARD_VERBS_DEVICE may name its ports 1 to {port_count}")]
    UnknownPort {
        /// The device.
        device: String,
        /// What was asked for.
        port: u8,
        /// How many it has.
        port_count: u8,
    },
    /// No port can carry traffic now.
    #[error("no usable RDMA port: {ports}; bring one up (ip link set DEV up; for InfiniBand a subnet manager)")]
    NoActivePort {
        /// Each port with what is wrong with it.
        ports: String,
    },
    /// A device does not open.
    #[error(
        "cannot open RDMA device {device}: {source}; see ls -l /dev/infiniband, and let this user in: sudo usermod -aG rdma $USER"
    )]
    Open {
        /// The device.
        device: String,
        /// The system's words.
        source: io::Error,
    },
    /// A verb failed.
    #[error("{call} on RDMA device {device}: {source}; the kernel may say why: sudo dmesg | tail")]
    Call {
        /// The verb.
        call: &'static str,
        /// The device.
        device: String,
        /// The system's words.
        source: io::Error,
    },
    /// The port has no address that frames could be sent to.
    #[error("port {port} of RDMA device {device} has no GID; give its network interface an address (ip addr add)")]
    NoGid {
        /// The device.
        device: String,
        /// The port.
        port: u8,
    },
    /// The configured GID cannot be used.
    #[error("GID {index} is empty or missing; PARASHARD_GID_INDEX may be one of: {known}")]
    GidIndex {
        /// What was asked for.
        index: u32,
        /// What is there.
        known: String,
    },
    /// A path MTU that the port does not have.
    #[error(
        "an MTU of {wanted} bytes: port {port} of RDMA device {device} has {active} now; set PARASHARD_VERBS_MTU to 256, 512, 1024, 2048 or 4096, at most that"
    )]
    Mtu {
        /// The device.
        device: String,
        /// The port.
        port: u8,
        /// What was asked for, in bytes.
        wanted: u32,
        /// What the port has, in bytes.
        active: u32,
    },
    /// More than the device can do.
    #[error("RDMA device {device}: {wanted} {what} are more than its {max}; ask for less, or take another device")]
    Limit {
        /// The device.
        device: String,
        /// What is limited, in the plural.
        what: &'static str,
        /// What was asked for.
        wanted: u64,
        /// The device's limit.
        max: u64,
    },
    /// The process may not lock as much memory as is to be registered.
    #[error(
        "registering {bytes} bytes needs locked memory, and {locked}; lift the limit: ulimit -l unlimited; for all \
         logins a line `* - memlock unlimited` in /etc/security/limits.d/rdma.conf; under Slurm \
         PropagateResourceLimitsExcept=MEMLOCK in slurm.conf and LimitMEMLOCK=infinity for slurmd"
    )]
    MemoryLock {
        /// Bytes to register.
        bytes: u64,
        /// What is locked, and what may be.
        locked: LockedMemory,
    },
    /// The other end of a link cannot be connected to.
    #[error("no verbs link to {peer}: {reason}; --transport tcp does without")]
    Endpoint {
        /// The peer.
        peer: NodeId,
        /// What is wrong with it.
        reason: String,
    },
    /// No slot or receive is left for another peer.
    #[error("no verbs link to {peer}: {links} stand, and {reason}; give a server more shards, or use --transport tcp")]
    Links {
        /// The peer.
        peer: NodeId,
        /// Links that stand.
        links: usize,
        /// What is used up.
        reason: String,
    },
    /// A link that stood broke.
    #[error("verbs link to {peer}: {failure}; it is made anew with the connection")]
    Link {
        /// The peer.
        peer: NodeId,
        /// What ended it.
        failure: LinkFailure,
    },
    /// The device cannot be used any more.
    #[error("RDMA device {device} is out of use: {reason}; restart the node when it is mended")]
    OutOfUse {
        /// The device.
        device: String,
        /// What happened.
        reason: String,
    },
    /// A setting that means nothing.
    #[error("{name} is `{value}`; {expected}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl VerbsError {
    /// The error of a verb that has just failed and set `errno`.
    pub(super) fn last_call(call: &'static str, device: &str) -> VerbsError {
        VerbsError::Call { call, device: device.to_owned(), source: io::Error::last_os_error() }
    }

    /// What a failed registration of `bytes` bytes means: the kernel says `ENOMEM` for the lock limit.
    pub(super) fn of_registration(self, bytes: u64, locked: LockedMemory) -> VerbsError {
        match self {
            VerbsError::Call { ref source, .. } if source.kind() == io::ErrorKind::OutOfMemory => {
                VerbsError::MemoryLock { bytes, locked }
            }
            other => other,
        }
    }

    /// The outcome of a verb that answers an error number.
    pub(super) fn check(call: &'static str, device: &str, code: i32) -> Result<(), VerbsError> {
        match code {
            0 => Ok(()),
            // Some verbs answer -1 and set `errno`.
            code if code < 0 => Err(VerbsError::last_call(call, device)),
            code => {
                Err(VerbsError::Call { call, device: device.to_owned(), source: io::Error::from_raw_os_error(code) })
            }
        }
    }
}

impl Classify for VerbsError {
    fn severity(&self) -> Severity {
        match self {
            // A link that is down may come up, and an address may still be on its way.
            VerbsError::NoActivePort { .. }
            | VerbsError::NoGid { .. }
            | VerbsError::Links { .. }
            | VerbsError::Link { .. } => Severity::Retryable,
            _ => Severity::Fatal,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            VerbsError::UnknownDevice { .. }
            | VerbsError::UnknownPort { .. }
            | VerbsError::GidIndex { .. }
            | VerbsError::Mtu { .. }
            | VerbsError::Setting { .. } => ExitCode::Usage,
            VerbsError::Limit { .. } | VerbsError::Links { .. } => ExitCode::Limit,
            VerbsError::Link { .. } => ExitCode::NodeLost,
            _ => ExitCode::CannotStart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memlock::MemoryLockLimit;
    use super::*;

    #[test]
    fn every_message_says_what_is_wrong_and_then_what_to_do() {
        let device = || "mlx5_0".to_owned();
        let source = || io::Error::from_raw_os_error(13);
        let locked = LockedMemory { pinned_bytes: 0, limit: MemoryLockLimit::Bytes(65_536) };
        let all = [
            VerbsError::Library(rdma_sys::LoadError::Function("ibv_open_device")),
            VerbsError::Fork(source()),
            VerbsError::DeviceList(source()),
            VerbsError::NoDevice,
            VerbsError::UnknownDevice { device: device(), known: "rxe0".to_owned() },
            VerbsError::UnknownPort { device: device(), port: 3, port_count: 2 },
            VerbsError::NoActivePort { ports: "mlx5_0:1 is down".to_owned() },
            VerbsError::Open { device: device(), source: source() },
            VerbsError::Call { call: "ibv_create_qp", device: device(), source: source() },
            VerbsError::NoGid { device: device(), port: 1 },
            VerbsError::GidIndex { index: 9, known: "0 (fe80::1, RoCE v2)".to_owned() },
            VerbsError::Mtu { device: device(), port: 1, wanted: 4096, active: 1024 },
            VerbsError::Limit { device: device(), what: "pieces", wanted: 9, max: 3 },
            VerbsError::MemoryLock { bytes: 1 << 20, locked },
            VerbsError::Endpoint { peer: NodeId::worker(1), reason: "it has no GID".to_owned() },
            VerbsError::Links { peer: NodeId::worker(1), links: 99, reason: "no slot is free".to_owned() },
            VerbsError::Link { peer: NodeId::worker(1), failure: LinkFailure::Port(1) },
            VerbsError::OutOfUse { device: device(), reason: "IBV_EVENT_DEVICE_FATAL".to_owned() },
            VerbsError::Setting { name: "PARASHARD_GID_INDEX", value: "x".to_owned(), expected: "set it to a number" },
        ];
        for error in &all {
            let text = error.to_string();
            let (wrong, remedy) = text.split_once("; ").unwrap_or_else(|| panic!("{text}"));
            assert!(wrong.len() > 10 && remedy.len() > 10 && !text.contains('\n'), "{text}");
        }
        let retryable = all.iter().filter(|error| error.severity() == Severity::Retryable).count();
        assert_eq!(retryable, 4);
    }
}
