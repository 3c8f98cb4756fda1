//! The lifeline: a pipe from the launcher to a process that it started, on standard input.
//!
//! It carries the launcher's words, one a line, and its end means that the launcher is gone, however
//! it went. So no process is ever left behind: whoever holds the other end need not be alive to let go.

use super::error::NodeError;
use super::thread::start_thread;
use std::io::BufRead;
use std::str::FromStr;

/// Environment variable of a process whose standard input is a lifeline; its value is `stdin`.
pub const LIFELINE_VARIABLE: &str = "PARASHARD_LIFELINE";

/// Whether a launcher holds the other end of standard input.
#[must_use]
pub fn has_lifeline() -> bool {
    std::env::var_os(LIFELINE_VARIABLE).is_some_and(|value| value == "stdin")
}

/// What a launcher says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LauncherWord {
    /// A signal asks the job to end in order; the number becomes the exit code 128 + n.
    Stop {
        /// The signal's number.
        signal: u8,
    },
    /// A node's process has ended.
    Died {
        /// The node, as its number.
        node: u32,
        /// How it ended.
        reason: String,
    },
    /// A node's process has ended because of an error, which it told the launcher.
    Failed {
        /// The node, as its number.
        node: u32,
        /// The exit code that the error calls for.
        exit_code: u8,
        /// The error's one line.
        message: String,
    },
    /// The launcher is gone.
    Gone,
}

impl FromStr for LauncherWord {
    type Err = ();

    fn from_str(line: &str) -> Result<LauncherWord, ()> {
        let (verb, rest) = line.trim_end().split_once(' ').ok_or(())?;
        match verb {
            "stop" => rest.parse().map(|signal| LauncherWord::Stop { signal }).map_err(|_| ()),
            "died" => {
                let (node, reason) = rest.split_once(' ').ok_or(())?;
                let node = node.parse().map_err(|_| ())?;
                Ok(LauncherWord::Died { node, reason: reason.to_owned() })
            }
            "failed" => {
                let (node, rest) = rest.split_once(' ').ok_or(())?;
                let (exit_code, message) = rest.split_once(' ').ok_or(())?;
                let (node, exit_code) = (node.parse().map_err(|_| ())?, exit_code.parse().map_err(|_| ())?);
                Ok(LauncherWord::Failed { node, exit_code, message: message.to_owned() })
            }
            _ => Err(()),
        }
    }
}

impl std::fmt::Display for LauncherWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LauncherWord::Stop { signal } => writeln!(f, "stop {signal}"),
            LauncherWord::Died { node, reason } => writeln!(f, "died {node} {}", reason.replace('\n', " ")),
            LauncherWord::Failed { node, exit_code, message } => {
                writeln!(f, "failed {node} {exit_code} {}", message.replace('\n', " "))
            }
            LauncherWord::Gone => Ok(()),
        }
    }
}

/// Listens to the launcher on a thread of its own, until the pipe ends.
///
/// # Errors
/// When no thread can be started.
pub fn watch_lifeline(mut hear: impl FnMut(LauncherWord) + Send + 'static) -> Result<(), NodeError> {
    start_thread("lifeline", move || {
        for line in std::io::stdin().lock().lines() {
            match line.as_deref().map(LauncherWord::from_str) {
                Ok(Ok(word)) => hear(word),
                Ok(Err(())) => tracing::warn!("the launcher said something that is not understood"),
                Err(_) => break,
            }
        }
        hear(LauncherWord::Gone);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_the_pipe() {
        let died = LauncherWord::Died { node: 7, reason: "killed by signal 9".to_owned() };
        assert_eq!(died.to_string().parse(), Ok(died));
        let stop = LauncherWord::Stop { signal: 15 };
        assert_eq!(stop.to_string().parse(), Ok(stop));
        let failed = LauncherWord::Failed { node: 7, exit_code: 5, message: "too many open files".to_owned() };
        assert_eq!(failed.to_string().parse(), Ok(failed));
        assert_eq!("nonsense".parse::<LauncherWord>(), Err(()));
    }
}
