//! A `parashard` with filters of its own: on workers one that sends a key every second time, on servers one that lets
//! a worker go on with what it has of a weight as long as that is nearly right.
//!
//! `cargo run --release --example filters -- train --filters key_cache,nonzero,own:every_second,own_pull:near:0.01
//! --train FILE --model FILE` trains with both. On many machines servers and workers run the same program; a server
//! or worker without the command line takes its filters in `NodeConfig`.

use parashard::cli::{Extensions, run_with};
use parashard::client::{PullFilter, PushFilter};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Holds back every key that was not held back the last time. What is held back is added to the key's next push.
#[derive(Default)]
struct EverySecond(BTreeSet<u64>);

impl EverySecond {
    fn hold(&mut self, keys: &[u64], held: &mut [bool]) {
        for (key, held) in keys.iter().zip(held) {
            *held = !self.0.remove(key) && self.0.insert(*key);
        }
    }
}

impl PushFilter for EverySecond {
    fn push_f32(&mut self, keys: &[u64], _values: &mut [f32], held: &mut [bool]) {
        self.hold(keys, held);
    }

    fn push_f64(&mut self, keys: &[u64], _values: &mut [f64], held: &mut [bool]) {
        self.hold(keys, held);
    }
}

/// Keeps what a worker has of a key as long as it is off by at most this share of the weight.
struct Near(f64);

impl PullFilter for Near {
    fn answer_f32(&mut self, _keys: &[u64], before: Option<&[f32]>, values: &mut [f32], kept: &mut [bool]) {
        // Without `before` the worker has nothing, and everything is told.
        for ((before, now), kept) in before.unwrap_or_default().iter().zip(values).zip(kept) {
            *kept = f64::from((*now - before).abs()) <= self.0 * f64::from(now.abs());
        }
    }

    fn answer_f64(&mut self, _keys: &[u64], before: Option<&[f64]>, values: &mut [f64], kept: &mut [bool]) {
        for ((before, now), kept) in before.unwrap_or_default().iter().zip(values).zip(kept) {
            *kept = (*now - before).abs() <= self.0 * now.abs();
        }
    }
}

/// The filters, by the names that tables declare.
pub(crate) fn extensions() -> Result<Extensions, String> {
    let mut own = Extensions::default();
    own.push_filters.register("every_second", |_table, _number| Ok(Box::new(EverySecond::default())))?;
    own.pull_filters.register("near", |table, share| match table.width {
        1 => Ok(Box::new(Near(share))),
        width => Err(format!("it is for tables of width 1, this one has {width}")),
    })?;
    Ok(own)
}

pub(crate) fn main() -> ExitCode {
    match extensions() {
        Ok(own) => ExitCode::from(run_with(&own)),
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}
