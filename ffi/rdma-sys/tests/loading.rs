//! The library found or not found at run time, and what a program that carries these bindings demands.

use rdma_sys::*;
use std::process::Command;

#[test]
fn loading_says_that_the_library_is_there_or_what_is_missing() {
    match load() {
        // SAFETY: the list is given back once, and not used afterwards.
        Ok(()) => unsafe {
            let mut count = -1;
            let list = ibv_get_device_list(&raw mut count);
            let reason = std::io::Error::last_os_error();
            if list.is_null() {
                assert_eq!(reason.raw_os_error(), Some(libc::ENOSYS), "NULL must mean that there is no RDMA here");
            } else {
                assert!(count >= 0);
                ibv_free_device_list(list);
            }
        },
        Err(error) => assert!(error.to_string().contains(LIBRARY), "{error}"),
    }
}

#[test]
fn the_optional_flags_name_what_they_are() {
    assert_eq!(format!("{:?}", ibv_wc_status::IBV_WC_RETRY_EXC_ERR), "IBV_WC_RETRY_EXC_ERR");
    assert_eq!(format!("{:?}", ibv_wc_status(999)), "ibv_wc_status(0x3e7)");
    let both = ibv_access_flags::IBV_ACCESS_LOCAL_WRITE | ibv_access_flags::IBV_ACCESS_REMOTE_WRITE;
    assert_eq!(both.0, 3);
}

#[test]
fn only_the_low_byte_of_a_remote_key_counts_up() {
    assert_eq!(ibv_inc_rkey(0x1234_5601), 0x1234_5602);
    assert_eq!(ibv_inc_rkey(0x1234_56ff), 0x1234_5600);
}

#[test]
fn a_program_with_these_bindings_neither_demands_nor_offers_a_verbs_symbol() {
    let program = std::env::current_exe().expect("this test is a program");
    let symbols = Command::new("nm").arg("-D").arg(&program).output().expect("nm comes with gcc");
    assert!(symbols.status.success());
    let text = String::from_utf8_lossy(&symbols.stdout);
    assert!(text.contains("malloc"), "nm lists the dynamic symbols: {text}");
    assert!(!text.contains("ibv_"), "{text}");
    let needed = Command::new("readelf").arg("-d").arg(&program).output().expect("readelf comes with gcc");
    let text = String::from_utf8_lossy(&needed.stdout);
    assert!(text.contains("NEEDED") && !text.contains("ibverbs"), "{text}");
}
