//! Settings: options put together, checked, and complete.

use super::consistency::ConsistencyOption;
use super::options::{AlgorithmOption, FormatOption, JobOptions, TransportOption, WorkerLossOption};
use crate::error::{ExitCode, Failure};
use crate::learn::data::{BITS_MAX, Format};
use crate::limit;
use crate::node::{DelayPolicy, Filters};
use clap::Args;
use std::path::{Path, PathBuf};

/// How long nodes look for messages before they sleep: a few round trips inside a rack.
pub(super) const SPIN_US: u64 = 50;

/// Names how long nodes look for messages; the launcher passes it on.
pub(super) const SPIN_VARIABLE: &str = "PARASHARD_SPIN_US";

/// Filters of a training job: all that lose nothing and cost less time than they save.
pub(super) const FILTERS: &str = "key_cache,pack_keys,nonzero";

/// Names the bytes of a shard's key cache; the launcher passes it on.
pub(super) const KEY_CACHE_VARIABLE: &str = "PARASHARD_KEY_CACHE_BYTES";

/// Options and the file that completes them.
#[derive(Debug, Clone, Args)]
pub(super) struct JobArguments {
    #[command(flatten)]
    pub(super) options: JobOptions,
    /// TOML file with options that are given neither as flag nor in the environment.
    #[arg(long, env = "PARASHARD_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A training job, complete.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JobSettings {
    pub(super) train: Vec<String>,
    pub(super) test: Vec<String>,
    pub(super) model: PathBuf,
    pub(super) init_model: Option<PathBuf>,
    pub(super) save_state: bool,
    pub(super) stream_model: bool,
    pub(super) format: Option<Format>,
    pub(super) key_end: Option<u64>,
    pub(super) bits: u8,
    pub(super) passes: u32,
    pub(super) minibatch: u32,
    pub(super) warm_up: bool,
    pub(super) algorithm: AlgorithmOption,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) l1: f32,
    pub(super) l2: f32,
    pub(super) bias: bool,
    pub(super) no_bias: bool,
    pub(super) tolerance: f64,
    pub(super) objective_tolerance: Option<f64>,
    pub(super) no_kkt_filter: bool,
    pub(super) skip_bad_lines: bool,
    pub(super) servers: u32,
    pub(super) shards: u8,
    pub(super) workers: u32,
    pub(super) in_process: bool,
    pub(super) replicas: u32,
    pub(super) on_worker_loss: WorkerLossOption,
    pub(super) consistency: ConsistencyOption,
    pub(super) filters: String,
    pub(super) key_cache_bytes: usize,
    pub(super) transport: TransportOption,
    pub(super) verbs_device: Option<String>,
    pub(super) gid_index: Option<u32>,
    pub(super) traffic_class: Option<u8>,
    pub(super) spin_us: u64,
    pub(super) simulate_compute_us: Vec<u32>,
    pub(super) seed: u64,
    pub(super) json: Option<PathBuf>,
}

impl JobArguments {
    /// Flags and environment, completed by the file.
    pub(super) fn merged(&self) -> Result<JobOptions, Failure> {
        match &self.config {
            Some(path) => Ok(self.options.clone().or(read_config(path)?)),
            None => Ok(self.options.clone()),
        }
    }

    /// The complete, checked job.
    pub(super) fn settings(&self) -> Result<JobSettings, Failure> {
        let settings = JobSettings::complete(self.merged()?);
        settings.check()?;
        Ok(settings)
    }
}

/// Reads options from a TOML file.
pub(super) fn read_config(path: &Path) -> Result<JobOptions, Failure> {
    let usage = |reason: String| Failure::new(ExitCode::Usage, format!("--config {}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| usage(error.to_string()))?;
    toml::from_str(&text).map_err(|error| usage(error.to_string().replace('\n', " ")))
}

impl JobSettings {
    /// The options with every default filled in.
    pub(super) fn complete(options: JobOptions) -> JobSettings {
        let algorithm = options.algorithm.unwrap_or(AlgorithmOption::Ftrl);
        JobSettings {
            train: options.train.unwrap_or_default(),
            test: options.test.unwrap_or_default(),
            model: options.model.unwrap_or_else(|| PathBuf::from("model.parashard")),
            init_model: options.init_model,
            save_state: options.save_state.unwrap_or(false),
            stream_model: options.stream_model.unwrap_or(false),
            format: options.format.unwrap_or(FormatOption::Auto).format(),
            key_end: options.key_end,
            bits: options.bits.unwrap_or(22),
            passes: options.passes.unwrap_or(algorithm.passes()),
            minibatch: options.minibatch.unwrap_or(512),
            warm_up: options.warm_up.unwrap_or(true),
            algorithm,
            alpha: options.alpha.unwrap_or(0.1),
            beta: options.beta.unwrap_or(1.0),
            l1: options.l1.unwrap_or(1.0),
            l2: options.l2.unwrap_or(0.0),
            bias: options.bias.unwrap_or(false),
            no_bias: options.no_bias.unwrap_or(false),
            tolerance: options.tolerance.unwrap_or(0.01),
            objective_tolerance: options.objective_tolerance,
            no_kkt_filter: options.no_kkt_filter.unwrap_or(false),
            skip_bad_lines: options.skip_bad_lines.unwrap_or(false),
            servers: options.servers.unwrap_or(1),
            shards: options.shards.unwrap_or(1),
            workers: options.workers.unwrap_or(1),
            in_process: options.in_process.unwrap_or(false),
            replicas: options.replicas.unwrap_or(0),
            on_worker_loss: options.on_worker_loss.unwrap_or(WorkerLossOption::Stop),
            consistency: options.consistency.unwrap_or(ConsistencyOption::Eventual),
            filters: options.filters.unwrap_or_else(|| FILTERS.to_owned()),
            key_cache_bytes: options.key_cache_bytes.unwrap_or(limit::SHARD_KEY_CACHE_BYTES),
            transport: options.transport.unwrap_or(TransportOption::Auto),
            verbs_device: options.verbs_device,
            gid_index: options.gid_index,
            traffic_class: options.traffic_class,
            spin_us: options.spin_us.unwrap_or(SPIN_US),
            simulate_compute_us: options.simulate_compute_us.unwrap_or_default(),
            seed: options.seed.unwrap_or(1),
            json: options.json,
        }
    }

    /// The settings as options, every one of them given where it has a default.
    pub(super) fn into_options(self) -> JobOptions {
        JobOptions {
            train: Some(self.train),
            test: Some(self.test),
            model: Some(self.model),
            init_model: self.init_model,
            save_state: Some(self.save_state),
            stream_model: Some(self.stream_model),
            format: Some(FormatOption::of(self.format)),
            key_end: self.key_end,
            bits: Some(self.bits),
            passes: Some(self.passes),
            minibatch: Some(self.minibatch),
            warm_up: Some(self.warm_up),
            algorithm: Some(self.algorithm),
            alpha: Some(self.alpha),
            beta: Some(self.beta),
            l1: Some(self.l1),
            l2: Some(self.l2),
            bias: Some(self.bias),
            no_bias: Some(self.no_bias),
            tolerance: Some(self.tolerance),
            objective_tolerance: self.objective_tolerance,
            no_kkt_filter: Some(self.no_kkt_filter),
            skip_bad_lines: Some(self.skip_bad_lines),
            servers: Some(self.servers),
            shards: Some(self.shards),
            workers: Some(self.workers),
            in_process: Some(self.in_process),
            replicas: Some(self.replicas),
            on_worker_loss: Some(self.on_worker_loss),
            consistency: Some(self.consistency),
            filters: Some(self.filters),
            key_cache_bytes: Some(self.key_cache_bytes),
            transport: Some(self.transport),
            verbs_device: self.verbs_device,
            gid_index: self.gid_index,
            traffic_class: self.traffic_class,
            spin_us: Some(self.spin_us),
            simulate_compute_us: (!self.simulate_compute_us.is_empty()).then_some(self.simulate_compute_us),
            seed: Some(self.seed),
            json: self.json,
        }
    }

    /// The filters of the table of weights.
    pub(super) fn filters(&self) -> Result<Filters, Failure> {
        self.filters.parse::<Filters>().map_err(|error| Failure::new(ExitCode::Usage, format!("--filters: {error}")))
    }

    fn check(&self) -> Result<(), Failure> {
        let usage = |reason: &str| Err(Failure::new(ExitCode::Usage, reason));
        if self.train.is_empty() {
            return usage("no training data: give --train PATH");
        }
        if self.servers == 0 || self.shards == 0 || self.workers == 0 || self.passes == 0 || self.minibatch == 0 {
            return usage("--servers, --shards, --workers, --passes and --minibatch must be at least 1");
        }
        if self.bits == 0 || self.bits > BITS_MAX {
            return usage(&format!("--bits {} must be from 1 to {BITS_MAX}", self.bits));
        }
        let positive = |number: f32| number.is_finite() && number > 0.0;
        let not_negative = |number: f32| number.is_finite() && number >= 0.0;
        if !positive(self.alpha) || ![self.beta, self.l1, self.l2].into_iter().all(not_negative) {
            return usage("--alpha must be positive, --beta, --l1 and --l2 at least 0, all of them finite");
        }
        if self.algorithm == AlgorithmOption::Ftrl && self.beta == 0.0 && self.l2 == 0.0 {
            return usage("--beta and --l2 cannot both be 0: the first step of a feature would be without bound");
        }
        if self.replicas > 0 {
            return usage(&format!("--replicas {}: replication is not there yet, only 0 is possible", self.replicas));
        }
        if self.key_end == Some(0) {
            return usage("--key-end must be at least 1");
        }
        if !matches!(self.simulate_compute_us.len(), 0 | 1) && self.simulate_compute_us.len() != self.workers as usize {
            return usage(&format!("--simulate-compute-us: give one number, or {}, one a worker", self.workers));
        }
        if self.algorithm != AlgorithmOption::Ftrl {
            self.check_block()?;
        }
        let filters = self.filters()?;
        if self.on_worker_loss == WorkerLossOption::Continue && filters.change_values() {
            return usage(
                "--on-worker-loss continue: what filters that change values hold back is lost with a worker; \
                 leave them out of --filters, or stop",
            );
        }
        Ok(())
    }

    /// What dbpg and prox cannot do.
    fn check_block(&self) -> Result<(), Failure> {
        let usage = |reason: &str| Err(Failure::new(ExitCode::Usage, format!("--algorithm dbpg and prox: {reason}")));
        if self.bias {
            return usage("--bias is not possible: give every row a constant feature in the data");
        }
        if matches!(self.consistency, ConsistencyOption::Auto | ConsistencyOption::Bounded(..))
            && self.consistency.policy() != DelayPolicy::Fixed(self.consistency.policy().delay_max())
        {
            return usage("the delay stays as it is at first: say --consistency bounded:N");
        }
        let is_positive = |number: f64| number > 0.0 && number.is_finite();
        if !is_positive(self.tolerance) || !self.objective_tolerance.is_none_or(is_positive) {
            return usage("--tolerance and --objective-tolerance must be positive");
        }
        if self.on_worker_loss == WorkerLossOption::Continue {
            return usage("--on-worker-loss continue is not possible: a worker's rows are in its memory alone");
        }
        if self.init_model.is_some() || self.save_state {
            return usage("--init-model and --save-state are not possible");
        }
        if !self.simulate_compute_us.is_empty() {
            return usage("--simulate-compute-us is not possible");
        }
        if self.filters()?.change_values() || self.filters()?.change_answers() {
            return usage("filters that change values keep it from the optimum: leave them out of --filters");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "train = [\"a\"]\nalpha = 0.5\nl1 = 3\n").expect("writes");
        let options = JobOptions { alpha: Some(0.25), ..JobOptions::default() };
        let settings = JobArguments { options, config: Some(path) }.settings().expect("complete");
        assert_eq!((settings.alpha, settings.l1, settings.beta), (0.25, 3.0, 1.0));
    }

    #[test]
    fn an_unknown_key_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "alhpa = 0.5\n").expect("writes");
        let failure = read_config(&path).expect_err("a typing error");
        assert_eq!(failure.exit_code, ExitCode::Usage as u8);
        assert!(failure.message.contains("job.toml") && failure.message.contains("alhpa"), "{failure}");
    }

    #[test]
    fn numbers_that_cannot_learn_are_refused() {
        let with = |change: fn(&mut JobOptions)| {
            let mut options = JobOptions { train: Some(vec!["a".to_owned()]), ..JobOptions::default() };
            change(&mut options);
            JobArguments { options, config: None }.settings()
        };
        assert!(with(|_| {}).is_ok());
        assert!(with(|options| options.alpha = Some(f32::NAN)).is_err());
        assert!(with(|options| options.workers = Some(0)).is_err());
        assert!(with(|options| options.beta = Some(0.0)).is_err());
        let simulated = |workers, times: &[u32]| JobOptions {
            train: Some(vec!["a".to_owned()]),
            workers: Some(workers),
            simulate_compute_us: Some(times.to_vec()),
            ..JobOptions::default()
        };
        let of = |options| JobArguments { options, config: None }.settings();
        assert!(of(simulated(3, &[5])).is_ok() && of(simulated(2, &[5, 20])).is_ok());
        assert!(of(simulated(3, &[5, 20])).is_err(), "whose time is the second?");
        let failure = with(|options| options.filters = Some("gzip".to_owned())).expect_err("no filter of ours");
        assert!(failure.message.starts_with("--filters: unknown filter `gzip`: choose from key_cache"), "{failure}");
    }
}
