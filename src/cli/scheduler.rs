//! `parashard scheduler`: one job's scheduler, with the flags of `train`.

use super::consistency::ConsistencyOption;
use super::console::tell_error;
use super::ear::Ear;
use super::extensions::Extensions;
use super::node::NodeOptions;
use super::options::{AlgorithmOption, WorkerLossOption};
use super::output::{print, write_file};
use super::progress_display::ProgressDisplay;
use super::settings::{JobArguments, JobSettings};
use super::train::BEGIN_VARIABLE;
use crate::error::{ExitCode, Failure};
use crate::id::{JobId, NodeId, TableId};
use crate::learn::config::{Problem, WEIGHTS};
use crate::learn::data::{Beyond, DataFile, Format, ReaderConfig, UnitPlan, data_files, key_end};
use crate::learn::progress::Progress;
use crate::learn::summary::{Summary, SummaryFacts};
use crate::learn::{BlockProblem, TrainWorkload};
use crate::node::{
    BlockProx, Cast, Consistency, DType, Ftrl, JobConfig, JobEnd, Layout, LoadPlan, NodeConfig, SavePlan,
    SchedulerPlan, SchedulerProcess, TableSpec, UpdateFunction, check_target,
};
use clap::Args;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of training text, or of blocks, in one unit of work.
const UNIT_BYTES_MAX: u64 = 2 << 20;
/// Units that each worker should get at least, so that nobody waits long for the last one.
const UNITS_PER_WORKER: u64 = 8;

/// Block iterations that a worker of dbpg may be ahead under `eventual`.
const EVENTUAL_DELAY: u32 = 2;

/// Arguments of `parashard scheduler`.
#[derive(Debug, Clone, Args)]
pub(super) struct SchedulerArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    node: NodeOptions,
}

/// Runs the job and prints its summary.
pub(super) fn run(arguments: &SchedulerArguments) -> Result<u8, Failure> {
    let begin_at = begin_at();
    let settings = arguments.job.settings()?;
    if settings.in_process {
        return Err(Failure::new(ExitCode::Usage, "--in-process is for `train`, which starts all roles itself"));
    }
    let dir = arguments.node.job_dir();
    let ear = Ear::open(dir.clone())?;
    let config = arguments.node.config(true, settings.spin_us, &Extensions::default())?;
    ear.undisturbed(|| check_outputs(&settings, config.job))?;
    let (end, progress) = run_job(&settings, &config, |process| {
        dir.iter().try_for_each(|dir| dir.announce_scheduler(process.address()))?;
        ear.turn_to(process.handle());
        Ok(())
    })?;
    // A launcher that is gone cannot clean up after itself.
    if let Some(dir) = dir.filter(|_| end.launcher_gone) {
        dir.remove();
    }
    tell(&settings, &progress, &end, begin_at)
}

/// Runs the job, whose outputs were checked; `listening` is called when nodes may join.
pub(super) fn run_job(
    settings: &JobSettings,
    config: &NodeConfig,
    listening: impl FnOnce(&SchedulerProcess) -> Result<(), Failure>,
) -> Result<(JobEnd, Progress), Failure> {
    let progress = Arc::new(Mutex::new(Progress::default()));
    let plan = plan(settings, &progress)?;
    let process = SchedulerProcess::open(config, plan)?;
    listening(&process)?;
    let display = ProgressDisplay::start(Arc::clone(&progress), settings.passes);
    let end = process.run();
    display.stop();
    let progress = std::mem::take(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((end?, progress))
}

/// Prints the summary, writes the JSON, and says why a job ended early.
pub(super) fn tell(settings: &JobSettings, progress: &Progress, end: &JobEnd, begin_at: f64) -> Result<u8, Failure> {
    let facts = SummaryFacts {
        seconds: seconds_since_1970() - begin_at,
        consistency: settings.consistency.to_string(),
        passes: settings.passes,
        simulate_compute_us: settings.simulate_compute_us.clone(),
        nonzero_weights: end.nonzero_values,
        begin_at,
        model: end.nonzero_values.map(|_| settings.model.display().to_string()),
    };
    let summary = Summary::new(progress, &facts);
    let mut told = Ok(());
    if end.nonzero_values.is_some() {
        told = print(&summary.to_table()).map(drop);
        if let Some(path) = &settings.json {
            told = told.and(write_file(path, &(summary.to_json() + "\n")));
        }
    }
    if end.shutdown.exit_code != 0 {
        tell_error(&end.shutdown.message);
    }
    told.map(|()| end.shutdown.exit_code)
}

/// Whether what the job ends with can be written, before the work rather than after it. A file is made for a
/// moment, and stays where the process ends in it.
pub(super) fn check_outputs(settings: &JobSettings, job: JobId) -> Result<(), Failure> {
    check_target("cannot write the model", &settings.model, job)?;
    match &settings.json {
        // A pipe or device is opened once, at the end.
        Some(path) if std::fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) => Ok(()),
        Some(path) => Ok(check_target("cannot write --json", path, job)?),
        None => Ok(()),
    }
}

fn plan(settings: &JobSettings, progress: &Arc<Mutex<Progress>>) -> Result<SchedulerPlan, Failure> {
    let train_files = data_files(&settings.train, settings.format)?;
    let test_files = if settings.test.is_empty() { Vec::new() } else { data_files(&settings.test, settings.format)? };
    let reader =
        ReaderConfig { bits: settings.bits, skip_bad_lines: settings.skip_bad_lines, ..ReaderConfig::default() };
    let data_end = match settings.key_end {
        Some(key_end) => key_end,
        None => key_end(&train_files, &reader)?,
    };
    let train_reader = ReaderConfig { key_end: Some(data_end), ..reader };
    let test_reader = ReaderConfig { beyond: Beyond::Drop, ..train_reader.clone() };
    let train = UnitPlan::new(&train_files, unit_bytes(&train_files, settings.workers))?;
    let test = UnitPlan::new(&test_files, unit_bytes(&test_files, settings.workers))?;
    let sequential = settings.consistency == ConsistencyOption::Sequential;
    let block = block_problem(settings, data_end);
    let passes = if block.is_some() { 1 } else { settings.passes };
    let workload = TrainWorkload::new(train, test, passes, settings.workers, sequential, Arc::clone(progress))
        .with_delay(settings.consistency.policy());
    let workload = if block.is_some() { workload.then_solve() } else { workload };
    let workload = if sequential || block.is_some() { workload } else { workload.with_stragglers() };
    let hashed = train_files.iter().any(|file| matches!(file.format, Format::Criteo | Format::Vw));
    let problem = Problem {
        train_files,
        test_files,
        train_reader,
        test_reader,
        minibatch: settings.minibatch,
        warm_up: settings.warm_up,
        bias_key: settings.bias.then_some(data_end),
        reports_figures: settings.consistency == ConsistencyOption::Auto,
        simulate_compute_us: settings.simulate_compute_us.clone(),
        block,
    };
    let program = postcard::to_stdvec(&problem)
        .map_err(|error| Failure::new(ExitCode::Usage, format!("the learning problem does not encode: {error}")))?;
    let table = match settings.algorithm {
        AlgorithmOption::Ftrl => table(settings, data_end + u64::from(settings.bias))?,
        AlgorithmOption::Dbpg | AlgorithmOption::Prox => block_table(settings, data_end)?,
    };
    let model = SavePlan {
        path: settings.model.clone(),
        with_state: settings.save_state,
        streamed: settings.stream_model,
        notes: notes(settings, hashed),
    };
    Ok(SchedulerPlan {
        cast: Cast { shards: shards(settings), workers: settings.workers, replicas: settings.replicas as usize },
        job: JobConfig {
            tables: vec![table],
            writers: settings.workers,
            program,
            survives_worker_loss: settings.on_worker_loss == WorkerLossOption::Continue,
        },
        workload: Box::new(workload),
        load: settings.init_model.clone().map(|path| LoadPlan { path, streamed: settings.stream_model }),
        save: Some(model),
    })
}

/// What a program that uses the model must know of the data: how keys were made, and the bias.
fn notes(settings: &JobSettings, hashed: bool) -> Vec<(String, String)> {
    let mut notes = vec![
        ("algorithm".to_owned(), settings.algorithm.name().to_owned()),
        ("bias".to_owned(), settings.bias.to_string()),
    ];
    if hashed {
        notes.push(("bits".to_owned(), settings.bits.to_string()));
    }
    notes
}

fn shards(settings: &JobSettings) -> Vec<NodeId> {
    let of_server = |rank| (0..settings.shards).map(move |shard| NodeId::server(rank, shard));
    (0..settings.servers).flat_map(of_server).collect()
}

fn table(settings: &JobSettings, key_end: u64) -> Result<TableSpec, Failure> {
    Ok(TableSpec {
        id: TableId(0),
        name: WEIGHTS.to_owned(),
        dtype: DType::F32,
        width: 1,
        key_end,
        layout: Layout::Sparse,
        update: UpdateFunction::Ftrl(Ftrl {
            alpha: settings.alpha,
            beta: settings.beta,
            l1: settings.l1,
            l2: settings.l2,
        }),
        consistency: settings.consistency.rule(),
        filters: settings.filters()?,
    })
}

/// The table of weights and gradients. Its steps are block iterations, whatever the workers' delay.
fn block_table(settings: &JobSettings, data_end: u64) -> Result<TableSpec, Failure> {
    Ok(TableSpec {
        dtype: DType::F64,
        width: 2,
        key_end: BlockProblem::key_end(data_end, settings.workers),
        update: UpdateFunction::BlockProx(BlockProx { l1: settings.l1, l2: settings.l2 }),
        consistency: Consistency::Sequential,
        ..table(settings, data_end)?
    })
}

fn block_problem(settings: &JobSettings, data_end: u64) -> Option<BlockProblem> {
    (settings.algorithm != AlgorithmOption::Ftrl).then(|| BlockProblem {
        l1: f64::from(settings.l1),
        l2: f64::from(settings.l2),
        delay: match settings.consistency {
            ConsistencyOption::Eventual => EVENTUAL_DELAY,
            rule => rule.policy().delay_max(),
        },
        passes_max: settings.passes,
        tolerance: settings.tolerance,
        objective_tolerance: settings.objective_tolerance,
        seed: settings.seed,
        batch: settings.algorithm == AlgorithmOption::Prox,
        kkt_filter: settings.algorithm == AlgorithmOption::Dbpg && !settings.no_kkt_filter,
        data_end,
    })
}

/// Small enough that every worker gets some units, and that a stop does not take long.
fn unit_bytes(files: &[DataFile], workers: u32) -> u64 {
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    (bytes / (u64::from(workers) * UNITS_PER_WORKER)).clamp(64 << 10, UNIT_BYTES_MAX)
}

/// When the whole command began: as the launcher says, or now.
fn begin_at() -> f64 {
    let told = std::env::var(BEGIN_VARIABLE).ok().and_then(|text| text.parse::<f64>().ok());
    told.map_or_else(seconds_since_1970, |nanoseconds| nanoseconds / 1e9)
}

pub(super) fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
