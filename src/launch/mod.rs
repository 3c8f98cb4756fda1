//! Starting a job: from an environment to the configuration of its nodes, and, on one machine, the
//! processes themselves.
//!
//! * `job_dir` the job's folder: its id, its secret, the scheduler's address. 0700, files 0600.
//! * `local`   starts scheduler, servers and workers as children of this process, passes signals on
//!   and brings every one of them home.
//! * `signal`  which signals are heard.
//!
//! Slurm, MPI and host files have their places here; they read other environments into the same
//! [`NodeConfig`](crate::node::NodeConfig).

mod job_dir;
mod local;
mod signal;

pub use job_dir::{JOB_DIR_VARIABLE, JobDir, Member, wait_for_scheduler};
pub use local::{LocalJob, run_local};
pub use signal::{survive_file_size_limit, watch_stop_signals};
