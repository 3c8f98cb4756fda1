//! Answers that tell only what has changed: they come to the same values, whatever is lost, doubled, late or
//! forgotten, and with a threshold to nearly the same.

use super::key_cache::{Wired, keys, received_again, request, spec, wired, wired_with};
use super::*;
use crate::error::ExitCode;
use crate::filter::{PullFilter, PullFilters};
use crate::id::Timestamp;
use crate::limit;
use crate::memory::TxBuf;
use crate::protocol::server::{Server, ServerEvent};
use crate::protocol::worker::Keys;
use crate::wire::{AnswerNumbers, HEADER_BYTES};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const CHANGED: &str = "key_cache,nonzero,changed";

/// Bytes of the answers since it was asked last, and how many of them told only changes.
fn pulled(wired: &Wired, before: &mut (u64, u64)) -> (u64, u64) {
    let traffic = wired.worker.traffic();
    let now = (traffic.bytes_pulled, traffic.changes_pulled);
    let since = (now.0 - before.0, now.1 - before.1);
    *before = now;
    since
}

#[test]
fn what_has_not_changed_since_the_last_answer_does_not_travel() {
    let mut wired = wired(spec(CHANGED, Consistency::Eventual));
    let (list, mut before) = (keys(3, 200), (0, 0));
    wired.push(&list, 5);
    assert_eq!(wired.pull(&list), vec![5; 200]);
    let headers = 2 * HEADER_BYTES as u64;
    assert_eq!(pulled(&wired, &mut before), (headers + 1600, 0));
    assert_eq!(wired.pull(&list), vec![5; 200]);
    // A bit for each number, in words.
    assert_eq!(pulled(&wired, &mut before), (headers + 4 * 8, 2));
    wired.push(&keys(3, 200), -5);
    assert_eq!(wired.pull(&list), vec![0; 200], "zeros are changes too");
    assert_eq!(wired.pull(&keys(3, 199)).len(), 199);
    pulled(&wired, &mut before);
    wired.pull(&keys(3, 199));
    assert_eq!(pulled(&wired, &mut before).1, 2, "each list has its own answers");
}

#[test]
fn whoever_forgets_gets_or_gives_whole_answers() {
    let spec = spec(CHANGED, Consistency::Eventual);
    let mut wired = wired(spec.clone());
    let (list, mut before) = (keys(3, 200), (0, 0));
    let mut check = |wired: &mut Wired, changes: u64| {
        wired.push(&list, 1);
        let values = wired.pull(&list);
        assert!(values.iter().all(|&value| value == values[100] && value > 0), "{values:?}");
        assert_eq!(pulled(wired, &mut before).1, changes);
    };
    check(&mut wired, 0);
    check(&mut wired, 2);
    wired.first().limit_sent(0);
    check(&mut wired, 1);
    assert_eq!(wired.first().sent().answers, 0);
    wired.first().limit_sent(1 << 20);
    check(&mut wired, 1);
    check(&mut wired, 2);
    wired.worker.limit_pulled(0);
    check(&mut wired, 0);
    wired.worker.limit_pulled(1 << 20);
    check(&mut wired, 0);
    check(&mut wired, 2);
    wired.first().limit_key_cache(0);
    check(&mut wired, 1);
}

#[test]
fn numbers_of_another_start_of_a_shard_mean_nothing() {
    let spec = spec(CHANGED, Consistency::Eventual);
    let mut wired = wired(spec.clone());
    let list = keys(3, 200);
    wired.push(&list, 7);
    wired.pull(&list);
    // It numbers its answers from one again, and has other values.
    wired.start(FIRST, &spec);
    wired.push(&list, 1);
    let other = wired.pull(&list);
    assert_eq!((other[0], other[199]), (1, 8));
    wired.worker.handle(Nanos(0), lost(FIRST));
    wired.worker.handle(Nanos(0), Input::Connected { peer: FIRST, incarnation: Incarnation(99) });
    wired.worker.pull(Nanos(0), &request(&list)).unwrap();
    let asked = drain(&mut wired.worker).frames;
    let named = |to| asked.iter().find(|(peer, _)| *peer == to).map(|(_, frame)| frame.header.slice_count);
    assert_eq!(named(FIRST), Some(0));
    assert_ne!(named(SECOND), Some(0));
}

#[test]
fn an_answer_told_by_one_that_was_not_named_is_asked_for_again() {
    let mut wired = wired(spec(CHANGED, Consistency::Eventual));
    let list = keys(3, 200);
    wired.push(&list, 5);
    wired.pull(&list);
    let timestamp = wired.worker.pull(Nanos(0), &request(&list)).unwrap();
    let asked = drain(&mut wired.worker).frames;
    for (to, frame) in &asked {
        let (_, shard) = wired.shards.iter_mut().find(|(shard, _)| shard == to).unwrap();
        shard.handle(Nanos(0), Input::Frame { from: WORKER, frame: received_again(frame) });
        let (_, mut answer) = drain(shard).frames.remove(0);
        let AnswerNumbers { own, base } = answer.header.answer_numbers();
        assert!(base > 0 && own > base);
        if *to == FIRST {
            answer.header.set_answer_numbers(AnswerNumbers { own, base: own });
        }
        wired.worker.handle(Nanos(0), Input::Frame { from: *to, frame: answer });
    }
    assert!(!wired.worker.is_done(timestamp));
    wired.worker.handle_timeout(Nanos(0).after(limit::BUSY_BACKOFF));
    wired.settle();
    assert_eq!(wired.worker.take_pulled(timestamp).unwrap().typed::<i64>(), [5; 200]);
}

#[test]
fn with_a_threshold_a_key_travels_once_it_is_farther_off() {
    let mut wired = wired(spec("key_cache,nonzero,changed:2", Consistency::Eventual));
    let list = keys(3, 200);
    let seen: Vec<i64> = (0..6)
        .map(|_| {
            wired.push(&list, 1);
            wired.pull(&list)[7]
        })
        .collect();
    assert_eq!(seen, [1, 1, 1, 4, 4, 4]);
}

/// Keeps what is known of odd keys, and tells doubles of the others.
struct Odd;

impl PullFilter for Odd {
    fn answer_f32(&mut self, _: &[u64], _: Option<&[f32]>, _: &mut [f32], _: &mut [bool]) {}

    fn answer_f64(&mut self, keys: &[u64], before: Option<&[f64]>, values: &mut [f64], kept: &mut [bool]) {
        assert_eq!(before.map_or(keys.len(), <[f64]>::len), values.len());
        values.iter_mut().for_each(|value| *value *= 2.0);
        keys.iter().zip(kept).for_each(|(key, kept)| *kept = key % 2 == 1);
    }
}

#[test]
fn a_filter_of_the_server_program_decides_what_is_told() {
    let table = TableSpec { dtype: DType::F64, ..spec("key_cache,nonzero,own_pull:odd", Consistency::Eventual) };
    let mut filters = PullFilters::default();
    filters.register("odd", |_, _| Ok(Box::new(Odd))).unwrap();
    assert!(filters.register("odd", |_, _| Ok(Box::new(Odd))).is_err());
    let mut wired = wired_with(table, filters);
    let list = Keys::once(TxBuf::from_vec((0..40).collect::<Vec<u64>>()));
    let mut round = || {
        wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(vec![1.0f64; 40])).unwrap();
        wired.settle();
        let timestamp = wired.worker.pull(Nanos(0), &request(&list)).unwrap();
        wired.settle();
        wired.worker.take_pulled(timestamp).unwrap().typed::<f64>()[..4].to_vec()
    };
    assert_eq!(round(), [2.0; 4]);
    assert_eq!(round(), [4.0, 2.0, 4.0, 2.0]);
    assert_eq!(round(), [6.0, 2.0, 6.0, 2.0]);
}

#[test]
fn a_shard_without_the_filter_that_a_table_declares_says_so() {
    let table = TableSpec { dtype: DType::F64, ..spec("key_cache,nonzero,own_pull:odd", Consistency::Eventual) };
    let mut server = Server::new(Nanos(0), identity(FIRST), "here".into(), "host".into(), "there", Pool::unbounded());
    server.handle(Nanos(0), connected(NodeId::SCHEDULER));
    drain(&mut server);
    server.handle(Nanos(0), welcome(vec![table], 1, &[FIRST]));
    let drained = drain(&mut server);
    let said = format!("{:?}", drained.said(NodeId::SCHEDULER));
    let words = "table `table 0`: no filter 'odd' is registered in the server program; registered: none";
    assert!(said.contains(words) && said.contains(&format!("exit_code: {}", ExitCode::Usage as u8)), "{said}");
    assert!(!drained.events.iter().any(|event| matches!(event, ServerEvent::Welcome)));
}

/// A step of a network that delivers in any order, twice, or later.
#[derive(Debug, Clone)]
enum NetworkStep {
    /// A pull of one of two lists begins.
    Pull(u8),
    /// A push to one of ten keys is applied.
    Push(u8),
    /// A request or an answer is delivered, perhaps not for the last time.
    Deliver { place: u8, again: bool },
    /// A frame is lost.
    Lose(u8),
    /// Somebody forgets.
    Forget(bool),
}

fn network_step() -> impl Strategy<Value = NetworkStep> {
    prop_oneof![
        3 => (0u8..2).prop_map(NetworkStep::Pull),
        2 => (0u8..10).prop_map(NetworkStep::Push),
        8 => (any::<u8>(), any::<bool>()).prop_map(|(place, again)| NetworkStep::Deliver { place, again }),
        1 => any::<u8>().prop_map(NetworkStep::Lose),
        1 => any::<bool>().prop_map(NetworkStep::Forget),
    ]
}

/// Frames on their way: `Some` shard for an answer of it, otherwise a request to the shard.
struct Network {
    wired: Wired,
    now: Nanos,
    on_the_way: Vec<(NodeId, bool, RxFrame)>,
}

impl Network {
    fn take_questions(&mut self) {
        let frames = drain(&mut self.wired.worker).frames;
        let frames = frames.into_iter().filter(|(to, _)| *to != NodeId::SCHEDULER);
        self.on_the_way.extend(frames.map(|(to, frame)| (to, false, frame)));
    }

    fn deliver(&mut self, place: usize, again: bool) {
        if self.on_the_way.is_empty() {
            return;
        }
        let place = place % self.on_the_way.len();
        let (shard, is_answer, frame) = match again {
            true => {
                let (shard, is_answer, frame) = &self.on_the_way[place];
                (*shard, *is_answer, received_again(frame))
            }
            false => self.on_the_way.remove(place),
        };
        if is_answer {
            self.wired.worker.handle(self.now, Input::Frame { from: shard, frame });
            return self.take_questions();
        }
        let (_, server) = self.wired.shards.iter_mut().find(|(node, _)| *node == shard).unwrap();
        server.handle(self.now, Input::Frame { from: WORKER, frame });
        self.on_the_way.extend(drain(server).frames.into_iter().map(|(_, answer)| (shard, true, answer)));
    }
}

proptest! {
    #[test]
    fn lost_doubled_and_overtaken_frames_change_no_value(
        steps in prop::collection::vec(network_step(), 1..80), threshold in 0i64..3,
    ) {
        let filters = format!("{CHANGED}:{threshold}");
        let wired = wired(spec(&filters, Consistency::Eventual));
        let mut network = Network { wired, now: Nanos(0), on_the_way: Vec::new() };
        let lists = [keys(3, 40), keys(5, 40)];
        let mut sums = [[0i64; 40]; 2];
        let mut open: Vec<(Timestamp, usize, [i64; 40])> = Vec::new();
        for step in steps {
            match step {
                NetworkStep::Pull(list) => {
                    let list = usize::from(list);
                    let timestamp = network.wired.worker.pull(network.now, &request(&lists[list])).unwrap();
                    network.take_questions();
                    open.push((timestamp, list, sums[list]));
                }
                NetworkStep::Push(key) => {
                    // By another worker, and at once.
                    let (list, place) = (usize::from(key) % 2, usize::from(key) * 4);
                    let key = lists[list].buffer().typed::<u64>()[place];
                    for (_, shard) in &mut network.wired.shards {
                        let owned = shard.owned(TableId(0)).into_iter().find(|range| range.contains(key));
                        if let Some(range) = owned {
                            let table = shard.table_mut(TableId(0)).unwrap();
                            table.apply(range, range, Some(&[key]), [1i64].as_bytes());
                        }
                    }
                    sums[list][place] += 1;
                }
                NetworkStep::Deliver { place, again } => network.deliver(usize::from(place), again),
                NetworkStep::Lose(place) if !network.on_the_way.is_empty() => {
                    let place = usize::from(place) % network.on_the_way.len();
                    network.on_the_way.remove(place);
                }
                NetworkStep::Lose(_) => {}
                NetworkStep::Forget(true) => {
                    network.wired.worker.limit_pulled(0);
                    network.wired.worker.limit_pulled(1 << 20);
                }
                NetworkStep::Forget(false) => {
                    network.wired.first().limit_sent(0);
                    network.wired.first().limit_sent(1 << 20);
                }
            }
            check_done(&mut network, &mut open, &sums, threshold)?;
        }
        for _ in 0..4 {
            while !network.on_the_way.is_empty() {
                network.deliver(0, false);
            }
            network.now = network.now.after(limit::RETRY_TIMEOUT);
            network.wired.worker.handle_timeout(network.now);
            network.take_questions();
        }
        check_done(&mut network, &mut open, &sums, threshold)?;
        prop_assert!(open.is_empty(), "never answered: {open:?}");
    }
}

/// Checks the values of every pull that is answered: not less than when it began, but for the threshold.
fn check_done(
    network: &mut Network,
    open: &mut Vec<(Timestamp, usize, [i64; 40])>,
    sums: &[[i64; 40]; 2],
    threshold: i64,
) -> Result<(), TestCaseError> {
    let (done, rest) = std::mem::take(open).into_iter().partition(|(name, ..)| network.wired.worker.is_done(*name));
    *open = rest;
    let done: Vec<_> = done;
    for (timestamp, list, floor) in done {
        let values = network.wired.worker.take_pulled(timestamp).unwrap();
        for (place, &value) in values.typed::<i64>().iter().enumerate() {
            let (least, most) = (floor[place] - threshold, sums[list][place]);
            prop_assert!((least..=most).contains(&value), "place {place}: {value} is not in {least}..={most}");
        }
    }
    Ok(())
}
