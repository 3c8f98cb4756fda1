//! What is logged, and how: to standard error, as text or as one JSON object a line.

use crate::error::{ExitCode, Failure};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Flags of every subcommand.
#[derive(Debug, Clone, Args)]
pub(super) struct LogOptions {
    /// How much is logged: error, warn, info, debug, trace, or directives such as `parashard::transport=debug`.
    #[arg(long, global = true, env = "PARASHARD_LOG_LEVEL", default_value = "warn")]
    log_level: String,
    /// How a log line looks.
    #[arg(long, global = true, env = "PARASHARD_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl LogOptions {
    /// The same choice for a child process.
    pub(super) fn environment(&self) -> Vec<(String, OsString)> {
        let format = if self.log_format == LogFormat::Json { "json" } else { "text" };
        vec![
            ("PARASHARD_LOG_LEVEL".to_owned(), OsString::from(&self.log_level)),
            ("PARASHARD_LOG_FORMAT".to_owned(), OsString::from(format)),
        ]
    }
}

/// Starts logging.
pub(super) fn start(options: &LogOptions) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&options.log_level)
        .map_err(|error| Failure::new(ExitCode::Usage, format!("--log-level {}: {error}", options.log_level)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match options.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
