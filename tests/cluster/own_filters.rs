//! Filters of a program of another crate, on workers and on servers.

#[path = "../examples/filters.rs"]
#[allow(dead_code, reason = "its main reads the arguments of its own command line")]
mod example;

use super::client::{Job, keys, table};
use parashard::client::{ClientError, Cluster};
use parashard::node::{DType, TableSpec};

fn filtered(filters: &str) -> TableSpec {
    TableSpec { filters: filters.parse().expect("good names"), ..table(0, "weights", DType::F32) }
}

/// Pushes a number to all keys twice; gives the pulled weight of each key.
fn push_twice(cluster: &Cluster, number: f32) -> Vec<f32> {
    let (weights, keys) = (cluster.table::<f32>("weights").expect("a table"), keys(50));
    let push = || weights.push(&keys, vec![number; keys.len()]).expect("fits");
    push().wait().expect("applied");
    let second = push();
    weights.pull_after(&keys, &[second.timestamp()]).expect("fits").wait().expect("answered").to_vec()
}

#[test]
fn filters_of_the_program_decide_what_is_sent_and_what_is_told() {
    let tables = vec![filtered("key_cache,nonzero,own:every_second,own_pull:near:0.01")];
    let own = example::extensions().expect("new names");
    Job::start_with(tables, 2, 1, own).run(1, |cluster| {
        assert_eq!(push_twice(cluster, 1.0), [2.0; 200], "held back and sent with the second push");
        assert_eq!(push_twice(cluster, 0.005), [2.0; 200], "nearly right");
        assert_eq!(push_twice(cluster, 1.0), [4.01; 200]);
    });
}

#[test]
fn a_filter_that_does_not_go_with_the_table_ends_the_job_in_its_words() {
    let spec = TableSpec { width: 2, ..filtered("key_cache,nonzero,own_pull:near:0.01") };
    let job = Job::start_with(vec![spec], 1, 1, example::extensions().expect("new names"));
    let (end, words) = job.end_of(|config| Cluster::connect(config, 0).and_then(|cluster| cluster.wait_end()));
    let words = match words {
        Ok(shutdown) => shutdown.message,
        Err(ClientError::Ended { message, .. }) => message,
        Err(error) => panic!("{error}"),
    };
    let expected = "table `weights`: filter own_pull:near:0.01: it is for tables of width 1, this one has 2";
    assert!(end == 2 && words.contains(expected), "{end}: {words}");
}
