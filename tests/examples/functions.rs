//! A job inside this process whose servers have functions of its own: an update function with momentum, which
//! servers apply to what workers push, and a call that halves every weight and answers with the largest.
//!
//! `cargo run --release --example functions`. A server program of many machines registers in the same way and
//! hands its functions to `parashard::cli::run_with` in `Extensions`, or in `NodeConfig::functions` to `parashard::node::run_server`.

use parashard::client::{CallFunction, CallRun, Cluster, KeyList, NoWork, Numbers, RowBlock, UpdateStep};
use parashard::error::{ExitCode, Failure};
use parashard::id::{JobId, NodeId, TableId};
use parashard::keyspace::KeyRange;
use parashard::launch::{InProcessJob, Listening, Roles, run_in_process};
use parashard::node::{
    Cast, Consistency, DType, Filters, FunctionName, Functions, JobConfig, Layout, NodeConfig, SchedulerPlan,
    SchedulerProcess, Secret, TableSpec, UpdateFunction, UserUpdate, random,
};

/// velocity = momentum * velocity + push, weight -= rate * velocity.
struct Momentum;

impl UpdateStep for Momentum {
    fn state_numbers(&self) -> u8 {
        1
    }

    fn apply_f32(&self, parameters: &[f32; 4], state: &mut [f32], values: &mut [f32], pushed: &[f32]) {
        let [rate, momentum, ..] = *parameters;
        for ((velocity, weight), gradient) in state.iter_mut().zip(values).zip(pushed) {
            *velocity = momentum * *velocity + gradient;
            *weight -= rate * *velocity;
        }
    }

    fn apply_f64(&self, parameters: &[f32; 4], state: &mut [f64], values: &mut [f64], pushed: &[f64]) {
        let [rate, momentum, ..] = parameters.map(f64::from);
        for ((velocity, weight), gradient) in state.iter_mut().zip(values).zip(pushed) {
            *velocity = momentum * *velocity + gradient;
            *weight -= rate * *velocity;
        }
    }
}

/// Halves every weight; answers with the largest size before that.
struct Halve;

struct Halving {
    largest: f32,
}

impl CallFunction for Halve {
    fn modifies(&self) -> bool {
        true
    }

    fn begin(&self, table: &TableSpec, _arguments: &[u8]) -> Result<Box<dyn CallRun>, String> {
        match table.dtype {
            DType::F32 => Ok(Box::new(Halving { largest: 0.0 })),
            other => Err(format!("halve works on f32, not on {other}")),
        }
    }
}

impl CallRun for Halving {
    fn rows(&mut self, rows: RowBlock<'_>) {
        let Numbers::F32(weights) = rows.values else { return };
        for weight in weights {
            self.largest = self.largest.max(weight.abs());
            *weight *= 0.5;
        }
    }

    fn answer(self: Box<Self>) -> Result<Vec<u8>, String> {
        Ok(self.largest.to_le_bytes().to_vec())
    }
}

/// What the worker does: everything is begun at once, in the order that `after` says.
fn work(config: &NodeConfig, rank: u32) -> Result<(), Failure> {
    let cluster = Cluster::connect(config, rank)?;
    let weights = cluster.table::<f32>("weights")?;
    let (all, keys) = (KeyRange::new(0, 1000), KeyList::new((0..1000).step_by(10).collect())?);
    let first = weights.push(&keys, vec![1.0; keys.len()])?;
    let second = weights.push_after(&keys, vec![1.0; keys.len()], &[first.timestamp()])?;
    let halved = weights.call_after(all, "halve", &[], &[second.timestamp()])?;
    let pulled = weights.pull_after(&keys, &[halved.timestamp()])?;
    // One answer from each shard.
    let largest: Vec<f32> = halved
        .wait()?
        .iter()
        .filter_map(|answer| Some(f32::from_le_bytes(answer.as_slice().try_into().ok()?)))
        .collect();
    println!("largest before: {largest:?}, now: {}", pulled.wait()?[0]);
    cluster.ask_unit();
    cluster.wait_unit()?;
    cluster.wait_end()?;
    Ok(())
}

fn schedule(config: &NodeConfig, listening: &Listening) -> Result<u8, Failure> {
    let name = FunctionName::new("momentum").map_err(|reason| Failure::new(ExitCode::Usage, reason))?;
    let weights = TableSpec {
        id: TableId(0),
        name: "weights".to_owned(),
        dtype: DType::F32,
        width: 1,
        key_end: 1000,
        layout: Layout::Sparse,
        update: UpdateFunction::User(UserUpdate { name, state_numbers: 1, parameters: [0.5, 0.5, 0.0, 0.0] }),
        consistency: Consistency::Eventual,
        filters: Filters::default(),
    };
    let plan = SchedulerPlan {
        cast: Cast { shards: vec![NodeId::server(0, 0), NodeId::server(0, 1)], workers: 1, replicas: 0 },
        job: JobConfig { tables: vec![weights], writers: 1, program: Vec::new(), survives_worker_loss: false },
        workload: Box::new(NoWork),
        load: None,
        save: None,
    };
    let process = SchedulerProcess::open(config, plan)?;
    listening.tell(&process);
    let shutdown = process.run()?.shutdown;
    if shutdown.exit_code != 0 {
        eprintln!("{}", shutdown.message);
    }
    Ok(shutdown.exit_code)
}

fn functions() -> Result<Functions, Failure> {
    let mut functions = Functions::default();
    functions.register_update("momentum", Box::new(Momentum))?;
    functions.register_call("halve", Box::new(Halve))?;
    Ok(functions)
}

/// Runs the job with these functions on its servers; gives its exit code.
pub(crate) fn run(functions: Functions) -> Result<u8, Failure> {
    let secret = Secret::from_bytes(&random::<32>()?)
        .map_err(|error| Failure::new(ExitCode::CannotStart, format!("cannot draw a secret: {error}")))?;
    let config = NodeConfig { functions, ..NodeConfig::local(JobId(u64::from_le_bytes(random()?)), secret) };
    let job = InProcessJob { config, servers: 1, shards: 2, workers: 1, targets: Vec::new() };
    run_in_process(&job, Roles { check: Box::new(|_| Ok(())), scheduler: Box::new(schedule), worker: work })
}

pub(crate) fn main() -> std::process::ExitCode {
    match functions().and_then(run) {
        Ok(code) => std::process::ExitCode::from(code),
        Err(failure) => {
            eprintln!("{failure}");
            std::process::ExitCode::from(failure.exit_code)
        }
    }
}
