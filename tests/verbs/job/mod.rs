//! Tests that run the program `parashard` in machines of their own.

mod doctor;
mod fault;
mod train;

use crate::Test;

/// Every test of this folder.
pub(crate) const TESTS: &[Test] = tests![
    doctor::doctor_finds_the_device_usable,
    train::a_model_trained_over_verbs_has_the_bytes_of_one_over_tcp,
    train::two_machines_train_over_their_wire,
    fault::a_job_without_lockable_memory_says_how_to_get_it,
    fault::a_job_with_a_wrong_gid_index_says_so,
    fault::a_peer_that_is_killed_while_it_writes_ends_the_job_and_leaves_nothing,
    fault::a_device_that_is_removed_ends_no_process_by_force,
];
