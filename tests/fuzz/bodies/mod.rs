//! What each fuzz target does with its bytes, as plain functions: the fuzzer calls them with bytes
//! of its own, `tests/fuzz_corpus.rs` with those that are kept. They panic on a defect and return
//! otherwise, whatever the bytes are.

pub(crate) mod block;
pub(crate) mod control;
pub(crate) mod filter;
pub(crate) mod frame;
pub(crate) mod model;
pub(crate) mod rows;
mod scratch;

/// A target: its name, which is also the folder of its corpus, and what it does.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const TARGETS: [Target; 6] = [
    ("frame", frame::frame),
    ("control", control::control),
    ("rows", rows::rows),
    ("block", block::block),
    ("model", model::model),
    ("filter", filter::filter),
];
