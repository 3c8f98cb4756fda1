//! Keys that filters hold back: every sum arrives in the end, at the servers or in what is kept, and frames
//! and names stay.

use super::key_cache::{Wired, keys, request, spec, wired};
use super::*;
use crate::filter::{PushFilter, PushFilters};
use crate::keyspace::KeyRange;
use crate::memory::TxBuf;
use crate::protocol::worker::{Keys, Request, Worker};
use crate::wire::Kind;
use proptest::prelude::*;
use std::collections::BTreeMap;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const TABLE: TableId = TableId(0);
/// Keys that the streams are about, on both shards.
const STEP: u64 = 1 << 14;

/// A number that a block may hold.
trait Plain: FromBytes + IntoBytes + Immutable + Send + Sync + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Send + Sync + 'static> Plain for T {}

/// One push: which keys, and a number for each.
type Stream = Vec<Vec<(u64, i16)>>;

fn stream() -> impl Strategy<Value = Stream> {
    let push = prop::collection::btree_map(0u64..64, -40i16..40, 0..40);
    prop::collection::vec(push.prop_map(|push| push.into_iter().collect()), 1..20)
}

/// Pushes numbers as `make` makes them, and gives the operation to the shards.
fn push<T: Plain>(wired: &mut Wired, part: &[(u64, i16)], make: fn(i16) -> T) {
    let keys = Keys::once(TxBuf::from_vec(part.iter().map(|(key, _)| key * STEP).collect()));
    let values = TxBuf::from_vec(part.iter().map(|&(_, number)| make(number)).collect());
    let timestamp = wired.worker.push(Nanos(0), &request(&keys), values).unwrap();
    wired.settle();
    wired.worker.take_pushed(timestamp).unwrap();
}

fn bytes_pulled(wired: &mut Wired, keys: &Keys) -> Vec<u8> {
    let timestamp = wired.worker.pull(Nanos(0), &request(keys)).unwrap();
    wired.settle();
    wired.worker.take_pulled(timestamp).unwrap().to_vec()
}

fn bytes<T: Plain>(numbers: Vec<T>) -> Vec<u8> {
    numbers.as_bytes().to_vec()
}

fn all() -> Keys {
    Keys::once(TxBuf::from_vec((0..64).map(|key| key * STEP).collect()))
}

fn finish(wired: &mut Wired) {
    wired.worker.finish(Nanos(0), TABLE).unwrap();
    wired.settle();
    assert!(wired.worker.is_settled());
    assert_eq!(wired.worker.kept(TABLE).1, 0, "something was kept at the end");
}

/// What the servers should have and what is kept, by a plain map.
#[derive(Default)]
struct Model {
    sent: BTreeMap<u64, i64>,
    kept: BTreeMap<u64, i64>,
    pushed: BTreeMap<u64, i64>,
}

impl Model {
    fn push(&mut self, part: &[(u64, i16)], threshold: i64) {
        for &(key, number) in part {
            *self.pushed.entry(key).or_default() += i64::from(number);
            let kept = self.kept.entry(key).or_default();
            *kept += i64::from(number);
            if kept.abs() > threshold {
                *self.sent.entry(key).or_default() += std::mem::take(kept);
            }
        }
    }

    fn kept_count(&self) -> u64 {
        self.kept.values().filter(|&&number| number != 0).count() as u64
    }
}

fn numbers(of: &BTreeMap<u64, i64>) -> Vec<i64> {
    (0..64).map(|key| of.get(&key).copied().unwrap_or(0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_and_what_is_kept_are_what_was_pushed(
        stream in stream(),
        threshold in 0i64..60,
        is_dense in any::<bool>(),
        others in prop::sample::select(vec!["", ",key_cache", ",key_cache,pack_keys,nonzero", ",snappy"]),
    ) {
        let layout = if is_dense { Layout::Dense } else { Layout::Sparse };
        let filters = format!("significant:{threshold}{others}");
        let mut wired = wired(TableSpec { layout, ..spec(&filters, Consistency::Eventual) });
        let mut model = Model::default();
        for part in &stream {
            push(&mut wired, part, i64::from);
            model.push(part, threshold);
            prop_assert_eq!(bytes_pulled(&mut wired, &all()), bytes(numbers(&model.sent)));
            prop_assert_eq!(wired.worker.kept(TABLE).1, model.kept_count());
        }
        finish(&mut wired);
        prop_assert_eq!(bytes_pulled(&mut wired, &all()), bytes(numbers(&model.pushed)));
    }

    #[test]
    fn rounding_and_a_small_limit_lose_nothing_either(stream in stream(), limit in prop::sample::select(vec![0u64, 1 << 30])) {
        for filters in
                ["significant:8,fixed_point:8,key_cache,nonzero", "significant:8,bf16", "significant:8"] {
            let mut wired = wired(TableSpec { dtype: DType::F32, ..spec(filters, Consistency::Eventual) });
            wired.worker.limit_kept(limit);
            let mut model = Model::default();
            for part in &stream {
                // Sixteenths: their sums are exact.
                push(&mut wired, part, |number| f32::from(number) / 16.0);
                model.push(part, 128);
            }
            let sent: Vec<u8> = bytes_pulled(&mut wired, &all());
            if filters == "significant:8" && limit > 0 {
                let exact: Vec<f32> = numbers(&model.sent).iter().map(|&number| number as f32 / 16.0).collect();
                prop_assert_eq!(sent, bytes(exact));
            }
            finish(&mut wired);
            let exact: Vec<f32> = numbers(&model.pushed).iter().map(|&number| number as f32 / 16.0).collect();
            prop_assert_eq!(bytes_pulled(&mut wired, &all()), bytes(exact), "{}", filters);
        }
    }
}

#[test]
fn frames_go_to_every_shard_under_the_same_names_even_without_keys() {
    let mut wired = wired(spec("significant:10,key_cache", Consistency::Eventual));
    let list = keys(3, 200);
    for expected in [0, 0, 200] {
        let timestamp = wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(vec![4i64; 200])).unwrap();
        wired.settle();
        wired.worker.take_pushed(timestamp).unwrap();
        let frames: Vec<_> = wired.requests.drain(..).collect();
        assert_eq!(frames.iter().filter(|frame| frame.header.kind == Kind::Push).count(), 2, "one for each shard");
        assert!(frames.iter().all(|frame| frame.header.timestamp == timestamp));
        assert_eq!(frames.iter().map(|frame| frame.header.key_count).sum::<u32>(), expected);
        let spans: u64 = frames.iter().map(|frame| frame.header.range.span()).sum();
        assert_eq!(spans, request(&list).range.span());
    }
}

#[test]
fn what_is_kept_goes_out_when_the_program_says_so_and_at_the_limit() {
    let mut wired = wired(spec("significant:10", Consistency::Eventual));
    let list = keys(3, 200);
    let values: Vec<i64> = (0..200).map(|number| number % 10).collect();
    let pushed = |wired: &mut Wired| {
        let timestamp = wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(values.clone())).unwrap();
        wired.settle();
        wired.worker.take_pushed(timestamp).unwrap();
        let timestamp = wired.worker.pull(Nanos(0), &request(&list)).unwrap();
        wired.settle();
        wired.worker.take_pulled(timestamp).unwrap().typed::<i64>().to_vec()
    };
    assert_eq!(pushed(&mut wired), vec![0; 200]);
    assert!(wired.worker.flush_kept(Nanos(0), TABLE).unwrap());
    assert!(!wired.worker.flush_kept(Nanos(0), TABLE).unwrap());
    wired.settle();
    assert_eq!(wired.worker.kept(TABLE).1, 0);
    wired.worker.limit_kept(0);
    let after = pushed(&mut wired);
    wired.settle();
    let large = after.iter().zip(0i64..).filter(|&(sum, number)| *sum == number % 10 + (number % 10));
    assert_eq!(large.count(), 100 + 20, "the larger half has been pushed twice, and zeros do not count");
}

/// Holds back odd keys, doubles the others, and adds what was pulled of a key to its next push.
struct Odd {
    pulled: BTreeMap<u64, f64>,
}

impl PushFilter for Odd {
    fn push_f32(&mut self, _: &[u64], _: &mut [f32], _: &mut [bool]) {
        unreachable!("the table holds doubles");
    }

    fn push_f64(&mut self, keys: &[u64], values: &mut [f64], held: &mut [bool]) {
        for ((key, value), held) in keys.iter().zip(values).zip(held) {
            *held = key % 2 == 1;
            *value = if *held { *value } else { 2.0 * *value + self.pulled.get(key).copied().unwrap_or(0.0) };
        }
    }

    fn pulled_f64(&mut self, keys: &[u64], values: &[f64]) {
        self.pulled.extend(keys.iter().copied().zip(values.iter().copied()));
    }
}

fn with_filters(spec: TableSpec, filters: PushFilters) -> Worker {
    let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    worker.filter_by(filters);
    worker.handle(Nanos(0), welcome(vec![spec], 1, &[FIRST, SECOND]));
    for shard in [FIRST, SECOND] {
        worker.handle(Nanos(0), connected(shard));
    }
    worker
}

#[test]
fn a_filter_of_the_user_changes_and_holds_back_and_sees_what_is_pulled() {
    let spec = TableSpec { dtype: DType::F64, layout: Layout::Dense, ..spec("own:odd", Consistency::Eventual) };
    let mut wired = wired(TableSpec { filters: "none".parse().unwrap(), ..spec.clone() });
    let mut filters = PushFilters::default();
    filters.register("odd", |_, _| Ok(Box::new(Odd { pulled: BTreeMap::new() }))).unwrap();
    wired.worker = with_filters(spec, filters);
    let range = Request { table: TABLE, range: KeyRange::new(8, 12), ..Request::default() };
    let pull = |wired: &mut Wired, push: bool| {
        if push {
            wired.worker.push(Nanos(0), &range, TxBuf::from_vec(vec![1.0f64; 4])).unwrap();
        }
        let timestamp = wired.worker.pull(Nanos(0), &range).unwrap();
        wired.settle();
        wired.worker.take_pulled(timestamp).unwrap().typed::<f64>().to_vec()
    };
    assert_eq!(pull(&mut wired, true), [2.0, 0.0, 2.0, 0.0]);
    assert_eq!(pull(&mut wired, true), [6.0, 0.0, 6.0, 0.0], "twice the push, and what was pulled");
    finish(&mut wired);
    assert_eq!(pull(&mut wired, false), [6.0, 2.0, 6.0, 2.0]);
}

#[test]
fn a_filter_that_is_not_registered_ends_the_job_and_names_those_that_are() {
    let spec = TableSpec { dtype: DType::F64, ..spec("own:odd", Consistency::Eventual) };
    let mut worker = Worker::new(Nanos(0), identity(WORKER), "host".to_owned(), "there", Pool::unbounded());
    worker.handle(Nanos(0), connected(NodeId::SCHEDULER));
    drain(&mut worker);
    worker.handle(Nanos(0), welcome(vec![spec], 1, &[FIRST]));
    let said = drain(&mut worker).said(NodeId::SCHEDULER);
    let Some(ControlMessage::Failed(shutdown)) = said.first() else { panic!("{said:?}") };
    let expected = "no filter 'odd' is registered in the worker program; registered: kkt";
    assert!(shutdown.message.contains(expected), "{}", shutdown.message);
}
