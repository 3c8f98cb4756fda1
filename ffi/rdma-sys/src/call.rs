//! The exported functions of libibverbs. Contracts are those of its manual pages (`man 3 ibv_reg_mr`).
//!
//! A call before [`crate::load`] has succeeded fails with `ENOSYS`: as the returned number where the
//! function returns one, else with NULL and `errno` set.

use crate::context::ibv_context;
use crate::enumeration::*;
use crate::load::table;
use crate::structure::*;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// What a call answers when there is no library.
trait Missing {
    fn missing() -> Self;
}

impl Missing for c_int {
    fn missing() -> c_int {
        set_errno(libc::ENOSYS);
        libc::ENOSYS
    }
}

impl Missing for () {
    fn missing() {}
}

impl<T> Missing for *mut T {
    fn missing() -> *mut T {
        set_errno(libc::ENOSYS);
        null_mut()
    }
}

impl Missing for *const c_char {
    fn missing() -> *const c_char {
        c"unknown".as_ptr()
    }
}

pub(crate) fn set_errno(number: c_int) {
    // SAFETY: the C library hands out the address of this thread's own errno.
    unsafe { *libc::__errno_location() = number };
}

/// Functions that do nothing but call their namesake.
macro_rules! calls {
    ($($name:ident($($argument:ident: $kind:ty),*) $(-> $answer:ty)?;)+) => {
        $(
            #[doc = concat!("`", stringify!($name), "` of libibverbs.")]
            ///
            /// # Safety
            /// Pointers must be what the manual page asks for, and live as long as it says.
            pub unsafe fn $name($($argument: $kind),*) $(-> $answer)? {
                match table() {
                    // SAFETY: the caller keeps the contract of the C function.
                    Some(table) => unsafe { (table.$name)($($argument),*) },
                    None => Missing::missing(),
                }
            }
        )+
    };
}

calls! {
    ibv_fork_init() -> c_int;
    ibv_get_device_list(num_devices: *mut c_int) -> *mut *mut ibv_device;
    ibv_free_device_list(list: *mut *mut ibv_device);
    ibv_get_device_name(device: *mut ibv_device) -> *const c_char;
    ibv_open_device(device: *mut ibv_device) -> *mut ibv_context;
    ibv_close_device(context: *mut ibv_context) -> c_int;
    ibv_get_async_event(context: *mut ibv_context, event: *mut ibv_async_event) -> c_int;
    ibv_ack_async_event(event: *mut ibv_async_event);
    ibv_query_device(context: *mut ibv_context, device_attr: *mut ibv_device_attr) -> c_int;
    ibv_query_gid(context: *mut ibv_context, port_num: u8, index: c_int, gid: *mut ibv_gid) -> c_int;
    ibv_alloc_pd(context: *mut ibv_context) -> *mut ibv_pd;
    ibv_dealloc_pd(pd: *mut ibv_pd) -> c_int;
    ibv_dereg_mr(mr: *mut ibv_mr) -> c_int;
    ibv_create_comp_channel(context: *mut ibv_context) -> *mut ibv_comp_channel;
    ibv_destroy_comp_channel(channel: *mut ibv_comp_channel) -> c_int;
    ibv_create_cq(context: *mut ibv_context, cqe: c_int, cq_context: *mut c_void, channel: *mut ibv_comp_channel, comp_vector: c_int) -> *mut ibv_cq;
    ibv_resize_cq(cq: *mut ibv_cq, cqe: c_int) -> c_int;
    ibv_destroy_cq(cq: *mut ibv_cq) -> c_int;
    ibv_get_cq_event(channel: *mut ibv_comp_channel, cq: *mut *mut ibv_cq, cq_context: *mut *mut c_void) -> c_int;
    ibv_ack_cq_events(cq: *mut ibv_cq, nevents: c_uint);
    ibv_create_srq(pd: *mut ibv_pd, srq_init_attr: *mut ibv_srq_init_attr) -> *mut ibv_srq;
    ibv_destroy_srq(srq: *mut ibv_srq) -> c_int;
    ibv_create_qp(pd: *mut ibv_pd, qp_init_attr: *mut ibv_qp_init_attr) -> *mut ibv_qp;
    ibv_modify_qp(qp: *mut ibv_qp, attr: *mut ibv_qp_attr, attr_mask: c_int) -> c_int;
    ibv_query_qp(qp: *mut ibv_qp, attr: *mut ibv_qp_attr, attr_mask: c_int, init_attr: *mut ibv_qp_init_attr) -> c_int;
    ibv_destroy_qp(qp: *mut ibv_qp) -> c_int;
    ibv_node_type_str(node_type: ibv_node_type) -> *const c_char;
    ibv_port_state_str(port_state: ibv_port_state) -> *const c_char;
    ibv_event_type_str(event: ibv_event_type) -> *const c_char;
    ibv_wc_status_str(status: ibv_wc_status) -> *const c_char;
}

/// `ibv_reg_mr` of the header: optional access flags go to the function that knows them, and are left
/// out where the library is too old to have it.
///
/// # Safety
/// `addr` must lead to `length` bytes that stay mapped until the region is deregistered.
pub unsafe fn ibv_reg_mr(pd: *mut ibv_pd, addr: *mut c_void, length: usize, access: c_int) -> *mut ibv_mr {
    let Some(table) = table() else { return Missing::missing() };
    let flags = access.cast_unsigned();
    match table.ibv_reg_mr_iova2 {
        // SAFETY: the caller keeps the contract of the C function; regions begin at their own address.
        Some(register) if flags & IBV_ACCESS_OPTIONAL_RANGE != 0 => unsafe {
            register(pd, addr, length, addr as u64, flags)
        },
        // SAFETY: the caller keeps the contract of the C function.
        _ => unsafe { (table.ibv_reg_mr)(pd, addr, length, (flags & !IBV_ACCESS_OPTIONAL_RANGE).cast_signed()) },
    }
}

/// `ibv_query_gid_ex` of the header: a GID with its type and network device. `EOPNOTSUPP` where the
/// library is too old to have it.
///
/// # Safety
/// `context` must be an open device, `entry` one to write to.
pub unsafe fn ibv_query_gid_ex(
    context: *mut ibv_context,
    port_num: u32,
    gid_index: u32,
    entry: *mut ibv_gid_entry,
    flags: u32,
) -> c_int {
    let Some(table) = table() else { return Missing::missing() };
    match table._ibv_query_gid_ex {
        // SAFETY: the caller keeps the contract of the C function.
        Some(query) => unsafe { query(context, port_num, gid_index, entry, flags, size_of::<ibv_gid_entry>()) },
        None => libc::EOPNOTSUPP,
    }
}
