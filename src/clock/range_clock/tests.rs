use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const W: WriterId = WriterId(1);

fn claim_parts(
    clock: &mut RangeClock,
    writer: WriterId,
    timestamp: Timestamp,
    range: KeyRange,
) -> Result<Vec<KeyRange>, ClockError> {
    let mut parts = vec![KeyRange::ALL];
    clock.claim(writer, timestamp, Time(0), range, &mut parts).map(|()| parts)
}

#[test]
fn a_name_is_claimed_once_on_each_part() {
    let mut clock = RangeClock::new(&[KeyRange::new(0, 100), KeyRange::new(200, 300)], 2);
    let claim =
        |clock: &mut RangeClock, begin, end| claim_parts(clock, W, Timestamp(5), KeyRange::new(begin, end)).unwrap();
    assert_eq!(claim(&mut clock, 20, 40), [KeyRange::new(20, 40)]);
    assert!(!clock.has(W, Timestamp(5), KeyRange::new(0, 40)));
    assert_eq!(claim(&mut clock, 0, 250), [KeyRange::new(0, 20), KeyRange::new(40, 100), KeyRange::new(200, 250)]);
    assert_eq!(claim(&mut clock, 0, 250), []);
    assert!(
        clock.has(W, Timestamp(5), KeyRange::new(0, 240))
            && !clock.has(WriterId(0), Timestamp(5), KeyRange::new(0, 240))
    );
    clock.settle(W, Timestamp(6));
    assert_eq!((clock.range_count(), claim(&mut clock, 250, 300)), (2, vec![]));
}

#[test]
fn a_timestamp_past_the_window_is_refused_until_the_mark_moves() {
    let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
    let far = Timestamp(limit::WINDOW_TIMESTAMPS as u64);
    assert!(matches!(claim_parts(&mut clock, W, far, KeyRange::ALL), Err(ClockError::Window { settled: 0, .. })));
    clock.settle(W, Timestamp(1));
    assert_eq!(claim_parts(&mut clock, W, far, KeyRange::ALL), Ok(vec![KeyRange::ALL]));
}

#[test]
fn too_many_ranges_are_refused_and_merge_away_when_settled() {
    let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
    let claim = |clock: &mut RangeClock, place: u64| {
        claim_parts(clock, W, Timestamp(1), KeyRange::new(place * 2, place * 2 + 1))
    };
    let refused = (1..).find(|&place| claim(&mut clock, place).is_err()).unwrap();
    assert!(clock.cut_count <= limit::CLOCK_RANGES && refused as usize > limit::CLOCK_RANGES / 2 - 3);
    clock.settle(W, Timestamp(2));
    assert_eq!(clock.range_count(), 1);
}

#[test]
fn a_demand_is_reached_when_every_writer_has_ended_all_before_it() {
    let range = KeyRange::new(10, 20);
    let mut clock = RangeClock::new(&[KeyRange::new(0, 50), KeyRange::new(60, 90)], 2);
    let end = |clock: &mut RangeClock, writer, time, slices| {
        clock.end_time(WriterId(writer), Timestamp(50), Time(time), slices, false).unwrap();
    };
    assert!(clock.has_reached(Time(0), range) && !clock.has_reached(Time(1), range));
    end(&mut clock, 0, 0, 0);
    end(&mut clock, 1, 0, 1);
    assert!(!clock.has_reached(Time(1), range), "a slice is on its way");
    assert_eq!(clock.open_time(WriterId(0), range), Time(1));
    let mut parts = Vec::new();
    for _ in 0..2 {
        clock.claim(WriterId(1), Timestamp(1), Time(0), range, &mut parts).unwrap();
    }
    assert!(clock.has_reached(Time(1), range) && !clock.has_reached(Time(2), range));
    assert_eq!((clock.ended(), clock.end()), (Time(1), None));
}

#[test]
fn a_finished_writer_is_retired_and_what_it_pushed_is_still_known() {
    let mut clock = RangeClock::new(&[KeyRange::new(0, 100)], 2);
    let (first, second) = (WriterId(0), WriterId(1));
    let mut parts = Vec::new();
    for place in 0..5 {
        let range = KeyRange::new(place * 20, place * 20 + 10);
        clock.claim(first, Timestamp(place + 1), Time(0), range, &mut parts).unwrap();
    }
    let bytes = clock.bytes();
    clock.end_time(first, Timestamp(6), Time(0), 5, true).unwrap();
    assert!(clock.bytes() < bytes && clock.range_count() == 0);
    assert!(clock.has(first, Timestamp(3), KeyRange::new(0, 100)));
    clock.claim(first, Timestamp(3), Time(0), KeyRange::new(40, 50), &mut parts).unwrap();
    assert_eq!(parts, [], "a late copy");
    clock.end_time(second, Timestamp(1), Time(0), 0, false).unwrap();
    assert!(clock.has_reached(Time(1), KeyRange::ALL) && !clock.has_reached(Time(2), KeyRange::ALL));
    clock.end_time(second, Timestamp(2), Time(1), 0, true).unwrap();
    assert_eq!((clock.ended(), clock.end()), (Time::FINISHED, Some(Time(2))));
}

#[test]
fn a_writer_that_has_left_holds_nobody_back_until_it_joins() {
    let mut clock = RangeClock::new(&[KeyRange::new(0, 100)], 2);
    clock.leave(WriterId(0), Time(0));
    for time in 0..3 {
        clock.end_time(WriterId(1), Timestamp(1), Time(time), 0, false).unwrap();
    }
    assert_eq!(clock.ended(), Time(3));
    clock.join(WriterId(0), Time(2));
    assert_eq!(clock.ended(), Time(2));
}

#[test]
fn the_lowest_open_push_is_let_in_past_the_limit() {
    let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
    clock.cut_count = limit::CLOCK_RANGES;
    let claim = |clock: &mut RangeClock, at| claim_parts(clock, W, Timestamp(at), KeyRange::new(4, 5));
    assert!(matches!(claim(&mut clock, 1), Err(ClockError::Ranges { .. })));
    assert_eq!(claim(&mut clock, 0), Ok(vec![KeyRange::new(4, 5)]));
}

#[test]
fn records_are_bounded_in_bytes_and_the_lowest_open_push_is_let_in() {
    let bytes_max = RangeClock::bytes_at_rest(&[KeyRange::ALL], 2) + 100 * WINDOW_BYTES;
    let mut clock = RangeClock::within(bytes_max, &[KeyRange::ALL], 2);
    let claim = |clock: &mut RangeClock, at, place: u64| {
        claim_parts(clock, W, Timestamp(at), KeyRange::new(place * 2, place * 2 + 1))
    };
    let refused = (1..).find(|&place| claim(&mut clock, 1, place).is_err()).unwrap();
    assert!(clock.bytes() <= bytes_max && (40..=55).contains(&refused), "{refused} ranges, {} bytes", clock.bytes());
    let error = claim(&mut clock, 1, refused).unwrap_err();
    let line = format!(
        "{W}: the record of [{}, {}) would take a table's clock past {bytes_max} bytes",
        refused * 2,
        refused * 2 + 1
    );
    assert!(error.to_string().starts_with(&line), "{error}");
    assert_eq!(claim(&mut clock, 0, refused).map(|parts| parts.len()), Ok(1));
    clock.settle(W, Timestamp(2));
    assert!(claim(&mut clock, 2, refused).is_ok(), "what is settled merges");
}

#[test]
fn timestamps_above_the_floor_count_where_they_lie() {
    let mut clock = RangeClock::new(&[KeyRange::ALL], 2);
    (1..500).for_each(|at| drop(claim_parts(&mut clock, W, Timestamp(2 * at), KeyRange::ALL)));
    assert!(clock.bytes() > 499 * size_of::<u64>());
    assert_eq!(clock.bytes(), clock.counted_bytes());
}

#[derive(Debug, Clone)]
enum Step {
    Claim(u32, u64, u64, u64),
    Settle(u32, u64),
    /// With the mark of the last time or without.
    End(u32, u32, bool),
}

proptest! {
    #[test]
    fn what_is_counted_is_what_there_is(steps in prop::collection::vec(prop_oneof![
        6 => (0u32..3, 0u64..40, 0u64..32, 0u64..32).prop_map(|(writer, at, begin, end)| Step::Claim(writer, at, begin, end)),
        1 => (0u32..3, 0u64..40).prop_map(|(writer, at)| Step::Settle(writer, at)),
        1 => (0u32..3, 0u32..9, prop::bool::weighted(0.2)).prop_map(|(writer, time, is_last)| Step::End(writer, time, is_last)),
    ], 0..120)) {
        let owned = [KeyRange::new(0, 12), KeyRange::new(12, 20), KeyRange::new(22, 30)];
        let mut clock = RangeClock::new(&owned, 3);
        for step in steps {
            match step {
                Step::Claim(writer, at, begin, end) => {
                    let _ = claim_parts(&mut clock, WriterId(writer), Timestamp(at), KeyRange::new(begin, end));
                }
                Step::Settle(writer, at) => clock.settle(WriterId(writer), Timestamp(at)),
                Step::End(writer, time, is_last) => {
                    let _ = clock.end_time(WriterId(writer), Timestamp(40), Time(time), 0, is_last);
                }
            }
            prop_assert_eq!(clock.bytes(), clock.counted_bytes());
        }
    }
}

proptest! {
    #[test]
    fn the_clock_equals_a_set_of_names(steps in prop::collection::vec(prop_oneof![
        5 => (0u32..2, 0u64..12, 0u64..32, 0u64..32).prop_map(|(writer, at, begin, end)| Step::Claim(writer, at, begin, end)),
        1 => (0u32..2, 0u64..14).prop_map(|(writer, at)| Step::Settle(writer, at)),
    ], 0..60)) {
        let owned = [KeyRange::new(0, 12), KeyRange::new(12, 20), KeyRange::new(22, 30)];
        let mut clock = RangeClock::new(&owned, 2);
        let mut names = BTreeSet::new();
        for step in steps {
            match step {
                Step::Claim(writer, at, begin, end) => {
                    let range = KeyRange::new(begin, end);
                    let claimed = claim_parts(&mut clock, WriterId(writer), Timestamp(at), range).unwrap();
                    for key in 0..32 {
                        let mine = range.contains(key) && owned.iter().any(|own| own.contains(key));
                        let new = mine && names.insert((writer, at, key));
                        prop_assert_eq!(claimed.iter().any(|part| part.contains(key)), new);
                    }
                    prop_assert!(clock.has(WriterId(writer), Timestamp(at), range));
                }
                Step::End(..) => {}
                Step::Settle(writer, at) => {
                    clock.settle(WriterId(writer), Timestamp(at));
                    names.extend((0..at).flat_map(|at| (0..32).map(move |key| (writer, at, key))));
                }
            }
        }
        for writer in 0..2 {
            clock.settle(WriterId(writer), Timestamp(14));
        }
        prop_assert_eq!(clock.range_count(), 2);
    }
}
