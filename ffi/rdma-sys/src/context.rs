//! An open device: its table of operations, through which the header's inline calls go, and the
//! larger structure around it, through which newer calls go.

#![allow(missing_docs, reason = "names and meanings are the header's; its manual pages explain them")]

use crate::enumeration::ibv_mw_type;
use crate::structure::*;
use crate::work_request::{ibv_recv_wr, ibv_send_wr};
use libc::pthread_mutex_t;
use std::ffi::{c_int, c_void};

/// An entry of an operation table that is never called from here.
pub type unused_operation = *mut c_void;

#[repr(C)]
pub struct ibv_context_ops {
    pub _compat_query_device: unused_operation,
    pub _compat_query_port: unused_operation,
    pub _compat_alloc_pd: unused_operation,
    pub _compat_dealloc_pd: unused_operation,
    pub _compat_reg_mr: unused_operation,
    pub _compat_rereg_mr: unused_operation,
    pub _compat_dereg_mr: unused_operation,
    pub alloc_mw: Option<unsafe extern "C" fn(*mut ibv_pd, ibv_mw_type) -> *mut ibv_mw>,
    pub bind_mw: unused_operation,
    pub dealloc_mw: Option<unsafe extern "C" fn(*mut ibv_mw) -> c_int>,
    pub _compat_create_cq: unused_operation,
    pub poll_cq: Option<unsafe extern "C" fn(*mut ibv_cq, c_int, *mut ibv_wc) -> c_int>,
    pub req_notify_cq: Option<unsafe extern "C" fn(*mut ibv_cq, c_int) -> c_int>,
    pub _compat_cq_event: unused_operation,
    pub _compat_resize_cq: unused_operation,
    pub _compat_destroy_cq: unused_operation,
    pub _compat_create_srq: unused_operation,
    pub _compat_modify_srq: unused_operation,
    pub _compat_query_srq: unused_operation,
    pub _compat_destroy_srq: unused_operation,
    pub post_srq_recv: Option<unsafe extern "C" fn(*mut ibv_srq, *mut ibv_recv_wr, *mut *mut ibv_recv_wr) -> c_int>,
    pub _compat_create_qp: unused_operation,
    pub _compat_query_qp: unused_operation,
    pub _compat_modify_qp: unused_operation,
    pub _compat_destroy_qp: unused_operation,
    pub post_send: Option<unsafe extern "C" fn(*mut ibv_qp, *mut ibv_send_wr, *mut *mut ibv_send_wr) -> c_int>,
    pub post_recv: Option<unsafe extern "C" fn(*mut ibv_qp, *mut ibv_recv_wr, *mut *mut ibv_recv_wr) -> c_int>,
    pub _compat_create_ah: unused_operation,
    pub _compat_destroy_ah: unused_operation,
    pub _compat_attach_mcast: unused_operation,
    pub _compat_detach_mcast: unused_operation,
    pub _compat_async_event: unused_operation,
}

#[repr(C)]
pub struct ibv_context {
    pub device: *mut ibv_device,
    pub ops: ibv_context_ops,
    pub cmd_fd: c_int,
    pub async_fd: c_int,
    pub num_comp_vectors: c_int,
    pub mutex: pthread_mutex_t,
    /// All bits set when a [`verbs_context`] lies around this structure.
    pub abi_compat: *mut c_void,
}

/// What lies around an [`ibv_context`] of an extended provider. It grows at its front, so a field is
/// there when `sz` reaches from the end as far as the field.
#[repr(C)]
pub struct verbs_context {
    pub query_port: Option<unsafe extern "C" fn(*mut ibv_context, u8, *mut ibv_port_attr, usize) -> c_int>,
    /// Everything between `query_port` and `sz`, `advise_mr` to the last placeholder.
    pub unused: [unused_operation; 38],
    pub sz: usize,
    pub context: ibv_context,
}
