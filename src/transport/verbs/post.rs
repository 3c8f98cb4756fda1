//! Planned requests as lists for the device, at most [`DOORBELL_REQUESTS`] a call.

use super::counts::OpcodeCounts;
use super::pairing::PARTS_MAX;
use super::plan::{Binding, DOORBELL_REQUESTS, Operation, Request};
use super::resource::QueuePair;
use rdma_sys::*;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{null_mut, with_exposed_provenance_mut};

const PARTS: usize = PARTS_MAX as usize;

/// Posts `requests`, of which the first is number `first` of the queue pair.
///
/// # Safety
/// The memory that the requests name is registered and stays as it is until a signaled completion at
/// or behind its request, or until the queue pair is destroyed; that of inline requests until the call returns.
/// Windows live until their requests are done or the queue pair is halted, regions as long as a window is
/// bound to them.
pub(super) unsafe fn post(
    pair: &QueuePair,
    first: u64,
    requests: &[Request],
    counts: &mut OpcodeCounts,
) -> Result<(), io::Error> {
    for (index, chunk) in requests.chunks(DOORBELL_REQUESTS).enumerate() {
        // SAFETY: the caller's contract.
        unsafe { post_list(pair, first + (index * DOORBELL_REQUESTS) as u64, chunk)? };
        counts.doorbells += 1;
        chunk.iter().for_each(|request| counts.add(request));
    }
    Ok(())
}

/// # Safety
/// As for [`post`], with at most as many requests as one list holds.
unsafe fn post_list(pair: &QueuePair, first: u64, requests: &[Request]) -> Result<(), io::Error> {
    // Only what is posted is written: a small frame is one request of many that would fit.
    let mut places = [const { [const { MaybeUninit::<ibv_sge>::uninit() }; PARTS] }; DOORBELL_REQUESTS];
    let mut list = [const { MaybeUninit::<ibv_send_wr>::uninit() }; DOORBELL_REQUESTS];
    let count = requests.len().min(DOORBELL_REQUESTS);
    let mut next = null_mut();
    for (index, request) in requests.iter().enumerate().take(count).rev() {
        for (place, part) in places[index].iter_mut().zip(&request.parts) {
            place.write(ibv_sge { addr: part.address, length: part.bytes, lkey: part.key });
        }
        // SAFETY: all-zero bits are a valid value of every field of a request.
        let posted = list[index].write(unsafe { MaybeUninit::zeroed().assume_init() });
        posted.wr_id = first + index as u64;
        posted.next = next;
        posted.sg_list = places[index].as_mut_ptr().cast();
        posted.num_sge = request.parts.len().min(PARTS) as i32;
        describe(posted, request);
        next = posted;
    }
    let mut bad = null_mut();
    // SAFETY: the pair lives; the list, of which `next` is the first, lives to the end of the call; the caller
    // vouches for the memory, windows and regions.
    let code = unsafe { ibv_post_send(pair.as_ptr(), next, &raw mut bad) };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code.abs()));
    }
    for request in requests {
        if let Operation::Bind(binding) = request.operation {
            // SAFETY: the caller vouches for the window; whoever posts its binding counts its key.
            unsafe { (*window_of(&binding)).rkey = binding.key };
        }
    }
    Ok(())
}

fn window_of(binding: &Binding) -> *mut ibv_mw {
    with_exposed_provenance_mut(binding.window)
}

fn describe(posted: &mut ibv_send_wr, request: &Request) {
    let remote = match request.operation {
        Operation::Send => {
            posted.opcode = ibv_wr_opcode::IBV_WR_SEND;
            None
        }
        Operation::Write(remote) => {
            posted.opcode = ibv_wr_opcode::IBV_WR_RDMA_WRITE;
            Some(remote)
        }
        Operation::WriteWithImmediate(remote, immediate) => {
            posted.opcode = ibv_wr_opcode::IBV_WR_RDMA_WRITE_WITH_IMM;
            posted.imm_data_invalidated_rkey_union.imm_data = immediate.to_be();
            Some(remote)
        }
        Operation::Read(remote) => {
            posted.opcode = ibv_wr_opcode::IBV_WR_RDMA_READ;
            Some(remote)
        }
        Operation::Bind(binding) => {
            posted.opcode = ibv_wr_opcode::IBV_WR_BIND_MW;
            let bind_info = ibv_mw_bind_info {
                mr: with_exposed_provenance_mut(binding.region),
                addr: binding.address,
                length: binding.bytes,
                mw_access_flags: ibv_access_flags::IBV_ACCESS_REMOTE_WRITE.0,
            };
            posted.bind_mw_tso_union.bind_mw = bind_mw_t { mw: window_of(&binding), rkey: binding.key, bind_info };
            None
        }
        Operation::Invalidate(key) => {
            posted.opcode = ibv_wr_opcode::IBV_WR_LOCAL_INV;
            posted.imm_data_invalidated_rkey_union.invalidated_rkey = key;
            None
        }
    };
    if let Some(remote) = remote {
        posted.wr.rdma = rdma_t { remote_addr: remote.address, rkey: remote.key };
    }
    let flag = |is_set: bool, flag: ibv_send_flags| if is_set { flag.0 } else { 0 };
    posted.send_flags = flag(request.is_signaled, ibv_send_flags::IBV_SEND_SIGNALED)
        | flag(request.is_inline, ibv_send_flags::IBV_SEND_INLINE);
}
