//! Two queue pairs of one port, connected to each other: is what is written what arrives?

use super::choice::LocalPort;
use super::counts::OpcodeCounts;
use super::error::VerbsError;
use super::pairing::Pairing;
use super::plan::{Operation, Part, Remote, Request};
use super::post::post;
use super::receives::{RECEIVE_SLACK, Receives, own_memory, received_index};
use super::resource::{CompletionQueue, MemoryRegion, ProtectionDomain};
use crate::memory::SharedBytes;
use rdma_sys::{ibv_access_flags, ibv_wc, ibv_wc_opcode, ibv_wc_status};
use std::io;
use std::time::{Duration, Instant};

/// What is moved: several packets at every MTU, and no whole number of them.
const PATTERN_BYTES: usize = 40_000;
/// Completions that can be there at a time, and more.
const QUEUE_DEPTH: u32 = 64;
/// Packet sequence number that both ends begin with.
const FIRST_PSN: u32 = 0x5_a5a5;
/// Tells the WRITE.
const IMMEDIATE: u32 = 2;
/// A loopback that takes longer will not come to an end.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a passed test went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackTimes {
    /// Bytes that were moved each way.
    pub bytes: usize,
    /// From posting the WRITE_WITH_IMM to both its completions.
    pub write: Duration,
    /// From posting the READ to its completion.
    pub read: Duration,
}

impl LocalPort {
    /// Writes a pattern from one queue pair of this port to another with an immediate, reads it back
    /// by RDMA READ, and compares the bytes both times.
    ///
    /// # Errors
    /// What failed: a verb, a work request, the time, or the comparison.
    pub fn test_loopback(&self) -> Result<LoopbackTimes, VerbsError> {
        let device = &self.device;
        let domain = ProtectionDomain::new(device)?;
        let queue = CompletionQueue::new(device, QUEUE_DEPTH)?;
        let access = ibv_access_flags::IBV_ACCESS_LOCAL_WRITE
            | ibv_access_flags::IBV_ACCESS_REMOTE_WRITE
            | ibv_access_flags::IBV_ACCESS_REMOTE_READ;
        let region = MemoryRegion::new(&domain, own_memory(&domain, 3 * PATTERN_BYTES)?, access)?;
        // Invariant: memory of one's own is no slab.
        let Some(memory) = region.own() else { unreachable!("memory of one's own") };
        let parts = [0, 1, 2].map(|part| memory.shared().part(part * PATTERN_BYTES, PATTERN_BYTES));
        parts[0].copy_in_counted(0, &(0..PATTERN_BYTES).map(pattern).collect::<Vec<u8>>());
        let receives = Receives::new(&domain, RECEIVE_SLACK)?;
        let pairing = Pairing { local: self.clone(), domain, queue, inline_bytes: 0, parts_max: 1 };
        let pairs = [pairing.begin(&receives.queue)?, pairing.begin(&receives.queue)?];
        pairing.connect(&pairs[0], FIRST_PSN, &pairing.endpoint(&pairs[1], FIRST_PSN))?;
        pairing.connect(&pairs[1], FIRST_PSN, &pairing.endpoint(&pairs[0], FIRST_PSN))?;
        let run = |first: u64, operation: Operation, place: SharedBytes<'_>| {
            let part = Part { address: place.address() as u64, bytes: place.len() as u32, key: region.local_key() };
            let request =
                Request { operation, parts: [part].into_iter().collect(), is_inline: false, is_signaled: true };
            // SAFETY: the region keeps its memory, which is touched by copies alone, and behind the completion.
            let posted = unsafe { post(&pairs[0], first, &[request], &mut OpcodeCounts::default()) };
            posted.map_err(|source| self.failed("ibv_post_send", source))
        };
        let remote = Remote { address: parts[1].address() as u64, key: region.remote_key() };

        let begin = Instant::now();
        run(0, Operation::WriteWithImmediate(remote, IMMEDIATE), parts[0])?;
        let both = [self.completion(&pairing.queue)?, self.completion(&pairing.queue)?];
        let write = begin.elapsed();
        self.check_immediate(&both[usize::from(received_index(both[0].wr_id).is_none())])?;

        let begin = Instant::now();
        run(1, Operation::Read(remote), parts[2])?;
        self.completion(&pairing.queue)?;
        let read = begin.elapsed();
        self.compare("RDMA WRITE", parts[1])?;
        self.compare("RDMA READ", parts[2])?;
        Ok(LoopbackTimes { bytes: PATTERN_BYTES, write, read })
    }

    /// The next completion, which must be a success.
    pub(super) fn completion(&self, queue: &CompletionQueue) -> Result<ibv_wc, VerbsError> {
        let begin = Instant::now();
        let mut completions = Vec::with_capacity(1);
        while queue.poll(&mut completions)? == 0 {
            if begin.elapsed() > PATIENCE {
                let late = io::Error::new(io::ErrorKind::TimedOut, "nothing completed in five seconds");
                return Err(self.failed("loopback", late));
            }
            std::thread::yield_now();
        }
        let completion = completions[0];
        if completion.status == ibv_wc_status::IBV_WC_SUCCESS {
            return Ok(completion);
        }
        let reason = format!("request {:#x} ended in {:?}", completion.wr_id, completion.status);
        Err(self.failed("loopback", io::Error::other(reason)))
    }

    /// The receiver must have been told of the WRITE by its immediate.
    fn check_immediate(&self, completion: &ibv_wc) -> Result<(), VerbsError> {
        // SAFETY: four bytes are valid in either view of the union.
        let immediate = u32::from_be(unsafe { completion.imm_data_invalidated_rkey_union.imm_data });
        if completion.opcode == ibv_wc_opcode::IBV_WC_RECV_RDMA_WITH_IMM && immediate == IMMEDIATE {
            return Ok(());
        }
        let reason = format!("{:?} with immediate {immediate} came instead of the WRITE's own", completion.opcode);
        Err(self.failed("loopback", io::Error::other(reason)))
    }

    fn compare(&self, what: &str, memory: SharedBytes<'_>) -> Result<(), VerbsError> {
        let mut bytes = vec![0; memory.len()];
        memory.copy_out_counted(0, &mut bytes);
        match bytes.iter().enumerate().position(|(place, &byte)| byte != pattern(place)) {
            None => Ok(()),
            Some(place) => {
                let reason = format!("byte {place} of {} is wrong after {what}", bytes.len());
                Err(self.failed("loopback", io::Error::other(reason)))
            }
        }
    }

    fn failed(&self, call: &'static str, source: io::Error) -> VerbsError {
        VerbsError::Call { call, device: self.device.name().to_owned(), source }
    }
}

/// A byte that tells its place, packets apart as well as neighbours.
fn pattern(place: usize) -> u8 {
    (place as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]
}
