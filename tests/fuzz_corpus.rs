//! Replays the kept inputs of every fuzz target, and shortened and damaged forms of each.
//!
//! The inputs lie in `tests/fuzz/corpus/TARGET`. `PARASHARD_WRITE_CORPUS=1` writes the examples
//! that this file makes itself there anew, after a change of a format.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use bodies::TARGETS;
use parashard::id::{Epoch, NodeId, TableId, Timestamp};
use parashard::keyspace::{KeyRange, Partition, PartitionEntry};
use parashard::learn::data::{BlockWriter, RowBatch};
use parashard::memory::TxBuf;
use parashard::wire::{
    Assignment, Consistency, ControlMessage, DType, Dependency, Ftrl, Header, JobConfig, Kind, Layout, NodeInfo,
    SaveTask, SectionInfo, Shutdown, TableSpec, Task, TaskReply, TxFrame, Unit, UpdateFunction,
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
        assert_eq!(kept, bytes, "{} is not what is written today: PARASHARD_WRITE_CORPUS=1 writes it", path.display());
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
    let texts = texts().into_iter().map(|(name, bytes)| ("rows", name.to_owned(), bytes));
    let blocks = blocks().into_iter().map(|(name, bytes)| ("block", name.to_owned(), bytes));
    control.chain(frames).chain(texts).chain(blocks).collect()
}

/// Text files behind the two bytes that choose how they are read; see the body.
fn texts() -> Vec<(&'static str, Vec<u8>)> {
    const LIBSVM: &[u8] = b"1 3:1 17:0.5 4000:2e-1\n-1 1:1 # why\n\n+1\n0 7:-3.25 8:1\r\n1 9:1";
    const CRITEO: &[u8] = b"1\t3\t-1\t\t9\t0\t\t2\t4\t\t5\t\t\t7\t68fd1e64\t80e26c9b\t\t25c83c98\t7e0ccccf\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t";
    const VW: &[u8] = b"1 |a x y:2 z |b x:0.5\n-1 2.0 'tag|f 17 18:3\n1 |\n";
    let file = |choice: u8, size: u8, text: &[u8]| [&[choice, size], text].concat();
    let zipped = |text: &[u8]| zstd::encode_all(text, 1).expect("packs into memory");
    vec![
        ("libsvm", file(0, 9, LIBSVM)),
        ("libsvm-bounded", file(4 | 8, 4, LIBSVM)),
        ("libsvm-bad-line-skipped", file(16, 5, b"1 3:1\n1 x:1\n0 5:nan\n1 4:1\n")),
        ("libsvm-bad-line", file(0, 5, b"1 3:1\n1 3:1 3\n")),
        ("libsvm-zst", file(0, 1, &zipped(LIBSVM))),
        ("criteo", file(1, 40, CRITEO)),
        ("vw", file(2, 11, VW)),
        ("vw-zst", file(2, 11, &zipped(VW))),
    ]
}

fn blocks() -> Vec<(&'static str, Vec<u8>)> {
    let file = |rows: &[(f32, &[u64], &[f32])]| {
        let mut batch = RowBatch::default();
        rows.iter().for_each(|(label, keys, values)| batch.push_row(*label, keys, values));
        let mut writer = BlockWriter::new(Vec::new()).expect("memory can be written");
        writer.push_rows(&batch).expect("memory can be written");
        writer.finish().expect("memory can be written").0
    };
    vec![
        ("even-ones", file(&[(1.0, &[3, 70_000, 5], &[]), (0.0, &[5, 6, 7], &[])])),
        ("values", file(&[(1.0, &[3, 1 << 40], &[0.5, 2.0]), (0.0, &[], &[]), (1.0, &[9], &[-1.0])])),
        ("no-rows", file(&[])),
    ]
}

#[test]
fn a_damaged_block_comes_past_the_checksums_once_they_are_mended() {
    let (_, mut bytes) = blocks().swap_remove(0);
    let whole = bytes.clone();
    bytes[16] ^= 1;
    let mended = bodies::block::with_checksums(&bytes);
    assert_eq!(bodies::block::with_checksums(&whole), whole, "right checksums are left as they are");
    assert_ne!(mended, bytes);
    let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
    std::fs::write(&path, &mended).expect("a file");
    assert!(parashard::learn::data::BlockFile::open(&path).is_ok());
}

fn contiguous(frame: &TxFrame) -> Vec<u8> {
    [frame.encode_header().as_bytes(), &frame.body_parts().concat()].concat()
}

fn frames() -> Vec<(String, TxFrame)> {
    let mut push = Header::new(Kind::Push, NodeId::worker(3));
    (push.timestamp, push.range) = (Timestamp(7), KeyRange::new(0, 1 << 20));
    (push.key_count, push.key_bytes, push.value_bytes, push.dependency_count) = (3, 24, 12, 1);
    let push = TxFrame {
        header: push,
        dependencies: vec![Dependency::new(Timestamp(6), KeyRange::new(5, 900))],
        keys: Some(TxBuf::from_vec(vec![5u64, 80, 900])),
        values: Some(TxBuf::from_vec(vec![0.5f32, -1.0, 3.25])),
    };
    let mut pull = Header::new(Kind::Pull, NodeId::worker(3));
    (pull.key_count, pull.key_bytes, pull.digest) = (2, 16, 0x1234_5678);
    let pull = TxFrame { keys: Some(TxBuf::from_vec(vec![80u64, 81])), ..TxFrame::bare(pull) };
    let mut dense = Header::new(Kind::PullReply, NodeId::server(1, 2));
    (dense.dtype, dense.width, dense.value_bytes) = (DType::F64, 2, 64);
    let dense = TxFrame { values: Some(TxBuf::from_vec(vec![1.5f64; 8])), ..TxFrame::bare(dense) };
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
    let config = JobConfig { tables: vec![table()], writers: 2, program: vec![1, 2, 3] };
    let section =
        SectionInfo { table: 0, range: KeyRange::new(0, 900), key_count: 4, bytes: 64, checksum: 0xdead_beef };
    let save = SaveTask { path: "a.model".into(), nonce: 9, with_state: true, offsets: vec![4096, 8192] };
    let shutdown = Shutdown { exit_code: 4, message: "server 0 is gone".into() };
    vec![
        ("welcome", ControlMessage::Welcome { config, partition, servers: vec![server.clone()] }),
        ("register", ControlMessage::Register(server)),
        ("next-unit", ControlMessage::NextUnit { sequence: 4 }),
        ("unit-done", ControlMessage::UnitDone { sequence: 4, unit: 3, report: vec![7; 5] }),
        (
            "assigned",
            ControlMessage::Assigned { sequence: 4, assignment: Assignment::Unit(Unit { id: 8, payload: vec![1; 9] }) },
        ),
        ("save", ControlMessage::Task { sequence: 1, task: Task::Save(save) }),
        ("sections", ControlMessage::TaskDone { sequence: 1, reply: TaskReply::Sections(vec![section]) }),
        ("shutdown", ControlMessage::Shutdown(shutdown)),
    ]
}
