//! The program with its answers, and a model that was trained once for all tests.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The program, with nothing of its own in the environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parashard"));
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("PARASHARD_")).for_each(
        |name| {
            command.env_remove(name);
        },
    );
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

/// Standard output of a command that succeeds.
pub(crate) fn done(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// The one line that a command says when it fails with this code.
pub(crate) fn refused(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(error.starts_with("parashard: error: ") && error.lines().count() == 1, "{arguments:?}: {error}");
    error
}

/// A folder that is gone when this is.
pub(crate) struct Folder {
    root: PathBuf,
    _own: Option<TempDir>,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        let own = tempfile::tempdir().expect("a folder");
        Folder { root: own.path().to_owned(), _own: Some(own) }
    }

    /// A folder below the build's that outlives the tests; emptied at first.
    pub(crate) fn lasting(name: &str) -> Folder {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).expect("a folder");
        Folder { root, _own: None }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.root.join(name), content).expect("writes");
        self.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.root.join(name)).expect("reads")
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).expect("a JSON object")
    }
}

/// A small model with bias and state, trained once, and the data around it.
pub(crate) fn trained() -> &'static Folder {
    static TRAINED: OnceLock<Folder> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = Folder::lasting("cli");
        let (train, test) = (folder.path("train.vw"), folder.path("test.vw"));
        let rows = ["data", "generate", "--rows", "4000", "--output", &train];
        let text = done(&[&rows[..], &["--test-rows", "1500", "--test-output", &test]].concat());
        assert!(text.contains("bayes log loss") && text.matches("base rate").count() == 4, "{text}");
        let (model, json) = (folder.path("a.model"), folder.path("train.json"));
        let data = ["train", "--train", &train, "--test", &test, "--model", &model, "--json", &json];
        done(&[&data[..], &["--bits", "16", "--l1", "0.1", "--bias", "--save-state"]].concat());
        folder
    })
}

pub(crate) fn number(object: &Value, name: &str) -> f64 {
    object[name].as_f64().unwrap_or_else(|| panic!("{name} of {object}"))
}
