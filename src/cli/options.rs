//! The options of a training job, as flags, environment and configuration file give them.
//!
//! Every option is optional here, so that it can be told where a value comes from; `settings` puts
//! them together in the order flag, environment, file, default.

use super::consistency::ConsistencyOption;
use crate::learn::data::Format;
use crate::node::TransportChoice;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

macro_rules! options {
    ($(#[$meta:meta])* pub(super) struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct $name {
            $($(#[$field_meta])* #[serde(skip_serializing_if = "Option::is_none")] pub(super) $field: Option<$type>,)*
        }

        impl $name {
            /// Names of all options, in order, with underscores.
            pub(super) const NAMES: &[&str] = &[$(stringify!($field),)*];

            /// These options, and `others` where one is not given here.
            pub(super) fn or(self, others: $name) -> $name {
                $name { $($field: self.$field.or(others.$field),)* }
            }
        }
    };
}

options! {
    /// What a training job is. Keys of the configuration file are the flags without their dashes in front.
    pub(super) struct JobOptions {
        /// Files, folders or patterns to train on: libsvm, Criteo TSV, Vowpal Wabbit text or blocks, also .gz and .zst.
        #[arg(long, env = "PARASHARD_TRAIN", value_delimiter = ',', num_args = 1.., value_name = "PATH")]
        train: Vec<String>,
        /// Files, folders or patterns to test on afterwards.
        #[arg(long, env = "PARASHARD_TEST", value_delimiter = ',', num_args = 1.., value_name = "PATH")]
        test: Vec<String>,
        /// Where the model goes [default: model.parashard].
        #[arg(long, env = "PARASHARD_MODEL", value_name = "FILE")]
        model: PathBuf,
        /// Model to go on from.
        #[arg(long, env = "PARASHARD_INIT_MODEL", value_name = "FILE")]
        init_model: PathBuf,
        /// Also save the update state, so that --init-model goes on exactly where this job stopped.
        #[arg(long, env = "PARASHARD_SAVE_STATE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        save_state: bool,
        /// Move the model through the scheduler even where servers share its folder [default: false].
        #[arg(long, env = "PARASHARD_STREAM_MODEL", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        stream_model: bool,
        /// Format of the data [default: auto, by content].
        #[arg(long, env = "PARASHARD_FORMAT", value_enum)]
        format: FormatOption,
        /// Keys lie below this [default: the data's largest index + 1, or 2^bits when hashed].
        #[arg(long, env = "PARASHARD_KEY_END", value_name = "N", conflicts_with = "bits")]
        key_end: u64,
        /// Bits of hashed keys [default: 22].
        #[arg(long, env = "PARASHARD_BITS", value_name = "B")]
        bits: u8,
        /// Passes over the training data [default: 1; at most 200 of dbpg, 1000 of prox].
        #[arg(long, env = "PARASHARD_PASSES", value_name = "N")]
        passes: u32,
        /// Rows of a minibatch once training has warmed up [default: 512].
        #[arg(long, env = "PARASHARD_MINIBATCH", value_name = "ROWS")]
        minibatch: u32,
        /// Begin with minibatches of one row that grow; false makes all of them equally large from the first one,
        /// so that workers stand at comparable times [default: true].
        #[arg(long, env = "PARASHARD_WARM_UP", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        warm_up: bool,
        /// Learning algorithm [default: ftrl].
        #[arg(long, env = "PARASHARD_ALGORITHM", value_enum)]
        algorithm: AlgorithmOption,
        /// Learning rate of FTRL [default: 0.1].
        #[arg(long, env = "PARASHARD_ALPHA")]
        alpha: f32,
        /// Smooths the learning rate of rare features [default: 1].
        #[arg(long, env = "PARASHARD_BETA")]
        beta: f32,
        /// Strength of the L1 norm [default: 1].
        #[arg(long, env = "PARASHARD_L1")]
        l1: f32,
        /// Strength of the L2 norm [default: 0].
        #[arg(long, env = "PARASHARD_L2")]
        l2: f32,
        /// Give every row a constant feature [default: false].
        #[arg(long, env = "PARASHARD_BIAS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        bias: bool,
        /// Give no row a constant feature, which is the default.
        #[arg(long, env = "PARASHARD_NO_BIAS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", conflicts_with = "bias")]
        no_bias: bool,
        /// Where dbpg and prox end: no weight violates its optimality condition by more than this share
        /// of --l1 [default: 0.01].
        #[arg(long, env = "PARASHARD_TOLERANCE", value_name = "SHARE")]
        tolerance: f64,
        /// Where dbpg and prox end earlier: a pass lowers the objective by at most this share of it [default: not].
        #[arg(long, env = "PARASHARD_OBJECTIVE_TOLERANCE", value_name = "SHARE")]
        objective_tolerance: f64,
        /// Send every feature of dbpg in every pass, also those whose weights stay zero by their optimality
        /// condition [default: false].
        #[arg(long, env = "PARASHARD_NO_KKT_FILTER", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        no_kkt_filter: bool,
        /// Count bad lines instead of stopping at the first [default: false].
        #[arg(long, env = "PARASHARD_SKIP_BAD_LINES", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        skip_bad_lines: bool,
        /// Server processes [default: 1].
        #[arg(long, env = "PARASHARD_SERVERS", value_name = "S")]
        servers: u32,
        /// Shards of each server [default: 1].
        #[arg(long, env = "PARASHARD_SHARDS", value_name = "N")]
        shards: u8,
        /// Worker processes [default: 1].
        #[arg(long, env = "PARASHARD_WORKERS", value_name = "W")]
        workers: u32,
        /// Run scheduler, servers and workers as threads of one process [default: false].
        #[arg(long, env = "PARASHARD_IN_PROCESS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        in_process: bool,
        /// Copies of each key range beside its owner's [default: 0, the only choice so far].
        #[arg(long, env = "PARASHARD_REPLICAS", value_name = "K")]
        replicas: u32,
        /// What the loss of a worker does to the job: stop ends it; continue lets another worker's process do its
        /// work, each example exactly once [default: stop].
        #[arg(long, env = "PARASHARD_ON_WORKER_LOSS", value_enum)]
        on_worker_loss: WorkerLossOption,
        /// Which pushes a pull must see: sequential, all of earlier times and no others; bounded:N, all but those
        /// of the last N times; bounded:N..M, N at first and M in the end; auto, as short a delay as waiting
        /// stays rare with; eventual, what has come [default: eventual].
        #[arg(long, env = "PARASHARD_CONSISTENCY", value_name = "RULE")]
        consistency: ConsistencyOption,
        /// What shrinks messages: key_cache, pack_keys, nonzero, snappy, fixed_point:8, fixed_point:16, bf16,
        /// significant:THRESHOLD, kkt:BOUND, random_skip:P, changed, changed:THRESHOLD, separated by commas, or none
        /// [default: key_cache,pack_keys,nonzero].
        #[arg(long, env = "PARASHARD_FILTERS", value_name = "LIST")]
        filters: String,
        /// Bytes that each shard keeps of key lists, for the filter key_cache, and again of answers, for changed
        /// [default: 1073741824].
        #[arg(long, env = "PARASHARD_KEY_CACHE_BYTES", value_name = "BYTES")]
        key_cache_bytes: usize,
        /// How data travels between servers and workers: shm, verbs or tcp, or the fastest there is [default: auto].
        #[arg(long, env = "PARASHARD_TRANSPORT", value_enum)]
        transport: TransportOption,
        /// RDMA device, or device:port, of verbs links [default: the nearest that is up].
        #[arg(long, env = "PARASHARD_VERBS_DEVICE", value_name = "NAME")]
        verbs_device: String,
        /// Entry of the port's GID table [default: RoCE v2 with an IPv4 address first].
        #[arg(long, env = "PARASHARD_GID_INDEX", value_name = "I")]
        gid_index: u32,
        /// Traffic class of verbs packets; its upper six bits are the DSCP [default: 0].
        #[arg(long, env = "PARASHARD_TRAFFIC_CLASS", value_name = "0..255")]
        traffic_class: u8,
        /// Microseconds to look for messages before sleeping, while they come in quick succession
        /// [default: 50; 0 in `train` with more shards and workers than cores].
        #[arg(long, env = "PARASHARD_SPIN_US", value_name = "US")]
        spin_us: u64,
        /// Microseconds that a worker sleeps for each example, once a minibatch, in place of a heavier computation:
        /// one number, or one for each worker by its rank. For benchmarks and tests [default: none].
        #[arg(long, env = "PARASHARD_SIMULATE_COMPUTE_US", value_delimiter = ',', value_name = "US")]
        simulate_compute_us: Vec<u32>,
        /// Seed of everything that is drawn [default: 1].
        #[arg(long, env = "PARASHARD_SEED")]
        seed: u64,
        /// Also write the summary as one JSON object.
        #[arg(long, env = "PARASHARD_JSON", value_name = "FILE")]
        json: PathBuf,
    }
}

/// Formats by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FormatOption {
    Auto,
    Libsvm,
    Criteo,
    Vw,
    Block,
}

impl FormatOption {
    /// The format; none when it is to be told by content.
    pub(super) fn format(self) -> Option<Format> {
        match self {
            FormatOption::Auto => None,
            FormatOption::Libsvm => Some(Format::Libsvm),
            FormatOption::Criteo => Some(Format::Criteo),
            FormatOption::Vw => Some(Format::Vw),
            FormatOption::Block => Some(Format::Block),
        }
    }

    /// The option that stands for this format.
    pub(super) fn of(format: Option<Format>) -> FormatOption {
        match format {
            None => FormatOption::Auto,
            Some(Format::Libsvm) => FormatOption::Libsvm,
            Some(Format::Criteo) => FormatOption::Criteo,
            Some(Format::Vw) => FormatOption::Vw,
            Some(Format::Block) => FormatOption::Block,
        }
    }
}

/// Algorithms by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AlgorithmOption {
    /// FTRL-proximal on minibatches.
    Ftrl,
    /// Delayed block proximal gradient on rows in memory.
    Dbpg,
    /// Batch proximal gradient on rows in memory.
    Prox,
}

/// What follows the loss of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WorkerLossOption {
    Stop,
    Continue,
}

/// Fabrics by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TransportOption {
    Auto,
    Verbs,
    Shm,
    Tcp,
}

impl TransportOption {
    /// The choice that the option stands for.
    pub(super) fn choice(self) -> TransportChoice {
        match self {
            TransportOption::Auto => TransportChoice::Auto,
            TransportOption::Verbs => TransportChoice::Verbs,
            TransportOption::Shm => TransportChoice::Shm,
            TransportOption::Tcp => TransportChoice::Tcp,
        }
    }
}

impl AlgorithmOption {
    /// Passes where none are given.
    pub(super) fn passes(self) -> u32 {
        match self {
            AlgorithmOption::Ftrl => 1,
            AlgorithmOption::Dbpg => 200,
            AlgorithmOption::Prox => 1000,
        }
    }

    /// The algorithm's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            AlgorithmOption::Ftrl => "ftrl",
            AlgorithmOption::Dbpg => "dbpg",
            AlgorithmOption::Prox => "prox",
        }
    }
}
