//! Tests that run the program `parashard` in machines of their own.

mod doctor;
mod fault;
mod network;
mod train;

use crate::Test;

/// Every test of this folder.
pub(crate) const TESTS: &[Test] = tests![
    doctor::doctor_finds_the_device_usable,
    train::a_model_trained_over_verbs_has_the_bytes_of_one_over_tcp,
    train::two_machines_train_over_their_wire,
    network::a_wire_that_fails_costs_time_and_one_that_stays_down_ends_the_job,
    fault::jobs_that_cannot_start_say_what_to_mend,
    fault::a_peer_that_is_killed_while_it_writes_ends_the_job_and_leaves_nothing,
    fault::a_device_whose_network_fails_alone_costs_time_and_nothing_else,
    fault::a_device_that_is_removed_is_let_go_and_later_jobs_say_what_is_missing,
];
