//! Two ends in one thread; and an end whose peer writes what it likes.

use super::super::layout::Direction;
use super::*;
use crate::id::{JobId, Timestamp};
use crate::keyspace::KeyRange;
use crate::memory::{LandingBlock, Pool, TxBuf, take_copied_bytes};
use crate::wire::Status;
use proptest::prelude::*;
use std::sync::Arc;

const JOB: JobId = JobId(9);
const FIRST: NodeId = NodeId::server(0, 0);
const SECOND: NodeId = NodeId::worker(0);

struct Pair {
    memory: RingMemory,
    ends: [RingLink; 2],
    /// The bells of the two.
    bells: [Doorbell; 2],
    pool: Arc<Pool>,
    told: [Vec<Incoming>; 2],
}

impl Pair {
    fn new() -> Pair {
        let memory = RingMemory::anonymous(super::super::MEMORY_BYTES).expect("memory");
        let bells = [Doorbell::new().expect("a bell"), Doorbell::new().expect("a bell")];
        let bell = |of: usize| bells[of].try_clone().expect("a descriptor");
        let first = RingLink::new(memory.clone(), Side::First, SECOND, 3, bell(1)).expect("an end");
        let second = RingLink::new(memory.clone(), Side::Second, FIRST, 3, bell(0)).expect("an end");
        Pair { memory, ends: [first, second], bells, pool: Pool::unbounded(), told: [Vec::new(), Vec::new()] }
    }

    fn receive(&mut self, end: usize, is_paused: bool) -> Result<bool, LinkError> {
        let origin = Origin { job: JOB, peer: [SECOND, FIRST][end], pool: &self.pool };
        self.ends[end].receive(&origin, is_paused, &mut self.told[end], 64)
    }

    fn send(&mut self, end: usize, frames: impl IntoIterator<Item = (u64, usize)>) {
        let source = [FIRST, SECOND][end];
        let mut frames = frames.into_iter().map(|(number, bytes)| frame(source, number, bytes)).collect();
        self.ends[end].enqueue(&mut frames);
        assert!(frames.is_empty());
        self.ends[end].flush().expect("sends");
    }

    fn numbers(&mut self, end: usize) -> Vec<u64> {
        let frames = self.told[end].drain(..).map(|told| match told {
            Incoming::Frame { frame, .. } => {
                let number = frame.header.timestamp.0;
                assert!(frame.body().values.iter().all(|&byte| byte == number as u8));
                number
            }
            other => panic!("{other:?}"),
        });
        frames.collect()
    }

    fn was_rung(&self, end: usize) -> bool {
        rustix::io::read(&self.bells[end], &mut [0; 8]).is_ok()
    }
}

fn frame(source: NodeId, number: u64, bytes: usize) -> TxFrame {
    let mut header = Header::new(Kind::Push, source);
    (header.job, header.timestamp, header.value_bytes) = (JOB, Timestamp(number), bytes as u32);
    TxFrame::with_values(header, TxBuf::from_vec(vec![number as u8; bytes]))
}

#[test]
fn frames_of_all_sizes_arrive_in_both_directions() {
    let mut pair = Pair::new();
    let sizes = [0, 1, INLINE_BODY_BYTES, INLINE_BODY_BYTES + 1, 4097, 100_000, SLOT_BODY_BYTES];
    for round in 0..50u64 {
        for end in 0..2 {
            pair.send(end, sizes.iter().enumerate().map(|(i, &bytes)| (round * 10 + i as u64, bytes)));
        }
        for end in 0..2 {
            while pair.receive(end, false).expect("frames") {}
            let mut numbers = pair.numbers(end);
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq((0..7).map(|i| round * 10 + i)), "{numbers:?}");
        }
    }
    assert_eq!(pair.pool.usage().used_bytes, 0);
}

#[test]
fn more_frames_than_slots_wait_for_credits_and_all_arrive() {
    let mut pair = Pair::new();
    pair.send(0, (0..100).map(|number| (number, 9)));
    assert!(pair.ends[0].queued_bytes() > 0);
    let mut numbers = Vec::new();
    for _ in 0..20 {
        pair.receive(1, false).expect("frames");
        numbers.extend(pair.numbers(1));
        pair.ends[1].flush().expect("credits");
        pair.receive(0, false).expect("credits");
        pair.ends[0].flush().expect("frames");
    }
    assert!(numbers.iter().copied().eq(0..100), "{numbers:?}");
    assert_eq!(pair.ends[0].queued_bytes(), 0);
}

#[test]
fn a_paused_peer_gets_no_slot_back_and_still_gives_credits() {
    let mut pair = Pair::new();
    pair.send(0, (0..100).map(|number| (number, 9)));
    for _ in 0..5 {
        pair.receive(1, true).expect("held");
        pair.ends[1].flush().expect("nothing to give back");
        pair.receive(0, false).expect("nothing came");
        pair.ends[0].flush().expect("no credit");
    }
    assert_eq!(pair.numbers(1).len(), 0);
    assert_eq!(pair.ends[1].held.len(), usize::from(SLOT_COUNT));
    pair.send(1, (0..16).map(|number| (number, 9)));
    pair.receive(0, false).expect("frames of the one that pauses");
    assert_eq!(pair.numbers(0).len(), 16);
    pair.ends[0].flush().expect("credits");
    pair.receive(1, true).expect("credits");
    assert_eq!(pair.ends[1].credits.free_count(), 16);
    let mut numbers = Vec::new();
    for _ in 0..20 {
        pair.receive(1, false).expect("frames");
        numbers.extend(pair.numbers(1));
        pair.ends[1].flush().expect("credits");
        pair.receive(0, false).expect("credits");
        pair.ends[0].flush().expect("frames");
    }
    assert!(numbers.iter().copied().eq(0..100), "{numbers:?}");
}

#[test]
fn a_sleeper_is_rung_for_once_and_only_when_it_sleeps() {
    let mut pair = Pair::new();
    pair.send(0, [(1, 9)]);
    assert!(!pair.was_rung(1));
    assert!(pair.ends[1].arm(), "a message is there");
    pair.receive(1, false).expect("a frame");
    assert!(!pair.ends[1].arm());
    pair.send(0, [(2, 9)]);
    assert!(pair.was_rung(1));
    pair.send(0, [(3, 9)]);
    assert!(!pair.was_rung(1), "rung twice for one sleep");
    pair.ends[1].disarm();
    pair.receive(1, false).expect("frames");
    pair.ends[1].arm();
    pair.send(0, [(4, 9)]);
    assert!(pair.was_rung(1), "a later sleep");
}

#[test]
fn a_sleeper_without_credits_is_rung_for_when_they_come_back() {
    let mut pair = Pair::new();
    pair.send(0, (0..100).map(|number| (number, 9)));
    assert!(!pair.ends[0].arm());
    pair.receive(1, false).expect("frames");
    pair.ends[1].flush().expect("credits");
    assert!(pair.was_rung(0));
    pair.receive(0, false).expect("credits");
    pair.ends[0].disarm();
    // Nothing waits for credits any more: they are no reason to wake.
    for _ in 0..10 {
        pair.ends[0].flush().expect("frames");
        pair.receive(1, false).expect("frames");
        pair.ends[1].flush().expect("credits");
        pair.receive(0, false).expect("credits");
    }
    assert_eq!(pair.ends[0].queued_bytes(), 0);
    pair.send(0, (0..8).map(|number| (number, 9)));
    pair.ends[0].arm();
    pair.receive(1, false).expect("frames");
    pair.ends[1].flush().expect("credits");
    assert!(!pair.was_rung(0));
}

#[test]
fn large_frames_are_taken_in_turns_with_their_use() {
    let mut pair = Pair::new();
    pair.send(0, (0..4).map(|number| (number, limit::SEGMENT_BYTES)));
    for number in 0..4 {
        let is_more = pair.receive(1, false).expect("a frame");
        assert_eq!((pair.numbers(1), is_more), (vec![number], number < 3));
    }
}

/// A question for all of `landing`, and an answer to it of so many bytes that are this number.
fn question(time: u64, landing: &LandingBlock) -> TxFrame {
    let mut header = Header::new(Kind::Pull, SECOND);
    (header.job, header.timestamp, header.range) = (JOB, Timestamp(time), KeyRange::new(10, 20));
    TxFrame { landing: Some(landing.landing(0..landing.bytes())), ..TxFrame::bare(header) }
}

fn answer(question: &Header, number: u8, bytes: usize) -> TxFrame {
    let mut header = Header { source: FIRST, kind: Kind::PullReply, ..*question };
    header.value_bytes = bytes as u32;
    TxFrame::with_values(header, TxBuf::from_vec(vec![number; bytes]))
}

impl Pair {
    /// A question that offers so many bytes has arrived: where its answer is wanted, and what was asked.
    fn ask(&mut self, bytes: usize) -> (LandingBlock, Header) {
        let landing = LandingBlock::new(self.pool.block(bytes));
        let question = question(1, &landing);
        let asked = question.header;
        self.carry(1, vec![question]);
        (landing, asked)
    }

    /// Frames as they are, from one end to the other; whether each one landed, and its values otherwise.
    fn carry(&mut self, from: usize, mut frames: Vec<TxFrame>) -> Vec<(bool, Vec<u8>)> {
        self.ends[from].enqueue(&mut frames);
        self.ends[from].flush().expect("sends");
        while self.receive(1 - from, false).expect("frames") {}
        let frames = self.told[1 - from].drain(..).map(|told| match told {
            Incoming::Frame { frame, .. } => (frame.landed, frame.body().values.to_vec()),
            other => panic!("{other:?}"),
        });
        frames.collect()
    }
}

#[test]
fn an_answer_is_copied_once_to_where_its_values_are_wanted() {
    let mut pair = Pair::new();
    let (landing, asked) = pair.ask(5000);
    assert!(landing.is_given_away());
    let frame = answer(&asked, 7, 5000);
    let _ = take_copied_bytes();
    assert_eq!(pair.carry(0, vec![frame]), [(true, Vec::new())]);
    assert_eq!(take_copied_bytes(), 2 * 5000, "in by one end, out by the other");
    assert_eq!(&*landing.into_block().expect("nobody else knows it"), &[7; 5000]);
}

#[test]
fn a_second_answer_finds_no_landing() {
    let mut pair = Pair::new();
    let (landing, asked) = pair.ask(2000);
    let told = pair.carry(0, vec![answer(&asked, 7, 2000), answer(&asked, 8, 2000)]);
    assert_eq!(told, [(true, Vec::new()), (false, vec![8; 2000])]);
    assert_eq!(&*landing.into_block().expect("nobody else knows it"), &[7; 2000]);
}

#[test]
fn only_values_that_fit_land_and_any_answer_frees_the_landing() {
    let mut pair = Pair::new();
    let landing = LandingBlock::new(pair.pool.block(2000));
    let ask = |pair: &mut Pair, time: u64, change: &dyn Fn(&mut TxFrame)| {
        let question = question(time, &landing);
        let mut frame = answer(&question.header, 7, 1500);
        change(&mut frame);
        pair.carry(1, vec![question]);
        let told = pair.carry(0, vec![frame]);
        (told[0].0, landing.is_given_away())
    };
    assert_eq!(ask(&mut pair, 1, &|_| ()), (true, false));
    assert_eq!(ask(&mut pair, 2, &|frame| frame.header.status = Status::Error), (false, false));
    assert_eq!(ask(&mut pair, 3, &|frame| *frame = answer(&frame.header, 7, 2001)), (false, false));
    assert_eq!(ask(&mut pair, 4, &|frame| *frame = answer(&frame.header, 7, 0)), (false, false));
    let with_keys = |frame: &mut TxFrame| {
        frame.header.key_bytes = 8;
        frame.keys = Some(TxBuf::from_vec(vec![3u64]));
    };
    assert_eq!(ask(&mut pair, 5, &with_keys), (false, false));
    assert_eq!(ask(&mut pair, 6, &|frame| frame.header.range.end = 21), (false, true), "of another question");
    let elsewhere = answer(&question(6, &landing).header, 7, 9).header;
    pair.ends[1].answered_elsewhere(&elsewhere);
    assert!(!landing.is_given_away());
}

#[test]
fn what_is_withdrawn_is_free_at_once_and_its_answer_comes_as_any_other() {
    let mut pair = Pair::new();
    let landings: [LandingBlock; 2] = [(); 2].map(|()| LandingBlock::new(pair.pool.block(2000)));
    let questions = [question(1, &landings[0]), question(2, &landings[1])];
    let asked = questions[0].header;
    pair.carry(1, vec![questions[0].clone()]);
    // The other one is not in the ring yet.
    pair.ends[1].enqueue(&mut vec![questions[1].clone()]);
    drop(questions);
    (1..=2).for_each(|time| pair.ends[1].withdraw(Timestamp(time)));
    assert!(landings.iter().all(|landing| !landing.is_given_away()));
    assert_eq!(pair.carry(0, vec![answer(&asked, 7, 2000)]), [(false, vec![7; 2000])]);
}

/// What a peer does that has gone mad: its own frames, and then it writes wherever it can.
fn fails_after(scribble: impl FnOnce(&RingMemory)) -> LinkError {
    let mut pair = Pair::new();
    pair.send(0, [(1, 9), (2, 5000)]);
    scribble(&pair.memory);
    match pair.receive(1, false) {
        Err(error) => error,
        Ok(_) => panic!("nothing was noticed"),
    }
}

#[test]
fn garbage_of_every_kind_is_an_error() {
    let forth = Direction::FORTH;
    let write = |memory: &RingMemory, place, bytes: &[u8]| memory.shared().copy_in_counted(place, bytes);
    let message = forth.message(0);
    let error = fails_after(|memory| memory.word(forth.tail()).store(77, Ordering::Relaxed));
    assert!(matches!(error, LinkError::Tail(77)), "{error}");
    let error = fails_after(|memory| memory.word(forth.tail()).store(u32::MAX, Ordering::Relaxed));
    assert!(matches!(error, LinkError::Tail(_)), "{error}");
    let error = fails_after(|memory| write(memory, message, &[0xff; 64]));
    assert!(matches!(error, LinkError::Ring(RingError::Field { .. })), "{error}");
    let error = fails_after(|memory| write(memory, message, &Envelope::new(EnvelopeKind::Inline, 4, 0).encode()));
    assert!(matches!(error, LinkError::Ring(RingError::Stale { found: 4, expected: 3 })), "{error}");
    for slot in [SLOT_COUNT, u16::MAX] {
        let envelope = Envelope::new(EnvelopeKind::Slot, 3, slot);
        let error = fails_after(|memory| write(memory, message, &envelope.encode()));
        assert!(matches!(error, LinkError::Ring(RingError::NoSlot { .. })), "{error}");
    }
    let error = fails_after(|memory| {
        write(memory, forth.message(1), &memory.shared().read::<[u8; 64]>(message));
    });
    assert!(matches!(error, LinkError::Arrival(_)), "the slot came back, but the message is not its frame: {error}");
    let mut credit = Envelope::new(EnvelopeKind::Credits, 3, 0);
    credit.credits.push(Credit { slot: 2, kept: false });
    let error = fails_after(|memory| write(memory, message, &credit.encode()));
    assert!(matches!(error, LinkError::Ring(RingError::WrongCredit { slot: 2 })), "{error}");
    let error = fails_after(|memory| write(memory, message + ENVELOPE_BYTES, &[0; HEADER_BYTES]));
    assert!(matches!(error, LinkError::Arrival(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_a_peer_writes_breaks_an_end(
        writes in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 1..80)), 1..20),
        tail in 0..40u32,
    ) {
        let mut pair = Pair::new();
        pair.send(0, (0..5).map(|number| (number, 700 * number as usize)));
        let shared = pair.memory.shared();
        for (place, bytes) in &writes {
            // Counters and messages, where most of the harm can be done.
            shared.copy_in_counted(*place as usize % (4096 + 16 * MESSAGE_BYTES), bytes);
        }
        pair.memory.word(Direction::FORTH.tail()).store(tail, Ordering::Relaxed);
        let _ = pair.receive(1, false);
        let _ = pair.ends[1].flush();
    }
}
