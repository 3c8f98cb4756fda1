//! Value-changing filters: what rounding cuts off comes later, what is skipped is lost, and a retry
//! sends the same.

use super::key_cache::{Wired, keys, request, spec, wired};
use super::*;
use crate::keyspace::KeyRange;
use crate::memory::TxBuf;
use crate::protocol::worker::{Keys, Request};
use crate::wire::Kind;

fn f32_spec(filters: &str, layout: Layout) -> TableSpec {
    TableSpec { dtype: DType::F32, layout, ..spec(filters, Consistency::Eventual) }
}

fn push(wired: &mut Wired, request: &Request<'_>, values: Vec<f32>) {
    let timestamp = wired.worker.push(Nanos(0), request, TxBuf::from_vec(values)).unwrap();
    wired.settle();
    wired.worker.take_pushed(timestamp).unwrap();
}

fn pull(wired: &mut Wired, request: &Request<'_>) -> Vec<f32> {
    let timestamp = wired.worker.pull(Nanos(0), request).unwrap();
    wired.settle();
    wired.worker.take_pulled(timestamp).unwrap().typed().to_vec()
}

fn of_range(range: KeyRange) -> Request<'static> {
    Request { table: TableId(0), range, keys: None, after: &[], ..Request::default() }
}

#[test]
fn what_rounding_cuts_off_is_added_to_later_pushes() {
    for filters in ["fixed_point:8", "fixed_point:16,nonzero,snappy", "bf16,key_cache,pack_keys"] {
        let list = keys(3, 600);
        let sparse = (f32_spec(filters, Layout::Sparse), request(&list));
        let dense = (f32_spec(filters, Layout::Dense), of_range(KeyRange::new(700, 1300)));
        for (spec, request) in [sparse, dense] {
            let mut wired = wired(spec);
            // Numbers that no filter can send as they are, each far below the largest of its block.
            let values: Vec<f32> = (0..600).map(|place| if place % 200 == 0 { 1.0 } else { 0.0137 / 3.0 }).collect();
            (0..100).for_each(|_| push(&mut wired, &request, values.clone()));
            let sums = pull(&mut wired, &request);
            for (sum, value) in sums.iter().zip(&values) {
                let missing = (sum - 100.0 * value).abs();
                assert!(missing <= 0.01, "{filters}: {sum} for {}", 100.0 * value);
            }
        }
    }
}

#[test]
fn lists_that_share_keys_share_what_is_cut_off() {
    let mut wired = wired(f32_spec("fixed_point:8", Layout::Sparse));
    let (all, one) = (keys(3, 300), Keys::once(TxBuf::from_vec(vec![3u64])));
    let mut values = vec![1.0f32; 300];
    values[0] = 0.003;
    push(&mut wired, &request(&all), values);
    assert_eq!(pull(&mut wired, &request(&one)), [0.0], "it is too small beside the others");
    push(&mut wired, &request(&one), vec![0.0]);
    let sum = pull(&mut wired, &request(&one))[0];
    assert!((sum - 0.003).abs() < 1e-4, "{sum}");
}

#[test]
fn skipped_keys_are_lost_and_a_retry_skips_the_same() {
    let mut wired = wired(f32_spec("random_skip:0.25,nonzero", Layout::Sparse));
    let list = keys(3, 4000);
    wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(vec![1.0f32; 4000])).unwrap();
    let values = |frames: Vec<(NodeId, RxFrame)>| -> Vec<Vec<u8>> {
        let pushes = frames.into_iter().filter(|(_, frame)| frame.header.kind == Kind::Push);
        pushes.map(|(_, frame)| frame.body().values.to_vec()).collect()
    };
    let first = values(drain(&mut wired.worker).frames);
    for shard in [FIRST, SECOND] {
        wired.worker.handle(Nanos(0), lost(shard));
        wired.worker.handle(Nanos(0), connected(shard));
    }
    wired.settle();
    assert_eq!(wired.requests.drain(..).map(|frame| frame.body().values.to_vec()).collect::<Vec<_>>(), first);
    let arrived: f32 = pull(&mut wired, &request(&list)).iter().sum();
    assert!((2800.0..3200.0).contains(&arrived), "{arrived} of 4000");
}

#[test]
fn filters_that_do_not_go_with_their_table_end_the_job_with_the_reason() {
    let (address, host) = ("here".to_owned(), "host".to_owned());
    let mut server =
        crate::protocol::server::Server::new(Nanos(0), identity(FIRST), address, host, "there", Pool::unbounded());
    server.handle(Nanos(0), connected(NodeId::SCHEDULER));
    drain(&mut server);
    server.handle(Nanos(0), welcome(vec![spec("bf16", Consistency::Eventual)], 1, &[FIRST]));
    let said = drain(&mut server).said(NodeId::SCHEDULER);
    let [ControlMessage::Failed(shutdown)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(shutdown.exit_code, 2);
    assert!(shutdown.message.contains("filter bf16: it rounds f32, the table holds i64"), "{}", shutdown.message);
}

#[test]
fn a_push_that_is_refused_leaves_nothing_for_a_later_one() {
    let mut wired = wired(f32_spec("fixed_point:8", Layout::Sparse));
    let list = keys(3, 300);
    let mut small = vec![0.003f32; 300];
    small[0] = 1.0;
    let open = wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(vec![0.0f32; 300])).unwrap();
    let after = vec![open; crate::limit::DEPENDENCIES + 1];
    let refused = Request { after: &after, ..request(&list) };
    wired.worker.push(Nanos(0), &refused, TxBuf::from_vec(small)).unwrap_err();
    wired.settle();
    wired.worker.take_pushed(open).unwrap();
    push(&mut wired, &request(&list), vec![0.0; 300]);
    assert_eq!(pull(&mut wired, &request(&list)), vec![0.0; 300]);
}

#[test]
fn a_number_that_rounds_beyond_the_largest_is_refused_before_anything_is_sent() {
    for filters in ["fixed_point:8", "fixed_point:16", "bf16"] {
        let mut wired = wired(f32_spec(filters, Layout::Sparse));
        let list = keys(3, 300);
        let largest = crate::limit::SUMMAND_F32 as f32;
        let mut values = vec![0.003f32; 300];
        values[7] = largest;
        let timestamp = wired.worker.push(Nanos(0), &request(&list), TxBuf::from_vec(values));
        wired.settle();
        match timestamp {
            Ok(timestamp) => assert_eq!(wired.worker.take_pushed(timestamp), Ok(()), "{filters}"),
            Err(error) => {
                assert!(error.to_string().contains("number 7"), "{filters}: {error}");
                assert!(wired.requests.is_empty());
                push(&mut wired, &request(&list), vec![0.0; 300]);
                assert_eq!(pull(&mut wired, &request(&list)), vec![0.0; 300], "{filters}: a remainder was kept");
            }
        }
    }
}
