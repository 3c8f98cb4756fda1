//! `parashard config show`: what would hold for `train`, and where each value comes from.
//!
//! The output is itself a configuration file: a line per option, its source in a comment.

use super::options::JobOptions;
use super::output::print;
use super::settings::{JobArguments, JobSettings, read_config};
use crate::error::{ExitCode, Failure};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand};
use std::fmt::Write;

/// Arguments of `parashard config`.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ConfigCommand {
    /// Print every option of `train` with its value and where it comes from: flag, environment, file, default.
    Show(ShowArguments),
}

#[derive(Debug, Clone, Args)]
struct ShowArguments {
    #[command(flatten)]
    job: JobArguments,
}

/// Prints the options. `matches` are those of `config`, and know which values came from where.
pub(super) fn run(arguments: &ConfigArguments, matches: Option<&ArgMatches>) -> Result<u8, Failure> {
    let ConfigCommand::Show(show) = &arguments.command;
    let given = matches.and_then(ArgMatches::subcommand).map(|(_, given)| given);
    let file = match &show.job.config {
        Some(path) => read_config(path)?,
        None => JobOptions::default(),
    };
    let holds = JobSettings::complete(show.job.merged()?).into_options();
    let (holds, in_file) = (lines(&holds)?, lines(&file)?);
    let text = JobOptions::NAMES.iter().fold(String::new(), |mut text, name| {
        let key = name.replace('_', "-");
        let source = match given.and_then(|given| given.value_source(name)) {
            Some(ValueSource::CommandLine) => "flag".to_owned(),
            Some(ValueSource::EnvVariable) => format!("environment, PARASHARD_{}", name.to_uppercase()),
            _ if value_of(&in_file, &key).is_some() => {
                format!("file, {}", show.job.config.as_deref().unwrap_or("-".as_ref()).display())
            }
            _ => "default".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = match value_of(&holds, &key) {
            Some(value) => writeln!(text, "{:40} # {source}", format!("{key} = {value}")),
            None => writeln!(text, "{:40} # not set", format!("# {key}")),
        };
        text
    });
    print(&text)
}

/// The options that are set, as lines `key = value`.
fn lines(options: &JobOptions) -> Result<String, Failure> {
    toml::to_string(options).map_err(|error| Failure::new(ExitCode::Usage, format!("cannot show the options: {error}")))
}

fn value_of<'a>(lines: &'a str, key: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
}
