//! Which instruction set runs: detected once, or named by `PARASHARD_SIMD`.

#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};
use crate::error::{Classify, ExitCode, Severity};
use std::fmt;
use std::sync::OnceLock;

/// Name of the environment variable that overrides the detection.
const VARIABLE: &str = "PARASHARD_SIMD";

/// An instruction set by name, for logs and the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Plain code.
    Scalar,
    /// 256-bit registers.
    Avx2,
    /// 512-bit registers.
    Avx512,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        })
    }
}

/// What can be wrong with `PARASHARD_SIMD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimdError {
    /// A name without meaning.
    #[error("PARASHARD_SIMD is `{0}`: set it to scalar, avx2 or avx512, or unset it")]
    Unknown(String),
    /// The processor cannot do it.
    #[error("PARASHARD_SIMD is `{0}`, which this processor does not have: unset it")]
    Unsupported(Level),
}

impl Classify for SimdError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// An instruction set together with the proof that the processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstructionSet {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl InstructionSet {
    /// The set of this name, where the processor has it.
    pub(super) fn of(level: Level) -> Option<InstructionSet> {
        match level {
            Level::Scalar => Some(InstructionSet::Scalar),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::detect().map(InstructionSet::Avx2),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::detect().map(InstructionSet::Avx512),
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => None,
        }
    }

    fn widest() -> InstructionSet {
        let widest = [Level::Avx512, Level::Avx2].into_iter().find_map(InstructionSet::of);
        widest.unwrap_or(InstructionSet::Scalar)
    }

    fn level(self) -> Level {
        match self {
            InstructionSet::Scalar => Level::Scalar,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(_) => Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512(_) => Level::Avx512,
        }
    }
}

fn choose(name: Option<&str>) -> Result<InstructionSet, SimdError> {
    let level = match name {
        None | Some("") => return Ok(InstructionSet::widest()),
        Some("scalar") => Level::Scalar,
        Some("avx2") => Level::Avx2,
        Some("avx512") => Level::Avx512,
        Some(other) => return Err(SimdError::Unknown(other.to_owned())),
    };
    InstructionSet::of(level).ok_or(SimdError::Unsupported(level))
}

static CHOICE: OnceLock<Result<InstructionSet, SimdError>> = OnceLock::new();

fn choice() -> &'static Result<InstructionSet, SimdError> {
    CHOICE.get_or_init(|| {
        let name = std::env::var_os(VARIABLE);
        choose(name.map(|name| name.to_string_lossy().into_owned()).as_deref())
    })
}

/// The instruction set in force. Where the environment asks for an impossible one, plain code.
pub(super) fn selected() -> InstructionSet {
    *choice().as_ref().unwrap_or(&InstructionSet::Scalar)
}

/// The instruction set that runs, for logs.
#[must_use]
pub fn level() -> Level {
    selected().level()
}

/// Reads `PARASHARD_SIMD` and the processor, once.
///
/// # Errors
/// When the variable holds an unknown name or one that the processor lacks.
pub fn check_environment() -> Result<Level, SimdError> {
    choice().clone().map(InstructionSet::level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_set_or_says_what_is_wrong() {
        assert_eq!(choose(Some("scalar")), Ok(InstructionSet::Scalar));
        assert_eq!(choose(None), Ok(InstructionSet::widest()));
        let error = choose(Some("neon")).unwrap_err();
        assert_eq!(error.to_string(), "PARASHARD_SIMD is `neon`: set it to scalar, avx2 or avx512, or unset it");
    }
}
