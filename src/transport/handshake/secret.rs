//! The job's secret, which proves membership and is never shown.

use crate::error::{Classify, ExitCode, Severity};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 1024;

/// The job's secret. Its debug form shows nothing of it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// Bytes that cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too easy to guess, or a file of something else.
    #[error("a job secret of {0} bytes: it must have {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}, better 32 random ones")]
    Length(usize),
    /// Not written in hexadecimal.
    #[error("a job secret that is not hexadecimal: write two digits a byte and nothing else")]
    Hex,
}

impl Classify for SecretError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Which way a mac travels; keeps a mac from being valid the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Challenge,
    Proof,
}

impl Direction {
    fn label(self) -> &'static [u8] {
        match self {
            Direction::Challenge => b"parashard listener to dialler\0",
            Direction::Proof => b"parashard dialler to listener\0",
        }
    }
}

impl Secret {
    /// A secret from its bytes.
    ///
    /// # Errors
    /// When there are too few to be a secret, or too many.
    pub fn from_bytes(bytes: &[u8]) -> Result<Secret, SecretError> {
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Hmac::new_from_slice(bytes).map(Secret).map_err(|_| SecretError::Length(bytes.len()))
    }

    /// A secret from hexadecimal digits, as files and the environment hold it; white space around them is ignored.
    ///
    /// # Errors
    /// When it is not hexadecimal, or too short or long.
    pub fn from_hex(text: &str) -> Result<Secret, SecretError> {
        let digits = text.trim().as_bytes();
        let (pairs, []) = digits.as_chunks::<2>() else { return Err(SecretError::Hex) };
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|&[high, low]| Some(hex_digit(high)? << 4 | hex_digit(low)?)).collect();
        Secret::from_bytes(&bytes.ok_or(SecretError::Hex)?)
    }

    pub(super) fn mac(&self, direction: Direction, parts: &[&[u8]]) -> [u8; 32] {
        self.keyed(direction, parts).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, direction: Direction, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.keyed(direction, parts).verify_slice(mac).is_ok()
    }

    fn keyed(&self, direction: Direction, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut hmac = self.0.clone();
        hmac.update(direction.label());
        parts.iter().for_each(|part| hmac.update(part));
        hmac
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
