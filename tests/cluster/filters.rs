//! Filters between real processes: what loses nothing changes nothing, and what rounds repeats itself.

use crate::outcome::summary;
use crate::rows::{libsvm, rows};
use crate::scratch::Scratch;

/// Data that are cut into several units.
fn prepare() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("data.svm", libsvm(&rows(4000, 5)));
    scratch
}

/// Trains two passes with two workers under `sequential`; gives the model with its state, and the
/// bytes that the workers sent.
fn train(scratch: &Scratch, servers: &str, shards: &str, simd: Option<&str>, chosen: &[&str]) -> (Vec<u8>, u64) {
    let job = ["train", "--train", "data.svm", "--servers", servers, "--shards", shards, "--workers", "2"];
    let learning = ["--consistency", "sequential", "--passes", "2", "--minibatch", "500", "--l1", "0.1"];
    let results = ["--save-state", "--model", "model", "--json", "summary.json"];
    let mut command = scratch.command(&[&job[..], &learning, &results, chosen].concat());
    command.envs(simd.map(|level| ("PARASHARD_SIMD", level)));
    scratch.start("job", &mut command).wait().expect_code(0).expect_quiet();
    scratch.assert_clean();
    let figures = summary(&scratch.path("summary.json"));
    let bytes = |field: &str| figures[field].as_u64().expect("a count");
    (std::fs::read(scratch.path("model")).expect("a model"), bytes("bytes_pushed") + bytes("bytes_asked"))
}

#[test]
fn lossless_filters_servers_and_simd_do_not_change_a_byte_of_the_model() {
    let scratch = prepare();
    let (reference, plain_bytes) = train(&scratch, "1", "1", None, &["--filters", "none"]);
    assert!(reference.len() > 4000, "most keys are in the model");
    for (filters, servers, shards, simd) in [
        ("key_cache", "1", "1", None),
        ("pack_keys", "2", "1", Some("scalar")),
        ("nonzero", "2", "2", None),
        ("snappy", "3", "1", Some("scalar")),
        ("key_cache,pack_keys,nonzero,snappy", "4", "2", None),
        ("key_cache,pack_keys,nonzero,snappy", "1", "1", Some("scalar")),
        ("key_cache,nonzero,changed", "2", "2", None),
    ] {
        let (model, bytes) = train(&scratch, servers, shards, simd, &["--filters", filters]);
        assert!(model == reference, "{filters}, {servers}x{shards}, SIMD {simd:?}");
        println!("{filters}, {servers}x{shards}: {bytes} bytes sent, {plain_bytes} without filters");
    }
}

#[test]
fn a_key_cache_that_is_too_small_costs_bytes_and_nothing_else() {
    let scratch = prepare();
    let (reference, kept_bytes) = train(&scratch, "2", "1", None, &["--filters", "key_cache"]);
    for cache in ["0", "5000"] {
        let chosen = ["--filters", "key_cache", "--key-cache-bytes", cache];
        let (model, bytes) = train(&scratch, "2", "1", None, &chosen);
        assert!(model == reference, "with {cache} bytes for key lists");
        println!("{bytes} bytes sent with {cache} bytes for key lists, {kept_bytes} with room for all");
        // With room for one list, whether the two workers' lists meet there depends on the moment.
        let least = if cache == "0" { kept_bytes + 1 } else { kept_bytes };
        assert!(bytes >= least, "{cache} bytes are too few for the lists of two workers");
    }
}

#[test]
fn pushes_that_filters_change_repeat_themselves_whatever_the_servers() {
    let scratch = prepare();
    let (plain, _) = train(&scratch, "1", "1", None, &["--filters", "none"]);
    for filters in [
        "fixed_point:8,random_skip:0.1,key_cache,nonzero",
        "fixed_point:16",
        "bf16,snappy",
        "significant:0.5,key_cache,pack_keys",
        "kkt:0.2,fixed_point:16",
    ] {
        let (model, _) = train(&scratch, "1", "1", None, &["--filters", filters]);
        assert!(model != plain, "{filters} changed nothing");
        for (servers, shards, simd) in [("1", "1", None), ("2", "2", Some("scalar"))] {
            let (again, _) = train(&scratch, servers, shards, simd, &["--filters", filters]);
            assert!(again == model, "{filters}, {servers}x{shards}, SIMD {simd:?}");
        }
    }
}
