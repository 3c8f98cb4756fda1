//! Two queue pairs of one port, connected to each other: is what is written what arrives?

use super::choice::LocalPort;
use super::error::VerbsError;
use super::guard::{CompletionQueue, ProtectionDomain, QueuePair, Region};
use memmap2::MmapMut;
use rdma_sys::{ibv_wc, ibv_wc_opcode, ibv_wc_status, ibv_wr_opcode};
use std::io;
use std::time::{Duration, Instant};

/// What is moved: several packets at every MTU, and no whole number of them.
const PATTERN_BYTES: usize = 40_000;
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
        let mut memory = MmapMut::map_anon(3 * PATTERN_BYTES).map_err(|source| self.failed("mmap", source))?;
        let (start, bytes) = (memory.as_mut_ptr(), memory.len());
        for (place, byte) in memory[..PATTERN_BYTES].iter_mut().enumerate() {
            *byte = pattern(place);
        }
        let domain = ProtectionDomain::new(&self.device)?;
        let queue = CompletionQueue::new(&self.device)?;
        // SAFETY: the mapping outlives the region, which is dropped before it; it is not touched
        // between a post and the completions that are waited for.
        let region = unsafe { Region::new(&domain, start, bytes) }?;
        let pairs = [QueuePair::new(&domain, &queue, 0)?, QueuePair::new(&domain, &queue, 0)?];
        pairs[0].connect(self, pairs[1].number())?;
        pairs[1].connect(self, pairs[0].number())?;
        let [source, target, back] = [0, 1, 2].map(|part| start as u64 + (part * PATTERN_BYTES) as u64);

        let begin = Instant::now();
        pairs[1].post_receive(RECEIVE)?;
        pairs[0].post(
            WRITE,
            ibv_wr_opcode::IBV_WR_RDMA_WRITE_WITH_IMM,
            &region,
            source,
            target,
            PATTERN_BYTES as u32,
        )?;
        let (first, second) = (self.completion(&queue)?, self.completion(&queue)?);
        let write = begin.elapsed();
        self.check_immediate(if first.wr_id == RECEIVE { &first } else { &second })?;

        let begin = Instant::now();
        pairs[0].post(READ, ibv_wr_opcode::IBV_WR_RDMA_READ, &region, back, target, PATTERN_BYTES as u32)?;
        self.completion(&queue)?;
        let read = begin.elapsed();
        drop((pairs, region));
        self.compare("RDMA WRITE", &memory[PATTERN_BYTES..2 * PATTERN_BYTES])?;
        self.compare("RDMA READ", &memory[2 * PATTERN_BYTES..])?;
        Ok(LoopbackTimes { bytes: PATTERN_BYTES, write, read })
    }

    /// The next completion, which must be a success.
    fn completion(&self, queue: &CompletionQueue) -> Result<ibv_wc, VerbsError> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match queue.poll()? {
                Some(completion) if completion.status == ibv_wc_status::IBV_WC_SUCCESS => return Ok(completion),
                Some(completion) => {
                    let reason = format!("request {} ended in {:?}", completion.wr_id, completion.status);
                    return Err(self.failed("loopback", io::Error::other(reason)));
                }
                None => std::thread::yield_now(),
            }
        }
        Err(self.failed("loopback", io::Error::new(io::ErrorKind::TimedOut, "nothing completed in five seconds")))
    }

    fn check_immediate(&self, completion: &ibv_wc) -> Result<(), VerbsError> {
        // SAFETY: four bytes are valid in either view of the union.
        let immediate = u32::from_be(unsafe { completion.imm_data_invalidated_rkey_union.imm_data });
        if completion.opcode == ibv_wc_opcode::IBV_WC_RECV_RDMA_WITH_IMM && u64::from(immediate) == WRITE {
            return Ok(());
        }
        let reason = format!("{:?} with immediate {immediate} came instead of the WRITE's own", completion.opcode);
        Err(self.failed("loopback", io::Error::other(reason)))
    }

    fn compare(&self, what: &str, bytes: &[u8]) -> Result<(), VerbsError> {
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

/// Names of the requests.
const RECEIVE: u64 = 1;
const WRITE: u64 = 2;
const READ: u64 = 3;

/// A byte that tells its place, packets apart as well as neighbours.
fn pattern(place: usize) -> u8 {
    (place as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]
}
