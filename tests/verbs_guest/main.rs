//! Tests of the verbs transport on a real device.

mod data;
mod pair;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut failed = 0;
    for (name, test) in data::TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let begin = Instant::now();
        let passed = catch_unwind(test).is_ok();
        failed += usize::from(!passed);
        println!("{} {name} ({} ms)", if passed { "ok    " } else { "FAILED" }, begin.elapsed().as_millis());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
