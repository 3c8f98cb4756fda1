//! Round trips of a push of 64 bytes between two fabrics alone, where nobody applies anything.

use super::{SEND_BYTES, TRIPS, TURNS, beside, trip_row};
use crate::limit::{Perftest, PingPong};
use crate::machine::Machine;
use crate::options::{TableOptions, Wait};
use crate::pair::{Pair, Receiver};
use crate::report::{Plot, Report};
use crate::timing::{Pace, Pieces, Series};
use anyhow::Result;
use parashard::node::LinkKind;

/// Over verbs a round trip takes at most so many times what `ib_send_lat` takes there and back.
const SENDS_MAX: f64 = 2.0;

/// One way, what was measured on it, and plain sockets beside it.
struct Side {
    pair: Pair,
    raw: PingPong,
    trips: Series,
    raw_trips: Series,
}

/// Measures every way and publishes the rows.
pub(super) fn run(arguments: &TableOptions) -> Result<()> {
    let TableOptions { options, ways, wait, .. } = arguments;
    let wait = wait.unwrap_or(Wait::Spin);
    let placement = options.placement()?;
    placement.on_client()?;
    let mut sides = Vec::new();
    for &way in &ways.transport {
        let pair = Pair::start(wait, way, Receiver::Answers, &placement)?;
        let raw = PingPong::start(&placement, wait)?;
        sides.push(Side { pair, raw, trips: Series::default(), raw_trips: Series::default() });
    }
    let has_verbs = sides.iter().any(|side| side.pair.link() == LinkKind::Verbs);
    let (perftest, missing) = match has_verbs.then(Perftest::find).transpose() {
        Ok(found) => (found, None),
        Err(missing) => (None, Some(missing)),
    };
    let mut sends = Series::default();
    for _ in 0..options.runs {
        let (turns, trips) = (options.amount(TURNS.0, TURNS.1), options.amount(TRIPS.0, TRIPS.1));
        sides.iter_mut().try_for_each(|side| side.run(turns, trips, wait))?;
        if let Some(perftest) = &perftest {
            let (typical, p99) = perftest.round_trip_us(SEND_BYTES, &placement)?;
            sends.add(typical * 1e3, p99 * 1e3, typical * 1e3);
        }
    }
    let mut report = Report {
        title: "latency: round trips of frames of one transport alone, headers checked, nothing applied".to_owned(),
        machine: Machine::look(&placement),
        median_name: "median",
        before: &["link", "wait"],
        after: &["p50_ratio", "p99_ratio"],
        plot: Plot::Bars { y: "p50_us", label: &["link", "wait"] },
        rows: Vec::new(),
        notes: missing.into_iter().collect(),
    };
    for side in &sides {
        let link = side.pair.link();
        let is_beside_sends = link == LinkKind::Verbs && !sends.is_empty();
        let (name, limit) = if is_beside_sends { ("ib_send_lat", &sends) } else { ("raw_tcp", &side.raw_trips) };
        let row = trip_row("push_64_bytes", 0, &side.trips).with("link", link.name()).with("wait", wait.name());
        report.rows.push(beside(name, row, &side.trips, limit));
        if is_beside_sends && let Some(ratio) = side.trips.p50_ratio(&sends) {
            report.notes.push(format!(
                "verbs takes {ratio:.2} times what ib_send_lat takes there and back, p50 to p50; the bound is {SENDS_MAX}"
            ));
        }
    }
    if let Some(side) = sides.first() {
        report.rows.push(trip_row("raw_tcp", 0, &side.raw_trips).with("wait", wait.name()));
    }
    if !sends.is_empty() {
        report.rows.push(trip_row("ib_send_lat", 0, &sends).with("link", "verbs").with("wait", "spin"));
    }
    report.publish(options)
}

impl Side {
    /// One run, in turns with plain sockets.
    fn run(&mut self, turns: usize, trips: usize, wait: Wait) -> Result<()> {
        let pace = Pace { warm_up: trips / 10, rounds: trips, depth: 1 };
        let (mut ours, mut raw) = (Pieces::new()?, Pieces::new()?);
        for _ in 0..turns {
            // Whoever spun for the last point sleeps before the next begins.
            std::thread::sleep(2 * wait.spin());
            ours.chain(pace, || self.pair.trip(SEND_BYTES as usize))?;
            std::thread::sleep(2 * wait.spin());
            raw.chain(pace, || self.raw.trip())?;
        }
        self.trips.add_pieces(&ours);
        self.raw_trips.add_pieces(&raw);
        Ok(())
    }
}
