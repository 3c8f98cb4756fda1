//! A whole cluster from one seed, in virtual time: production state machines, drivers, store and
//! clocks on the simulated network, with broken connections, late, doubled, damaged and overtaking
//! frames, cuts and pauses.
//!
//! `PARASHARD_SIM_SEEDS=1000` runs more seeds, `PARASHARD_SIM_SEED=17` one of them. A seed that fails
//! is printed with the line that runs it alone.
//!
//! `plan` says what a seed means, `program` what a worker does, `oracle` what it may see, `cluster`
//! runs it all; `seed`, `shape` and `ending` are the tests. `lines` is the worker of training, for `loss`: crashes
//! and slow workers. `straggler` is a job with a slow worker, `waiting` says who waits in it.

mod cluster;
mod ending;
mod lines;
mod loss;
mod number;
mod oracle;
mod plan;
mod pool_of_work;
mod program;
mod result;
mod seed;
mod shape;
mod straggler;
mod waiting;
mod watch;
