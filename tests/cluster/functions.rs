//! Functions of a program of another crate on servers, and operations of all kinds that follow each other.

#[path = "../examples/functions.rs"]
mod example;

use super::client::{Job, keys, table};
use parashard::cli::Extensions;
use parashard::client::{Answers, CallFunction, CallRun, ClientError, Norms, Numbers, RowBlock};
use parashard::keyspace::KeyRange;
use parashard::node::{Consistency, DType, Functions, TableSpec};
use std::sync::mpsc;
use std::time::Duration;

const ALL: KeyRange = KeyRange::new(0, 10_000);

/// Adds its argument to every number, and answers with the number of keys.
struct Add;

struct Adding(f64, u64);

impl CallFunction for Add {
    fn modifies(&self) -> bool {
        true
    }

    fn begin(&self, _: &TableSpec, arguments: &[u8]) -> Result<Box<dyn CallRun>, String> {
        let number = arguments.try_into().map_err(|_| "add takes eight bytes".to_owned())?;
        Ok(Box::new(Adding(f64::from_le_bytes(number), 0)))
    }
}

impl CallRun for Adding {
    fn rows(&mut self, rows: RowBlock<'_>) {
        let Numbers::F64(values) = rows.values else { return };
        values.iter_mut().for_each(|value| *value += self.0);
        self.1 += rows.keys.len() as u64;
    }

    fn answer(self: Box<Self>) -> Result<Vec<u8>, String> {
        Ok(self.1.to_le_bytes().to_vec())
    }
}

fn own() -> Extensions {
    let mut own = Extensions::default();
    own.functions.register_call("add", Box::new(Add)).expect("a new name");
    own
}

#[test]
fn the_example_runs_and_a_server_without_its_functions_ends_the_job() {
    assert_eq!(format!("{:?}", example::main()), format!("{:?}", std::process::ExitCode::SUCCESS));
    assert_eq!(example::run(Functions::default()).expect("runs to its end"), 2);
}

#[test]
fn operations_of_all_kinds_follow_each_other() {
    let tables = vec![table(0, "eventual", DType::F64), table(1, "other", DType::F64)];
    Job::start_with(tables, 2, 1, own()).run(1, |cluster| {
        let (table, other) =
            (cluster.table::<f64>("eventual").expect("a table"), cluster.table::<f64>("other").expect("a table"));
        let keys = keys(7);
        let pushed = table.push(&keys, vec![1.0; keys.len()]).expect("fits");
        let before = table.pull_after(&keys, &[pushed.timestamp()]).expect("fits");
        let called = table.call_after(ALL, "add", &2.5f64.to_le_bytes(), &[before.timestamp()]).expect("fits");
        let again = table.push_after(&keys, vec![3.0; keys.len()], &[called.timestamp()]).expect("fits");
        let elsewhere = other.push_after(&keys, vec![5.0; keys.len()], &[again.timestamp()]).expect("fits");
        let after = table.pull_after(&keys, &[elsewhere.timestamp()]).expect("fits");
        let norms = table.call_after(ALL, "norms", &[], &[elsewhere.timestamp()]).expect("fits");
        assert!(cluster.wait_any(&[]).expect("nothing to wait for").is_none());
        let first = cluster.wait_any(&[after.timestamp(), pushed.timestamp(), norms.timestamp()]).expect("answered");
        assert!(first.is_some());
        assert!(before.wait().expect("answered").iter().all(|&value| value == 1.0));
        assert!(after.wait().expect("answered").iter().all(|&value| value == 6.5));
        let count = |answer: &Vec<u8>| u64::from_le_bytes(answer.as_slice().try_into().expect("eight bytes"));
        let counts: Answers = called.wait().expect("answered");
        assert_eq!((counts.len(), counts.iter().map(count).sum::<u64>()), (4, keys.len() as u64));
        let norms = Norms::of_answers(&norms.wait().expect("answered")).expect("norms");
        assert_eq!((norms.nonzero_count(), norms.l1()), (keys.len() as u64, keys.len() as f64 * 6.5));
        let refused = table.call(ALL, "subtract", &[]).expect("a name").wait().expect_err("unknown");
        assert!(refused.to_string().contains("no function 'subtract' is registered"), "{refused}");
        for push in [pushed, again, elsewhere] {
            push.wait().expect("applied");
        }
    });
}

#[test]
fn a_call_in_a_step_sees_the_steps_before() {
    let spec = TableSpec { consistency: Consistency::Sequential, ..table(0, "steps", DType::F64) };
    Job::start_with(vec![spec], 1, 2, own()).run(2, |cluster| {
        let table = cluster.table::<f64>("steps").expect("a table");
        let keys = keys(10);
        for step in 0..5 {
            let norms = table.call(ALL, "norms", &[]).expect("fits");
            drop(table.push(&keys, vec![0.5; keys.len()]).expect("fits"));
            let norms = Norms::of_answers(&norms.wait().expect("answered")).expect("norms");
            assert_eq!(norms.l1(), keys.len() as f64 * f64::from(step));
            table.tick().expect("goes on");
        }
        table.finish().expect("goes on");
    });
}

#[test]
fn outcomes_are_taken_without_waiting_and_by_callbacks_that_go_on() {
    Job::start_with(vec![table(0, "eventual", DType::F64)], 1, 1, own()).run(1, |cluster| {
        let table = std::sync::Arc::new(cluster.table::<f64>("eventual").expect("a table"));
        let keys = keys(5);
        let mut pushed = table.push(&keys, vec![1.0; keys.len()]).expect("fits");
        while pushed.try_wait().expect("applied").is_none() {
            std::thread::yield_now();
        }
        assert!(pushed.try_wait().expect("taken before").is_none());
        let (tell, told) = mpsc::channel();
        let (own, list) = (std::sync::Arc::clone(&table), keys.clone());
        // A callback begins an operation and waits for it, and gives another callback.
        table.pull(&keys).expect("fits").on_done(move |values| {
            let doubled: Vec<f64> = values.expect("answered").iter().map(|value| 2.0 * value).collect();
            own.push(&list, doubled).expect("fits").wait().expect("applied");
            let last = tell.clone();
            own.pull(&list).expect("fits").on_done(move |values| {
                last.send(values.expect("answered")[0]).expect("somebody listens");
            });
        });
        // Nobody calls in: the thread behind makes the progress.
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(3.0));
        // Many threads wait while callbacks run on whichever of them polls.
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (table, keys, tell) = (&table, &keys, tell.clone());
                scope.spawn(move || {
                    for _ in 0..100 {
                        let (tell, own, list) = (tell.clone(), std::sync::Arc::clone(table), keys.clone());
                        table.pull(keys).expect("fits").on_done(move |outcome| {
                            outcome.expect("answered");
                            own.push(&list, vec![0.0; list.len()]).expect("fits").wait().expect("applied");
                            tell.send(()).expect("somebody listens");
                        });
                        table.pull(keys).expect("fits").wait().expect("answered");
                    }
                });
            }
        });
        (0..400).for_each(|_| told.recv_timeout(Duration::from_secs(20)).expect("every callback is called"));
    });
}

#[test]
fn callbacks_are_told_of_the_end_of_the_job() {
    let (tell, told) = mpsc::channel();
    Job::start_with(
        vec![TableSpec { consistency: Consistency::Sequential, ..table(0, "steps", DType::F64) }],
        1,
        1,
        own(),
    )
    .run(1, |cluster| {
        let table = cluster.table::<f64>("steps").expect("a table");
        let tell = tell.clone();
        // Its step is never ended.
        table.push(&keys(5), vec![1.0; 2000]).expect("fits").on_done(move |outcome| {
            tell.send(matches!(outcome, Err(ClientError::Ended { .. }))).expect("somebody listens");
        });
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(true));
}
