//! Which device, port and GID are taken.

use super::Test;
use parashard::transport::verbs::{Library, LocalPort, VerbsConfig};

/// The tests of this file.
pub(super) const TESTS: &[Test] = tests![a_port_and_its_gid_are_chosen, a_gid_index_that_is_not_there_is_an_error,];

fn a_port_and_its_gid_are_chosen() {
    let library = Library::load().expect("libibverbs");
    let config = VerbsConfig::from_environment().expect("the environment's settings");
    let port = LocalPort::choose(library, &config, None).expect("a usable port");
    let gid = port.gid.as_ref().map_or_else(|| "none".to_owned(), |gid| format!("{} ({})", gid.index, gid.gid));
    println!("report: device {} port {}, GID {gid}, MTU {}", port.device.name(), port.port.number, port.mtu.bytes());
}

fn a_gid_index_that_is_not_there_is_an_error() {
    let library = Library::load().expect("libibverbs");
    let config = VerbsConfig { gid_index: Some(200), ..VerbsConfig::default() };
    let error = LocalPort::choose(library, &config, None).expect_err("there are not so many GIDs").to_string();
    assert!(error.contains("200") && error.lines().count() == 1, "{error}");
}
