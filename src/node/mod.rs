//! The driver: event loop, configuration, clock, files. The only place where protocol meets transport.
//!
//! * `driver`      one state machine on one transport.
//! * `server`      a server process: one thread a shard, each with a driver of its own.
//! * `scheduler`   the scheduler process: its driver, the model's files, the launcher's words.
//! * `worker`      opens a worker's driver; `client` runs it on the caller's thread.
//! * `model_file`  the model file: laid out by the scheduler, written by the shards in parallel.
//! * `placement`   which processor a shard runs on, and which memory is its own.
//! * `lifeline`    the launcher's words, and its end.
//!
//! Nothing is shared between shards but the process; a node's thread owns its driver, and the driver
//! its machine, transport and pool.

mod config;
mod driver;
mod error;
mod lifeline;
mod model_file;
mod placement;
mod scheduler;
mod secret;
mod server;
mod shard_files;
mod thread;
mod time;
mod worker;

pub use config::{NodeConfig, random};
pub use driver::Driver;
pub use error::NodeError;
pub use lifeline::{LIFELINE_VARIABLE, LauncherWord, has_lifeline, watch_lifeline};
pub use model_file::{LoadPlan, SavePlan, check_target, remove_draft};
pub use placement::{Pinning, Placement};
pub use scheduler::{JobEnd, SchedulerHandle, SchedulerPlan, SchedulerProcess};
pub use secret::{SECRET_VARIABLE, create_secret_file, read_secret_file, secret_from_environment};
pub use server::run_server;
pub use thread::start_thread;
pub use time::now;
pub use worker::{WorkerDriver, open_worker};

pub use crate::protocol::scheduler::{Cast, DelayPolicy, NoWork, Offer, Workload};
pub use crate::protocol::server::{MakePullFilter, PullFilter, PullFilters};
pub use crate::protocol::worker::{
    Keys, Kkt, MakePushFilter, OperationError, PushFilter, PushFilters, Request, Worker, WorkerEvent,
};
pub use crate::store::{CallFunction, CallRun, ExactSum, Functions, Norms, Numbers, RowBlock, UpdateStep};
pub use crate::transport::Waker;
pub use crate::transport::fabric::{LinkCounts, LinkKind, LinkSettings, TransportChoice};
pub use crate::transport::handshake::Secret;
pub use crate::wire::{
    Adagrad, Adam, BlockProx, Consistency, DType, Filters, Ftrl, FunctionName, JobConfig, Layout, Prox, Sgd, TableSpec,
    USER_PARAMETERS, UpdateFunction, UserUpdate,
};
