//! Results: to standard output, or to a file that appears whole or not at all.
//!
//! A reader of standard output that goes away early, as `head` does, ends the command without an error.

use crate::error::{Classify, ExitCode, Failure};
use crate::learn::LearnError;
use crate::learn::data::AtomicFile;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::path::{Path, PathBuf};

/// Where results go.
pub(super) enum Output {
    /// Standard output.
    Stream(BufWriter<Stdout>),
    /// A file.
    File(AtomicFile, PathBuf),
}

/// Why writing results ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody reads standard output any more.
    ReaderGone,
    /// An error.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl<E: Classify> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Stop {
    /// The exit code of a command that ends with `outcome`.
    pub(super) fn exit_code<T>(outcome: Result<T, Stop>) -> Result<u8, Failure> {
        match outcome {
            Ok(_) | Err(Stop::ReaderGone) => Ok(ExitCode::Done as u8),
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }
}

impl Output {
    /// The file at `path`, or standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<Output, Failure> {
        match path {
            Some(path) => Ok(Output::File(AtomicFile::create(path)?, path.to_owned())),
            None => Ok(Output::Stream(BufWriter::with_capacity(1 << 16, io::stdout()))),
        }
    }

    /// Writes `text`.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<(), Stop> {
        match self {
            Output::Stream(stream) => stream.write_all(text).map_err(of_stream),
            Output::File(file, path) => file.write_all(text).map_err(|error| of_file(path, error)),
        }
    }

    /// Writes what is left, and puts a file in its place.
    pub(super) fn finish(self) -> Result<(), Stop> {
        match self {
            Output::Stream(mut stream) => stream.flush().map_err(of_stream),
            Output::File(file, _) => Ok(file.commit()?),
        }
    }
}

fn of_stream(error: io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe {
        return Stop::ReaderGone;
    }
    Stop::Failed(Failure::new(ExitCode::CannotStart, format!("cannot write to standard output: {error}")))
}

fn of_file(path: &Path, source: io::Error) -> Stop {
    Stop::from(LearnError::Write { path: path.to_owned(), source })
}

/// Prints a short result.
pub(super) fn print(text: &str) -> Result<u8, Failure> {
    let mut output = Output::open(None)?;
    Stop::exit_code(output.write(text.as_bytes()).and_then(|()| output.finish()))
}

/// Writes a file such as `--json` asks for, whole or not at all.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let mut output = Output::open(Some(path))?;
    Stop::exit_code(output.write(text.as_bytes()).and_then(|()| output.finish())).map(|_| ())
}
