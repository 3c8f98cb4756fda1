//! Other programs on the same machine, for the same work: started on the server's core and on
//! loopback, ended with the benchmark.
//!
//! * `program`  starts and ends programs.
//! * `mpi`      one-sided accumulate and get of OpenMPI and MPICH (`bench/peers/mpi_rma.c`).
//! * `redis`    pipelined increments and gets.
//! * `set`      all of them, run by run.

mod mpi;
mod program;
mod redis;
mod set;

use mpi::{Mpi, MpiPoint};
use redis::{Redis, Script};

pub(crate) use mpi::MpiKind;
pub(crate) use program::{Program, find, free_port, run};
pub(crate) use redis::RedisWork;
pub(crate) use set::{PeerPlan, PeerPoint, PeerSet};
