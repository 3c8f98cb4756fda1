//! Starting a job: from an environment to the configuration of its nodes, and, on one machine, the
//! processes or threads themselves.
//!
//! * `job_dir` the job's folder: its id, its secret, the scheduler's address. 0700, files 0600.
//! * `local`   starts scheduler, servers and workers as children of this process, passes signals on
//!   and brings every one of them home.
//! * `in_process`  the same with threads of this process.
//! * `member`  who belongs to a job, and what both do when one ends.
//! * `signal`  which signals are heard.
//!
//! Slurm, MPI and host files have their places here; they read other environments into the same
//! [`NodeConfig`](crate::node::NodeConfig).

mod in_process;
mod job_dir;
mod local;
mod member;
mod signal;

pub use in_process::{CheckOutputs, InProcessJob, Listening, Roles, RunScheduler, run_in_process};
pub use job_dir::{JOB_DIR_VARIABLE, JobDir, wait_for_scheduler};
pub use local::{LocalJob, run_local};
pub use member::Member;
pub use signal::{survive_file_size_limit, watch_stop_signals};
