//! Trainings with two servers and two workers, the data that they learn from, and the objective that they reach.

use crate::options::Options;
use crate::trainer;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where the repository keeps a data set: to train on, and to test with.
const DATA: [&str; 2] = ["tests/data/nycflights.train.svm.zst", "tests/data/nycflights.test.svm.zst"];
/// Rows that are generated where there is none, and with `--quick`.
const GENERATED_ROWS: (u64, u64) = (200_000, 2_000);

/// What is trained on, and what the models are tested with.
pub(crate) struct Data {
    pub(crate) train: PathBuf,
    pub(crate) test: Option<PathBuf>,
}

/// The program, and a folder for what it writes.
pub(crate) struct Training {
    program: PathBuf,
    folder: TempDir,
}

impl Training {
    /// As `trainer` finds it.
    pub(crate) fn find() -> Result<Training> {
        Ok(Training { program: trainer::find()?, folder: tempfile::tempdir()? })
    }

    /// What is given, what the repository keeps, or generated rows.
    pub(crate) fn data(&self, options: &Options, train: Option<&Path>, test: Option<&Path>) -> Result<Data> {
        if let Some(train) = train {
            return Ok(Data { train: train.to_owned(), test: test.map(Path::to_owned) });
        }
        if let Some(train) = trainer::kept(&self.program, DATA[0]).filter(|_| !options.quick) {
            return Ok(Data { train, test: trainer::kept(&self.program, DATA[1]) });
        }
        let path = self.folder.path().join("generated.svm");
        trainer::generate(&self.program, options.amount(GENERATED_ROWS.0, GENERATED_ROWS.1), &path)?;
        Ok(Data { train: path, test: None })
    }

    /// Trains with two servers and two workers; gives the summary.
    pub(crate) fn train(&self, data: &Data, words: &[&str]) -> Result<Value> {
        let summary = self.folder.path().join("summary.json");
        let fixed = ["train", "--servers", "2", "--workers", "2"];
        let mut command = Command::new(&self.program);
        command.args(fixed).args(words).arg("--train").arg(&data.train);
        command.arg("--model").arg(self.model()).arg("--json").arg(&summary);
        if let Some(test) = &data.test {
            command.arg("--test").arg(test);
        }
        trainer::run(command)?;
        read_json(&summary)
    }

    /// The latest model's sum of log losses over the data that it was trained on, and `l1` times the norm of it.
    pub(crate) fn objective(&self, data: &Data, l1: f64) -> Result<f64> {
        let figures = self.folder.path().join("figures.json");
        let text = self.folder.path().join("model.txt");
        let mut command = Command::new(&self.program);
        command.arg("evaluate").arg("--model").arg(self.model()).arg("--data").arg(&data.train);
        command.arg("--json").arg(&figures);
        trainer::run(command)?;
        self.run(&["model", "export", "--output"], &[&text, &self.model()])?;
        let figures = read_json(&figures)?;
        let number = |name: &str| figures[name].as_f64().with_context(|| format!("{name} is no number"));
        Ok(number("log_loss")? * number("rows")? + l1 * norm(&std::fs::read_to_string(&text)?))
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("trained.model")
    }

    fn run(&self, words: &[&str], paths: &[&Path]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(words).args(paths);
        trainer::run(command)
    }
}

fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_str(&std::fs::read_to_string(path)?).with_context(|| format!("{} is no JSON", path.display()))
}

/// Sum of the sizes of weights in a model's text: a key and a number a line.
fn norm(text: &str) -> f64 {
    let weight = |line: &str| {
        let (key, number) = line.split_once('\t')?;
        key.parse::<u64>().ok().and_then(|_| number.trim().parse::<f64>().ok())
    };
    text.lines().filter_map(weight).map(f64::abs).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_of_weights_and_not_of_the_head() {
        assert_eq!(norm("# parashard-model 1\n# state false\n108\t0.25\n150\t-1.5\n"), 1.75);
    }
}
