//! Where the job's secret lives: a file that only its owner reads, or the environment.

use super::config::random;
use super::error::NodeError;
use crate::transport::handshake::Secret;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Environment variable that holds the secret in hexadecimal.
pub const SECRET_VARIABLE: &str = "PARASHARD_SECRET";

/// Draws a secret and writes it, in hexadecimal, to a new file with mode 0600.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn create_secret_file(path: &Path) -> Result<(), NodeError> {
    let secret: [u8; 32] = random()?;
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(digits.as_bytes())
    };
    write().map_err(|source| NodeError::File { what: "cannot write", path: path.to_owned(), source })
}

/// Reads a secret from a file, which nobody but its owner may be able to read.
///
/// # Errors
/// When it cannot be read, others could read it, or it is no secret.
pub fn read_secret_file(path: &Path) -> Result<Secret, NodeError> {
    let fail = |source| NodeError::File { what: "cannot read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.permissions().mode();
    if mode & 0o077 != 0 {
        let reason = format!("others may read the job's secret (mode {:03o}): run chmod 600", mode & 0o777);
        return Err(NodeError::Content { path: path.to_owned(), reason });
    }
    let mut digits = String::new();
    file.read_to_string(&mut digits).map_err(fail)?;
    Secret::from_hex(&digits).map_err(|error| NodeError::Content { path: path.to_owned(), reason: error.to_string() })
}

/// The secret from the environment, if it is there.
///
/// # Errors
/// When it is there but no secret.
pub fn secret_from_environment() -> Result<Option<Secret>, NodeError> {
    match std::env::var(SECRET_VARIABLE) {
        Ok(digits) => match Secret::from_hex(&digits) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) => Err(NodeError::Config(format!("{SECRET_VARIABLE}: {error}"))),
        },
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        create_secret_file(&path).expect("writes");
        assert!(read_secret_file(&path).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = read_secret_file(&path).expect_err("readable by others");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
