//! What the header has as inline functions: calls through the device's operation table.
//!
//! They are on the data path, so they look at nothing but the table of the object they are given.

use crate::call::set_errno;
use crate::context::{ibv_context, verbs_context};
use crate::enumeration::ibv_mw_type;
use crate::load::table;
use crate::structure::*;
use crate::work_request::{ibv_recv_wr, ibv_send_wr};
use std::ffi::c_int;
use std::mem::offset_of;
use std::ptr::null_mut;

/// `ibv_post_send`: posts a list; 0, or an error number with `bad_wr` at the first request not posted.
///
/// # Safety
/// `qp` must be a queue pair, and the list and its buffers as its manual page demands.
#[inline]
pub unsafe fn ibv_post_send(qp: *mut ibv_qp, wr: *mut ibv_send_wr, bad_wr: *mut *mut ibv_send_wr) -> c_int {
    // SAFETY: a queue pair names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*qp).context).ops.post_send {
            Some(post) => post(qp, wr, bad_wr),
            None => libc::EOPNOTSUPP,
        }
    }
}

/// `ibv_post_recv`: posts a list to a queue pair without shared receive queue.
///
/// # Safety
/// As for [`ibv_post_send`].
#[inline]
pub unsafe fn ibv_post_recv(qp: *mut ibv_qp, wr: *mut ibv_recv_wr, bad_wr: *mut *mut ibv_recv_wr) -> c_int {
    // SAFETY: a queue pair names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*qp).context).ops.post_recv {
            Some(post) => post(qp, wr, bad_wr),
            None => libc::EOPNOTSUPP,
        }
    }
}

/// `ibv_post_srq_recv`: posts a list to a shared receive queue.
///
/// # Safety
/// As for [`ibv_post_send`], with `srq` a shared receive queue.
#[inline]
pub unsafe fn ibv_post_srq_recv(srq: *mut ibv_srq, wr: *mut ibv_recv_wr, bad_wr: *mut *mut ibv_recv_wr) -> c_int {
    // SAFETY: a shared receive queue names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*srq).context).ops.post_srq_recv {
            Some(post) => post(srq, wr, bad_wr),
            None => libc::EOPNOTSUPP,
        }
    }
}

/// `ibv_poll_cq`: takes up to `num_entries` completions; their number, or a negative one on failure.
///
/// # Safety
/// `cq` must be a completion queue, and `wc` lead to room for `num_entries`.
#[inline]
pub unsafe fn ibv_poll_cq(cq: *mut ibv_cq, num_entries: c_int, wc: *mut ibv_wc) -> c_int {
    // SAFETY: a completion queue names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*cq).context).ops.poll_cq {
            Some(poll) => poll(cq, num_entries, wc),
            None => -1,
        }
    }
}

/// `ibv_req_notify_cq`: asks for an event on the channel at the next completion.
///
/// # Safety
/// `cq` must be a completion queue.
#[inline]
pub unsafe fn ibv_req_notify_cq(cq: *mut ibv_cq, solicited_only: c_int) -> c_int {
    // SAFETY: a completion queue names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*cq).context).ops.req_notify_cq {
            Some(ask) => ask(cq, solicited_only),
            None => libc::EOPNOTSUPP,
        }
    }
}

/// `ibv_alloc_mw`: a memory window; NULL and `errno` on failure. One of type 2 is bound by posting
/// `IBV_WR_BIND_MW`.
///
/// # Safety
/// `pd` must be a protection domain.
pub unsafe fn ibv_alloc_mw(pd: *mut ibv_pd, kind: ibv_mw_type) -> *mut ibv_mw {
    // SAFETY: a protection domain names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*pd).context).ops.alloc_mw {
            Some(alloc) => alloc(pd, kind),
            None => {
                set_errno(libc::EOPNOTSUPP);
                null_mut()
            }
        }
    }
}

/// `ibv_dealloc_mw`: ends a memory window, bound or not.
///
/// # Safety
/// `mw` must come from [`ibv_alloc_mw`] and is gone afterwards.
pub unsafe fn ibv_dealloc_mw(mw: *mut ibv_mw) -> c_int {
    // SAFETY: a window names its open device; the caller keeps the rest of the contract.
    unsafe {
        match (*(*mw).context).ops.dealloc_mw {
            Some(dealloc) => dealloc(mw),
            None => libc::EOPNOTSUPP,
        }
    }
}

/// `ibv_inc_rkey`: the next remote key of a window of type 2; its low byte is the user's to count.
#[must_use]
pub fn ibv_inc_rkey(rkey: u32) -> u32 {
    (rkey & !0xff) | (rkey.wrapping_add(1) & 0xff)
}

/// `ibv_query_port` of the header. The exported function of this name knows only an older, shorter
/// structure, so it serves only where the provider has no extended one.
///
/// # Safety
/// `context` must be an open device, `port_attr` one to write to.
pub unsafe fn ibv_query_port(context: *mut ibv_context, port_num: u8, port_attr: *mut ibv_port_attr) -> c_int {
    // SAFETY: the device is open, and the caller's structure is as long as said.
    unsafe {
        if let Some(query) = extended_query_port(context) {
            return query(context, port_num, port_attr, size_of::<ibv_port_attr>());
        }
        let Some(table) = table() else { return libc::ENOSYS };
        port_attr.write_bytes(0, 1);
        (table.ibv_query_port)(context, port_num, port_attr.cast())
    }
}

type QueryPort = unsafe extern "C" fn(*mut ibv_context, u8, *mut ibv_port_attr, usize) -> c_int;

/// # Safety
/// `context` must be an open device.
unsafe fn extended_query_port(context: *mut ibv_context) -> Option<QueryPort> {
    const REACH: usize = size_of::<verbs_context>() - offset_of!(verbs_context, query_port);
    // SAFETY: the mark says that the context is the last field of a `verbs_context`, whose `sz` stands
    // right before it; the field is read only where that size reaches it.
    unsafe {
        if (*context).abi_compat as usize != usize::MAX {
            return None;
        }
        let around = context.byte_sub(offset_of!(verbs_context, context)).cast::<verbs_context>();
        if (&raw const (*around).sz).read() < REACH { None } else { (&raw const (*around).query_port).read() }
    }
}
