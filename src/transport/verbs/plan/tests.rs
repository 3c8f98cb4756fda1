use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    inline_bytes: 256,
    parts_max: 3,
    request_bytes_max: 1 << 20,
    receive_bytes: 1024,
    slot_bytes: 64 << 10,
    is_readable: true,
};

fn shape(body_bytes: usize) -> Shape {
    Shape { envelope_bytes: 64, body_bytes, value_bytes: body_bytes, offered_bytes: 0 }
}

fn part(address: u64, bytes: u32) -> Part {
    Part { address, bytes, key: 5 }
}

fn planned(limits: &Limits, plan: impl FnOnce(&mut Planner<'_>)) -> Vec<Request> {
    let mut requests = Vec::new();
    plan(&mut Planner { limits, requests: &mut requests });
    requests
}

#[test]
fn a_frame_goes_the_cheapest_way_that_holds_it() {
    let routes = [0, 64, 65, 832, 833, (64 << 10) - 192, (64 << 10) - 191].map(|bytes| LIMITS.route(&shape(bytes)));
    assert_eq!(
        routes,
        [Route::Inline, Route::Inline, Route::Message, Route::Message, Route::Slot, Route::Slot, Route::Rendezvous]
            .map(Some)
    );
    let deaf = Limits { is_readable: false, ..LIMITS };
    assert_eq!(deaf.route(&shape(64 << 10)), None);
    let without_inline = Limits { inline_bytes: 0, ..LIMITS };
    assert_eq!(without_inline.route(&shape(0)), Some(Route::Message));
}

#[test]
fn a_short_envelope_leaves_more_of_a_request_to_the_body() {
    let short = |body_bytes| LIMITS.route(&Shape { envelope_bytes: 16, ..shape(body_bytes) });
    assert_eq!([short(112), short(113)], [Route::Inline, Route::Message].map(Some));
}

#[test]
fn an_answer_lands_where_its_request_offered_room_unless_it_is_small() {
    let offered = |value_bytes, offered_bytes| Shape { offered_bytes, ..shape(value_bytes) };
    assert_eq!(LIMITS.route(&offered(64, 64)), Some(Route::Inline));
    assert_eq!(LIMITS.route(&offered(256 << 10, 256 << 10)), Some(Route::Landed));
    assert_eq!(LIMITS.route(&offered(1000, 999)), Some(Route::Slot));
    let deaf = Limits { is_readable: false, ..LIMITS };
    assert_eq!(deaf.route(&offered(256 << 10, 255 << 10)), None);
}

#[test]
fn a_slot_gets_its_body_first_and_its_head_with_the_immediate_last() {
    let slot = Remote { address: 1 << 20, key: 9 };
    let body = [part(100, 8), part(200, 0), part(300, 16), part(400, 24), part(500, 32)];
    let requests = planned(&LIMITS, |planner| planner.slot(part(7, 192), &body, slot, 0xabc));
    let operations: Vec<_> = requests.iter().map(|request| request.operation).collect();
    let behind_head = slot.after(SLOT_HEAD_BYTES);
    assert_eq!(
        operations,
        [
            Operation::Write(behind_head),
            Operation::Write(behind_head.after(48)),
            Operation::WriteWithImmediate(slot, 0xabc)
        ]
    );
    assert_eq!(requests[0].parts.as_slice(), [body[0], body[2], body[3]]);
    assert_eq!(requests.iter().map(|request| request.is_inline).collect::<Vec<_>>(), [false, false, true]);
    assert!(requests.len() <= request_count(body.len(), LIMITS.parts_max));
}

#[test]
fn pieces_are_read_one_after_the_other() {
    let pieces = [Piece { address: 5000, key: 1, bytes: 100 }, Piece { address: 9000, key: 2, bytes: 28 }];
    let requests = planned(&LIMITS, |planner| planner.read(&pieces, part(64, 128)));
    assert_eq!(requests[0].operation, Operation::Read(Remote { address: 5000, key: 1 }));
    assert_eq!(requests[1].parts.as_slice(), [part(164, 28)]);
    assert!(requests.iter().all(|request| !request.is_inline));
}

#[test]
fn one_request_a_period_is_signaled_and_the_last_before_idle() {
    let mut requests = planned(&LIMITS, |planner| (0..200).for_each(|_| planner.send(Parts::new())));
    let mut signals = Signals::default();
    signals.mark(&mut requests[..150], false);
    signals.mark(&mut requests[150..], true);
    let signaled: Vec<usize> = (0..200).filter(|&index| requests[index].is_signaled).collect();
    assert_eq!(signaled, [63, 127, 191, 199]);
    signals.mark(&mut [], true);
}

proptest! {
    #[test]
    fn writes_cover_every_part_once_within_the_limits(
        sizes in proptest::collection::vec(0..3000u32, 0..40),
        parts_max in 1..6usize,
        request_bytes_max in 3000..9000usize,
    ) {
        let limits = Limits { parts_max, request_bytes_max, ..LIMITS };
        let mut address = 0;
        let parts: Vec<Part> = sizes.iter().map(|&bytes| { address += 10_000; part(address, bytes) }).collect();
        let requests = planned(&limits, |planner| planner.write(&parts, Remote { address: 77, key: 1 }));
        let mut at = 77;
        for request in &requests {
            prop_assert_eq!(request.operation, Operation::Write(Remote { address: at, key: 1 }));
            let bytes: u64 = request.parts.iter().map(|part| u64::from(part.bytes)).sum();
            prop_assert!(bytes > 0 && bytes as usize <= request_bytes_max && request.parts.len() <= parts_max);
            at += bytes;
        }
        let written: Vec<Part> = requests.iter().flat_map(|request| request.parts.iter().copied()).collect();
        let expected: Vec<Part> = parts.into_iter().filter(|part| part.bytes > 0).collect();
        prop_assert_eq!(written, expected);
    }
}
