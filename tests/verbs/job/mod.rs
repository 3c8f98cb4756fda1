//! Tests that run the program `parashard` in machines of their own.

mod doctor;

/// Every test with its name.
pub(crate) const TESTS: &[(&str, fn())] = &[("doctor_finds_the_device_usable", doctor::doctor_finds_the_device_usable)];
