//! What the machine gives one stream on each way, measured in the same runs.

use super::{Iperf3, Perftest, ring_gb_per_s, stream_gb_per_s};
use crate::options::Options;
use crate::pin::Placement;
use crate::sample::median;
use anyhow::Result;
use parashard::node::LinkKind;
use std::time::Duration;

/// GB/s, one figure a run.
#[derive(Default)]
pub(crate) struct Streams {
    /// Ways that are measured; none stands for a network that is not this machine's.
    links: Vec<LinkKind>,
    raw: Vec<f64>,
    iperf3: Vec<f64>,
    ring: Vec<f64>,
    /// Writes and reads of each size by perftest, where there is a device.
    perftest: Option<Perftest>,
    writes: Vec<(u64, Vec<f64>)>,
    reads: Vec<(u64, Vec<f64>)>,
    notes: Vec<String>,
}

impl Streams {
    /// For these ways, and verbs requests of these sizes.
    pub(crate) fn of(links: Vec<LinkKind>, sizes: &[u64]) -> Streams {
        let mut streams = Streams { links, ..Streams::default() };
        if streams.has(&[LinkKind::Verbs]) {
            match Perftest::find() {
                Ok(perftest) => streams.perftest = Some(perftest),
                Err(reason) => streams.notes.push(reason),
            }
            streams.writes = sizes.iter().map(|&bytes| (bytes, Vec::new())).collect();
            streams.reads = streams.writes.clone();
        }
        streams
    }

    fn has(&self, links: &[LinkKind]) -> bool {
        self.links.iter().any(|link| links.contains(link))
    }

    /// One run of each.
    pub(crate) fn run(&mut self, options: &Options, placement: &Placement) -> Result<()> {
        let time = Duration::from_millis(options.amount(300, 10));
        if self.has(&[LinkKind::Tcp]) {
            self.raw.push(stream_gb_per_s(placement, time)?);
            // A second is the shortest that iperf3 takes; a quick run does without.
            if let Some(iperf3) = Iperf3::find(1).filter(|_| !options.quick) {
                self.iperf3.push(iperf3.gb_per_s(placement)?);
            }
        }
        if self.has(&[LinkKind::Local, LinkKind::Shm]) {
            self.ring.push(ring_gb_per_s(placement, time)?);
        }
        let Some(perftest) = &self.perftest else { return Ok(()) };
        for (program, points) in [("ib_write_bw", &mut self.writes), ("ib_read_bw", &mut self.reads)] {
            for (bytes, rates) in points {
                rates.push(perftest.gb_per_s(program, *bytes, placement)?);
            }
        }
        Ok(())
    }

    /// What the machine gives on a way: by iperf3 where it is installed, else by a raw stream; by a plain
    /// ring where the data stays in memory; by perftest's writes of the same size over verbs.
    pub(crate) fn limit(&self, link: LinkKind, bytes: u64) -> Option<(&'static str, &[f64])> {
        let limit = match link {
            LinkKind::Local | LinkKind::Shm => ("plain ring", &self.ring),
            LinkKind::Verbs => ("ib_write_bw", &self.writes.iter().find(|(size, _)| *size == bytes)?.1),
            LinkKind::Tcp if self.iperf3.is_empty() => ("raw stream", &self.raw),
            LinkKind::Tcp => ("iperf3", &self.iperf3),
        };
        Some((limit.0, limit.1.as_slice())).filter(|(_, rates)| !rates.is_empty())
    }

    /// Perftest's own points: program, bytes, and a rate a run.
    pub(crate) fn perftest(&self) -> impl Iterator<Item = (&'static str, u64, &[f64])> {
        let programs = [("ib_write_bw", &self.writes), ("ib_read_bw", &self.reads)];
        let points = programs.into_iter().flat_map(|(name, points)| points.iter().map(move |point| (name, point)));
        points.map(|(name, (bytes, rates))| (name, *bytes, rates.as_slice())).filter(|(_, _, rates)| !rates.is_empty())
    }

    /// A plain TCP stream's figures.
    pub(crate) fn raw(&self) -> &[f64] {
        &self.raw
    }

    /// All in lines.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        match (median(&self.raw), median(&self.iperf3)) {
            (Some(raw), Some(iperf3)) => notes.push(format!(
                "one stream in the same runs: iperf3 {iperf3:.2} GB/s (the limit of tcp), plain sockets {raw:.2} GB/s"
            )),
            (Some(raw), None) => notes.push(format!(
                "one stream of plain sockets in the same runs: {raw:.2} GB/s (the limit of tcp; iperf3 was not run, see bench/peers/install.sh)"
            )),
            _ => {}
        }
        if let Some(ring) = median(&self.ring) {
            notes.push(format!(
                "a plain ring between two threads in the same runs: {ring:.2} GB/s (the limit of shm and local)"
            ));
        }
        if self.links.is_empty() {
            notes.push(super::NO_LIMIT.to_owned());
        }
        notes
    }
}
