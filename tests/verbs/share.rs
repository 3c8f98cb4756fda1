//! A folder of the host that a machine sees as `/host`: its job, its programs, and what it leaves.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Share {
    folder: tempfile::TempDir,
}

impl Share {
    /// A folder with this shell script as the machine's job.
    pub(crate) fn new(job: &str) -> Result<Share, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::fs::write(folder.path().join("job.sh"), job).map_err(|error| error.to_string())?;
        Ok(Share { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a program into the folder, without what only a debugger needs.
    pub(crate) fn add_program(&self, program: &Path, name: &str) -> Result<(), String> {
        let target = self.path().join(name);
        let strip = Command::new("objcopy").arg("--strip-debug").arg(program).arg(&target).output();
        match strip {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("cannot run objcopy: {error}; run .ci/setup.sh --for test")),
        }
    }

    /// Puts the program `parashard` into the folder.
    pub(crate) fn add_parashard(&self) -> Result<(), String> {
        self.add_program(Path::new(env!("CARGO_BIN_EXE_parashard")), "parashard")
    }

    /// Puts the flight data of the repository into the folder.
    pub(crate) fn add_flights(&self) -> Result<(), String> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        for name in ["nycflights.train.svm.zst", "nycflights.test.svm.zst"] {
            std::fs::copy(data.join(name), self.path().join(name)).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// A file that the machine has left.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}
