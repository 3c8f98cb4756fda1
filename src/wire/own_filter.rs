//! A filter of the user's own, of pushes or of pulls, as a table declares it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Most bytes of a filter's name.
const NAME_BYTES: usize = 24;

/// A filter that the worker program, or for pulls the server program, has registered, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OwnFilter {
    name: [u8; NAME_BYTES],
    /// What the filter is told; what it means is the filter's business.
    pub argument: f64,
}

impl OwnFilter {
    /// A filter of this name: 1 to 24 letters, digits, `_`, `-` or `.`.
    #[must_use]
    pub fn new(name: &str, argument: f64) -> Option<OwnFilter> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(is_fine) {
            return None;
        }
        let mut bytes = [0; NAME_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(OwnFilter { name: bytes, argument })
    }

    /// The filter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        let length = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
        std::str::from_utf8(&self.name[..length]).unwrap_or_default()
    }

    /// `KIND:NAME`, or `KIND:NAME:NUMBER`.
    #[must_use]
    pub fn spelled(&self, kind: &str) -> String {
        match (self.name(), self.argument) {
            (name, 0.0) => format!("{kind}:{name}"),
            (name, argument) => format!("{kind}:{name}:{argument}"),
        }
    }

    /// Reads `kkt:NUMBER`, `own:NAME` or `own:NAME:NUMBER`.
    pub(super) fn parse(kind: &str, argument: Option<&str>) -> Option<OwnFilter> {
        match (kind, argument?) {
            ("kkt", number) => OwnFilter::new("kkt", number.parse().ok()?),
            ("own", rest) => match rest.split_once(':') {
                Some((name, number)) => OwnFilter::new(name, number.parse().ok()?),
                None => OwnFilter::new(rest, 0.0),
            },
            _ => None,
        }
    }
}

impl fmt::Display for OwnFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.argument) {
            ("kkt", argument) => write!(f, "kkt:{argument}"),
            _ => f.write_str(&self.spelled("own")),
        }
    }
}
