//! The virtual machine as a test sees it: built once, booted for each job.

use crate::GUEST_VARIABLE;
use crate::share::Share;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Far above what a boot with a job takes; an emulated machine on a loaded host is slow.
const BOOT_SECONDS: u32 = 150;

/// A machine that can be booted any number of times.
pub(crate) struct Machine {
    folder: PathBuf,
}

/// What a booted machine printed, and the exit code of its job.
pub(crate) struct Output {
    pub(crate) console: String,
    pub(crate) code: i32,
}

impl Machine {
    /// Builds the machine, unless it is there and fresh. Several processes may ask at once.
    pub(crate) fn build() -> Result<Machine, String> {
        let folder = target_folder().join("verbs-machine");
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let lock = std::fs::File::create(folder.join("lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        let built = Command::new("bash").arg(script("build.sh")).arg(&folder).output();
        let built = built.map_err(|error| format!("cannot run bash: {error}"))?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).trim().to_owned());
        }
        Ok(Machine { folder })
    }

    /// Boots the machine with `share` as its `/host` and runs the share's job to its end.
    pub(crate) fn run(&self, share: &Share) -> Result<Output, String> {
        finish(self.boot(share, None)?)
    }

    /// Boots two machines on one wire: role `a` at 10.7.0.1 and role `b` at 10.7.0.2.
    pub(crate) fn run_pair(&self, a: &Share, b: &Share) -> Result<(Output, Output), String> {
        let wire = tempfile::tempdir().map_err(|error| error.to_string())?;
        let first = self.boot(a, Some(("a", wire.path())))?;
        let second = self.boot(b, Some(("b", wire.path())))?;
        let first = std::thread::spawn(move || finish(first));
        let second = finish(second);
        let first = first.join().map_err(|_| "the console's reader broke".to_owned())?;
        Ok((first?, second?))
    }

    /// Runs this program in the machine, where it runs the tests of `guest`.
    pub(crate) fn run_guest_tests(&self) -> Result<String, String> {
        let share = Share::new(&format!("{GUEST_VARIABLE}=1 /host/verbs --test-threads=1 --color never"))?;
        share.add_program(&std::env::current_exe().map_err(|error| error.to_string())?, "verbs")?;
        let output = self.run(&share)?;
        println!();
        for line in output.console.lines() {
            if let Some((_, said)) = line.split_once("report: ").or_else(|| line.split_once("guest: ")) {
                println!("report: {said}");
            }
        }
        Ok(output.console)
    }

    fn boot(&self, share: &Share, wire: Option<(&str, &Path)>) -> Result<Child, String> {
        let mut command = Command::new("bash");
        command.arg(script("boot.sh")).arg(&self.folder).arg(share.path()).arg(BOOT_SECONDS.to_string());
        if let Some((role, wire)) = wire {
            command.arg(role).arg(wire);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| format!("cannot boot the machine: {error}"))
    }
}

fn finish(child: Child) -> Result<Output, String> {
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let mut console = String::from_utf8_lossy(&output.stdout).into_owned();
    console.push_str(&String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(124) => Err(format!("the machine was not done after {BOOT_SECONDS} s; it printed:\n{console}")),
        Some(code) if code < 95 => Ok(Output { console, code }),
        _ => Err(format!("the machine did not end by itself; it printed:\n{console}")),
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verbs/machine").join(name)
}

/// Cargo's target folder: this program lies in its `<profile>/deps`.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(3).map_or_else(|| PathBuf::from("target"), Path::to_path_buf)
}
