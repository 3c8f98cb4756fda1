//! Tests that run where an RDMA device is: in the machine, or on a host that has one.

mod data;
mod device;
mod fault;
mod flow;
mod life;
mod pair;
mod window;

use crate::Test;

/// Every test of this folder.
pub(crate) fn tests() -> impl Iterator<Item = Test> {
    [device::TESTS, data::TESTS, flow::TESTS, window::TESTS, fault::TESTS, life::TESTS].into_iter().flatten().copied()
}
