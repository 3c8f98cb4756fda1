//! Calls in a process that never loaded the library; a program of its own, as loading is for good.

use rdma_sys::*;
use std::ptr::null_mut;

#[test]
fn before_loading_every_call_fails_as_on_a_machine_without_rdma() {
    // SAFETY: without a library nothing is done with the pointers.
    unsafe {
        assert!(ibv_get_device_list(null_mut()).is_null());
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOSYS));
        assert_eq!(ibv_close_device(null_mut()), libc::ENOSYS);
        assert!(ibv_reg_mr(null_mut(), null_mut(), 0, 0).is_null());
        assert_eq!(ibv_query_gid_ex(null_mut(), 1, 0, null_mut(), 0), libc::ENOSYS);
    }
}
