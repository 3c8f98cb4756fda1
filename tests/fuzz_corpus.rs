//! Replays the kept inputs of every fuzz target, and shortened and damaged forms of each.
//!
//! The inputs lie in `tests/fuzz/corpus/TARGET`. `PARASHARD_WRITE_CORPUS=1` writes the examples
//! that this file makes itself there anew, after a change of a format.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use bodies::TARGETS;
use parashard::filter::{Chain, Rounding};
use parashard::id::{Epoch, NodeId, TableId, Timestamp};
use parashard::keyspace::{KeyRange, Partition, PartitionEntry};
use parashard::memory::{Pool, TxBuf};
use parashard::store::{ModelLayout, ModelMeta, Part, PartChecksums, TableMeta};
use parashard::wire::{
    Assignment, Consistency, ControlMessage, DType, Dependencies, Dependency, Filters, FixedPointBits, Ftrl, Header,
    JobConfig, Kind, Layout, NodeInfo, Quantize, ResumePoint, SaveTask, SectionInfo, Shutdown, TableSpec, Task,
    TaskReply, TxFrame, Unit, UpdateFunction,
};
use std::path::{Path, PathBuf};
use zerocopy::IntoBytes;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// The kept inputs of a target, in order of their names.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(corpus(target)).expect("the corpus has a folder for each target");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a readable input"))).collect()
}

fn run(path: &Path, what: &str, body: fn(&[u8]), data: &[u8]) {
    let outcome = std::panic::catch_unwind(|| body(data));
    assert!(outcome.is_ok(), "{}, {what}: the decoder panicked", path.display());
}

#[test]
fn every_kept_input_is_survived() {
    for (target, body) in TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "the corpus of {target} is empty");
        inputs.iter().for_each(|(path, data)| run(path, "as it is", body, data));
    }
}

#[test]
fn every_kept_input_is_survived_when_it_is_cut_or_damaged() {
    for (target, body) in TARGETS {
        for (path, data) in inputs(target) {
            let step = data.len() / 256 + 1;
            for place in (0..data.len()).step_by(step) {
                run(&path, &format!("cut to {place} bytes"), body, &data[..place]);
                for value in [0, 0x7f, 0x80, 0xff, data[place] ^ 1] {
                    let mut damaged = data.clone();
                    damaged[place] = value;
                    run(&path, &format!("byte {place} set to {value}"), body, &damaged);
                }
            }
        }
    }
}

#[test]
fn the_examples_of_today_are_in_the_corpus() {
    let write = std::env::var_os("PARASHARD_WRITE_CORPUS").is_some();
    for (target, name, bytes) in examples() {
        let path = corpus(target).join(name);
        if write {
            std::fs::create_dir_all(corpus(target)).expect("a folder");
            std::fs::write(&path, &bytes).expect("a file");
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert_eq!(kept, bytes, "{} is not what is written today; see the head of this test", path.display());
    }
}

fn examples() -> Vec<(&'static str, String, Vec<u8>)> {
    let messages = messages();
    let control = messages.iter().map(|(name, message)| {
        let frame = message.to_frame(NodeId::worker(1));
        ("control", (*name).to_owned(), frame.body_parts().concat())
    });
    let wrapped =
        messages.iter().take(2).map(|(name, message)| (format!("control-{name}"), message.to_frame(NodeId::SCHEDULER)));
    let frames = frames().into_iter().chain(wrapped).map(|(name, frame)| ("frame", name, contiguous(&frame)));
    let models = models().into_iter().map(|(name, bytes)| ("model", name.to_owned(), bytes));
    control.chain(frames).chain(models).chain(blocks()).collect()
}

/// Blocks as chains write them, behind the choice of what the decoder is told.
fn blocks() -> Vec<(&'static str, String, Vec<u8>)> {
    let pool = Pool::unbounded();
    let keys: Vec<u64> = (0..700u64).map(|key| key * key * 3 + key).collect();
    let mut values: Vec<f32> =
        (0..700).map(|value| if value % 3 == 0 { (value % 50) as f32 * 0.37 } else { 0.0 }).collect();
    let plain = values.clone();
    let block = |spec: &str, of_keys: bool, values: &[f32]| {
        let mut chain = Chain::new(&spec.parse().expect("good names"), DType::F32);
        let encoded = match of_keys {
            true => chain.keys.encode(&pool, KeyRange::new(0, 1 << 24), &keys),
            false => chain.values.encode(&pool, values.as_bytes()),
        };
        let (block, flags) = encoded.expect("a block that shrinks");
        let mut bytes = vec![flags.0 as u8, 0, 0xbc, 0x02, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend_from_slice(&block);
        ("filter", format!("{}-{}", if of_keys { "keys" } else { "values" }, spec.replace([',', ':'], "-")), bytes)
    };
    let mut blocks = vec![
        block("pack_keys", true, &[]),
        block("snappy", true, &[]),
        block("nonzero", false, &plain),
        block("snappy", false, &plain),
        block("nonzero,snappy", false, &plain),
    ];
    for (spec, quantize) in [
        ("fixed_point:8", Quantize::FixedPoint(FixedPointBits::Eight)),
        ("nonzero,fixed_point:16", Quantize::FixedPoint(FixedPointBits::Sixteen)),
        ("nonzero,snappy,bf16", Quantize::Bf16),
    ] {
        values.copy_from_slice(&plain);
        Rounding::new(quantize).round(&mut values, &mut vec![0.0; plain.len()]).expect("finite");
        blocks.push(block(spec, false, &values));
    }
    blocks
}

fn models() -> Vec<(&'static str, Vec<u8>)> {
    let golden = include_bytes!("data/model_v1.parashard").to_vec();
    let pairs = [("algorithm", "ftrl"), ("bits", "20"), ("bias", "true")];
    let metadata = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let meta = ModelMeta { tables: vec![TableMeta::of(&table())], metadata: metadata.to_vec() };
    let (low, high) = (KeyRange::new(0, 100), KeyRange::new(5000, 1 << 20));
    vec![
        ("golden-v1", golden),
        ("nothing", model(&ModelMeta::default(), &[], false)),
        ("empty-section", model(&meta, &[(low, &[])], false)),
        ("two-sections", model(&meta, &[(low, &[3, 80]), (high, &[5000, 900_000, 1_048_575])], false)),
        ("with-state", model(&meta, &[(KeyRange::new(0, 1 << 20), &[1, 2, 700])], true)),
    ]
}

/// A model file of these sections; the numbers of a key are made of it.
fn model(meta: &ModelMeta, sections: &[(KeyRange, &[u64])], with_state: bool) -> Vec<u8> {
    let arrays = |keys: &[u64]| {
        let value = |key: &u64| (*key as f32 * 0.25 - 3.0).to_le_bytes();
        let state = |key: &u64| [*key as f32, 2.0].map(f32::to_le_bytes);
        let states = if with_state { keys } else { &[] };
        [
            keys.iter().flat_map(|key| key.to_le_bytes()).collect(),
            keys.iter().flat_map(value).collect(),
            states.iter().flat_map(state).flatten().collect::<Vec<u8>>(),
        ]
    };
    let part = |&(range, keys): &(KeyRange, &[u64])| Part { table: 0, range, key_count: keys.len() as u64 };
    let parts: Vec<Part> = sections.iter().map(part).collect();
    let layout = ModelLayout::new(meta, &parts, with_state).expect("sections in order");
    let mut file = vec![0; layout.file_bytes() as usize];
    let mut checksums = Vec::new();
    for ((_, keys), place) in sections.iter().zip(layout.places()) {
        let arrays = arrays(keys);
        for (array, &offset) in arrays.iter().zip(&place.offsets) {
            file[offset as usize..offset as usize + array.len()].copy_from_slice(array);
        }
        let crc32 = std::array::from_fn(|kind| crc32fast::hash(&arrays[kind]));
        checksums.push(PartChecksums { key_count: keys.len() as u64, crc32 });
    }
    let header = layout.header_bytes(&checksums).expect("as many rows as announced");
    file.resize(file.len().max(header.len()), 0);
    file[..header.len()].copy_from_slice(&header);
    file
}

fn contiguous(frame: &TxFrame) -> Vec<u8> {
    [frame.encode_header().as_bytes(), &frame.body_parts().concat()].concat()
}

fn frames() -> Vec<(String, TxFrame)> {
    let mut push = Header::new(Kind::Push, NodeId::worker(3));
    (push.timestamp, push.range) = (Timestamp(7), KeyRange::new(0, 1 << 20));
    (push.key_count, push.key_bytes, push.value_bytes, push.dependency_count) = (3, 24, 12, 1);
    let push = TxFrame {
        dependencies: Dependencies::from_slice(&[Dependency::new(Timestamp(6), KeyRange::new(5, 900))]),
        keys: Some(TxBuf::from_vec(vec![5u64, 80, 900])),
        ..TxFrame::with_values(push, TxBuf::from_vec(vec![0.5f32, -1.0, 3.25]))
    };
    let mut pull = Header::new(Kind::Pull, NodeId::worker(3));
    (pull.key_count, pull.key_bytes, pull.digest) = (2, 16, 0x1234_5678);
    let pull = TxFrame { keys: Some(TxBuf::from_vec(vec![80u64, 81])), ..TxFrame::bare(pull) };
    let mut dense = Header::new(Kind::PullReply, NodeId::server(1, 2));
    (dense.dtype, dense.width, dense.value_bytes) = (DType::F64, 2, 64);
    let dense = TxFrame::with_values(dense, TxBuf::from_vec(vec![1.5f64; 8]));
    let mark = TxFrame::bare(Header::new(Kind::EndOfTime, NodeId::worker(0)));
    [("push", push), ("pull", pull), ("dense-reply", dense), ("end-of-time", mark)]
        .map(|(name, frame)| (name.to_owned(), frame))
        .into()
}

fn table() -> TableSpec {
    TableSpec {
        id: TableId(0),
        name: "weights".into(),
        dtype: DType::F32,
        width: 1,
        key_end: 1 << 20,
        layout: Layout::Sparse,
        update: UpdateFunction::Ftrl(Ftrl { alpha: 0.1, beta: 1.0, l1: 1.0, l2: 0.0 }),
        consistency: Consistency::Eventual,
        filters: Filters::default(),
    }
}

fn messages() -> Vec<(&'static str, ControlMessage)> {
    let server = NodeInfo { node: NodeId::server(0, 1), address: "127.0.0.1:4000".into(), host: "a".into() };
    let half = u64::MAX / 2;
    let entry = |begin, end, rank| PartitionEntry {
        positions: KeyRange::new(begin, end),
        owner: NodeId::server(rank, 0),
        replicas: vec![NodeId::server(1 - rank, 0)],
    };
    let partition = Partition { epoch: Epoch(1), entries: vec![entry(0, half, 0), entry(half, u64::MAX, 1)] };
    let config = JobConfig { tables: vec![table()], writers: 2, program: vec![1, 2, 3], survives_worker_loss: false };
    let section = SectionInfo {
        table: 0,
        range: KeyRange::new(0, 900),
        key_count: 4,
        nonzero_count: 3,
        crc32: [0xdead_beef, 1, 2],
    };
    let save = SaveTask { path: "a.model".into(), nonce: 9, with_state: true, offsets: vec![[4096, 8192, 0]] };
    let shutdown = Shutdown { exit_code: 4, message: "server 0 is gone".into() };
    vec![
        (
            "welcome",
            ControlMessage::Welcome {
                config,
                partition,
                servers: vec![server.clone()],
                resume: ResumePoint::default(),
            },
        ),
        ("register", ControlMessage::Register(server)),
        ("next-unit", ControlMessage::NextUnit { sequence: 4 }),
        (
            "unit-done",
            ControlMessage::UnitDone { sequence: 2, unit: 3, report: vec![7; 5], resume: Some(ResumePoint::default()) },
        ),
        (
            "assigned",
            ControlMessage::Assigned { sequence: 4, assignment: Assignment::Unit(Unit { id: 8, payload: vec![1; 9] }) },
        ),
        ("save", ControlMessage::Task { sequence: 1, task: Task::Save(save) }),
        ("sections", ControlMessage::TaskDone { sequence: 1, reply: TaskReply::Sections(vec![section]) }),
        ("shutdown", ControlMessage::Shutdown(shutdown)),
    ]
}
