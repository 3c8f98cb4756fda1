//! The job's folder: what the launcher hands to its nodes without a command line or a log seeing it.

use super::member::Member;
use crate::error::Failure;
use crate::id::JobId;
use crate::node::{NodeError, Secret, create_secret_file, random, read_secret_file};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Environment variable that names the job's folder to its nodes.
pub const JOB_DIR_VARIABLE: &str = "PARASHARD_JOB_DIR";

const SECRET_FILE: &str = "secret";
const JOB_FILE: &str = "job";
const ADDRESS_FILE: &str = "scheduler";

/// The folder of one job.
#[derive(Debug, Clone)]
pub struct JobDir {
    path: PathBuf,
}

impl JobDir {
    /// Makes a new folder below the system's temporary one, with a fresh id and secret.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create() -> Result<JobDir, NodeError> {
        let id = u64::from_le_bytes(random()?);
        let path = std::env::temp_dir().join(format!("parashard-{id:016x}"));
        let fail = |source| NodeError::File { what: "cannot make the job's folder", path: path.clone(), source };
        DirBuilder::new().mode(0o700).create(&path).map_err(fail)?;
        let dir = JobDir { path };
        let filled =
            create_secret_file(&dir.path.join(SECRET_FILE)).and_then(|()| dir.write(JOB_FILE, &format!("{id:016x}")));
        if filled.is_err() {
            dir.remove();
        }
        filled.map(|()| dir)
    }

    /// An existing folder.
    #[must_use]
    pub fn open(path: &Path) -> JobDir {
        JobDir { path: path.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The job's id.
    ///
    /// # Errors
    /// When the file is missing or holds something else.
    pub fn job(&self) -> Result<JobId, NodeError> {
        let path = self.path.join(JOB_FILE);
        let text = fs::read_to_string(&path).map_err(|source| NodeError::File {
            what: "cannot read",
            path: path.clone(),
            source,
        })?;
        let id = u64::from_str_radix(text.trim(), 16);
        id.map(JobId).map_err(|error| NodeError::Content { path, reason: format!("no job id: {error}") })
    }

    /// The job's secret.
    ///
    /// # Errors
    /// When it cannot be read or others may read it.
    pub fn secret(&self) -> Result<Secret, NodeError> {
        read_secret_file(&self.path.join(SECRET_FILE))
    }

    /// Tells where the scheduler listens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce_scheduler(&self, address: &str) -> Result<(), NodeError> {
        self.write(ADDRESS_FILE, address)
    }

    /// Tells the launcher why this member's process ends.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tell_failure(&self, member: Member, failure: &Failure) -> Result<(), NodeError> {
        self.write(&failure_file(member), &format!("{} {}", failure.exit_code, failure.message))
    }

    /// Why a member's process has ended, if it has told.
    #[must_use]
    pub fn failure(&self, member: Member) -> Option<Failure> {
        let text = fs::read_to_string(self.path.join(failure_file(member))).ok()?;
        let (exit_code, message) = text.split_once(' ')?;
        Some(Failure { exit_code: exit_code.parse().ok()?, message: message.to_owned() })
    }

    /// Removes the folder with all that is in it.
    pub fn remove(&self) {
        // The scheduler does it where the launcher is gone. What cannot be removed now is only clutter.
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Writes a file so that a reader sees all of it or nothing.
    fn write(&self, name: &str, content: &str) -> Result<(), NodeError> {
        let path = self.path.join(name);
        let draft = self.path.join(format!(".{name}"));
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(content.as_bytes())?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| NodeError::File { what: "cannot write", path: path.clone(), source })
    }
}

fn failure_file(member: Member) -> String {
    match member {
        Member::Scheduler => "failure-of-scheduler".to_owned(),
        Member::Server(rank) => format!("failure-of-server-{rank}"),
        Member::Worker(rank) => format!("failure-of-worker-{rank}"),
    }
}

/// Waits until the scheduler has announced where it listens.
///
/// # Errors
/// When it has not done so within `timeout`.
pub fn wait_for_scheduler(dir: &JobDir, timeout: Duration) -> Result<String, NodeError> {
    let path = dir.path.join(ADDRESS_FILE);
    let start = Instant::now();
    loop {
        match fs::read_to_string(&path) {
            Ok(address) => return Ok(address),
            Err(_) if start.elapsed() < timeout && dir.path.is_dir() => std::thread::sleep(Duration::from_millis(1)),
            Err(source) => return Err(NodeError::File { what: "no scheduler has announced itself in", path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_sees_the_folder_and_its_files() {
        let dir = JobDir::create().expect("a folder");
        dir.announce_scheduler("127.0.0.1:9").expect("writes");
        assert_eq!(wait_for_scheduler(&dir, Duration::ZERO).expect("there"), "127.0.0.1:9");
        assert!(dir.job().is_ok() && dir.secret().is_ok());
        let failure = Failure { exit_code: 5, message: "no memory".to_owned() };
        dir.tell_failure(Member::Worker(3), &failure).expect("writes");
        assert_eq!(dir.failure(Member::Worker(3)).expect("told").message, failure.message);
        assert!(dir.failure(Member::Server(3)).is_none());
        assert_eq!(fs::metadata(dir.path()).expect("folder").permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(dir.path()).expect("folder") {
            let entry = entry.expect("entry");
            assert_eq!(entry.metadata().expect("file").permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
        dir.remove();
        assert!(!dir.path().exists());
    }
}
