//! Tests that run where an RDMA device is: in the machine, or on a host that has one.

mod device;

/// Every test with its name.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_port_and_its_gid_are_chosen", device::a_port_and_its_gid_are_chosen),
    ("a_gid_index_that_is_not_there_is_an_error", device::a_gid_index_that_is_not_there_is_an_error),
];
