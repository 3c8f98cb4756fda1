//! Two fabrics alone, a worker's and a server's, in this process: what a way carries when nobody applies
//! anything. The receiver, on the server's core, takes frames, whose headers the fabric has checked, counts
//! their bytes and lets them go, which returns their credits; or it acknowledges each.

use crate::options::{Wait, Way};
use crate::pin::Placement;
use anyhow::{Context, Result, bail};
use parashard::id::{Generation, Incarnation, JobId, Nanos, NodeId};
use parashard::limit;
use parashard::memory::{Pool, TxBuf};
use parashard::node::{LinkKind, LinkSettings, Secret, now, random};
use parashard::transport::fabric::FabricTransport;
use parashard::transport::tcp::TcpConfig;
use parashard::transport::{Incoming, Transport, TransportError};
use parashard::wire::{Header, Kind, TxFrame};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SENDER: NodeId = NodeId::worker(0);
const RECEIVER: NodeId = NodeId::server(0, 0);
/// How long the two may take to agree on their way, and a stream to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest sleep while something is under way.
const SLEEP_MAX: Duration = Duration::from_millis(5);
/// Frames taken in one look.
const FRAMES_MAX: usize = 64;

/// The sender, and the receiver's thread; it ends when this is dropped.
pub(crate) struct Pair {
    transport: FabricTransport,
    job: JobId,
    /// What every frame carries, and more than any of them.
    values: TxBuf,
    link: LinkKind,
    sent_bytes: u64,
    answers: u64,
    outgoing: Vec<TxFrame>,
    incoming: Vec<Incoming>,
    shared: Arc<Shared>,
    receiver: Option<JoinHandle<Result<(), TransportError>>>,
}

/// What the receiver does with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// Counts its bytes.
    Counts,
    /// Acknowledges it as a push.
    Answers,
}

#[derive(Default)]
struct Shared {
    received_bytes: AtomicU64,
    is_over: AtomicBool,
}

impl Pair {
    /// Two fabrics that have agreed on a way.
    pub(crate) fn start(wait: Wait, way: Way, does: Receiver, placement: &Placement) -> Result<Pair> {
        let job = JobId(u64::from_le_bytes(random()?));
        let secret = Secret::from_bytes(&random::<32>()?)?;
        let (receiver, _) = open(RECEIVER, job, &secret, wait, way)?;
        let address = receiver.local_address().context("the receiver listens")?;
        let (mut transport, pool) = open(SENDER, job, &secret, wait, way)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let receiver =
            placement.start_on_server(|| Ok(std::thread::spawn(move || receive(receiver, job, does, &theirs))))?;
        transport.connect(now(), RECEIVER, &address);
        let mut values = pool.block(limit::SEGMENT_BYTES);
        values.fill(7);
        let mut pair = Pair {
            transport,
            job,
            values: values.freeze(),
            link: LinkKind::Tcp,
            sent_bytes: 0,
            answers: 0,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            shared,
            receiver: Some(receiver),
        };
        let begin = Instant::now();
        loop {
            pair.progress()?;
            if let Some(link) = pair.transport.link_kind(RECEIVER) {
                pair.link = link;
                return Ok(pair);
            }
            if begin.elapsed() > PATIENCE {
                bail!("the two fabrics have not agreed on a way");
            }
            pair.transport.wait(Some(SLEEP_MAX))?;
        }
    }

    pub(crate) fn link(&self) -> LinkKind {
        self.link
    }

    /// Sends `rounds` requests of `bytes`, cut into segments, and waits until all have arrived.
    pub(crate) fn transfer(&mut self, bytes: u64, rounds: usize) -> Result<()> {
        let begin = Instant::now();
        let mut frames = Vec::new();
        for _ in 0..rounds {
            let mut rest = usize::try_from(bytes)?;
            while rest > 0 {
                let segment = rest.min(limit::SEGMENT_BYTES);
                rest -= segment;
                let mut header = Header::new(Kind::Push, SENDER);
                (header.job, header.value_bytes) = (self.job, u32::try_from(segment)?);
                frames.push(TxFrame::with_values(header, self.values.slice(0..segment)));
                self.sent_bytes += segment as u64;
            }
            self.transport.tx_burst(now(), RECEIVER, &mut frames);
            while !frames.is_empty() {
                self.progress()?;
                self.transport.wait(Some(SLEEP_MAX))?;
                self.transport.tx_burst(now(), RECEIVER, &mut frames);
            }
            self.progress()?;
        }
        while self.shared.received_bytes.load(Ordering::Acquire) < self.sent_bytes {
            self.progress()?;
            if self.transport.queued_bytes(RECEIVER) > 0 {
                self.transport.wait(Some(SLEEP_MAX))?;
            }
            if begin.elapsed() > PATIENCE {
                bail!("the frames have not arrived");
            }
        }
        Ok(())
    }

    /// Pushes `bytes` and waits for the acknowledgement.
    pub(crate) fn trip(&mut self, bytes: usize) -> Result<()> {
        let mut header = Header::new(Kind::Push, SENDER);
        (header.job, header.value_bytes) = (self.job, u32::try_from(bytes)?);
        self.outgoing.push(TxFrame::with_values(header, self.values.slice(0..bytes)));
        let (mut now, expected) = (now(), self.answers + 1);
        self.transport.tx_burst(now, RECEIVER, &mut self.outgoing);
        self.transport.flush(now);
        self.read(now)?;
        while self.answers < expected {
            self.transport.flush(now);
            self.transport.wait(Some(SLEEP_MAX))?;
            now = parashard::node::now();
            self.read(now)?;
        }
        Ok(())
    }

    fn progress(&mut self) -> Result<()> {
        let now = now();
        self.transport.flush(now);
        self.read(now)
    }

    fn read(&mut self, now: Nanos) -> Result<()> {
        self.transport.rx_burst(now, &mut self.incoming, FRAMES_MAX);
        for incoming in self.incoming.drain(..) {
            match incoming {
                Incoming::Lost { reason, .. } | Incoming::Refused { reason, .. } => {
                    bail!("the connection is lost: {reason}");
                }
                Incoming::Frame { .. } => self.answers += 1,
                Incoming::Up { .. } | Incoming::Reconnected { .. } => {}
            }
        }
        Ok(())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        if let Some(receiver) = self.receiver.take() {
            // What stopped it was seen here as well.
            let _ = receiver.join();
        }
    }
}

fn open(node: NodeId, job: JobId, secret: &Secret, wait: Wait, way: Way) -> Result<(FabricTransport, Arc<Pool>)> {
    let pool = Pool::unbounded();
    let mut drawn = 0u64;
    let seed: [u8; 32] = random()?;
    let config = TcpConfig {
        node,
        incarnation: Incarnation(1),
        job,
        generation: Generation(0),
        secret: secret.clone(),
        listen: (node == RECEIVER).then(|| "127.0.0.1:0".to_owned()),
        pool: Arc::clone(&pool),
        random: Box::new(move || {
            drawn += 1;
            random().unwrap_or_else(|_| std::array::from_fn(|i| seed[i] ^ drawn.to_le_bytes()[i % 8]))
        }),
        spin: wait.spin(),
    };
    let links = LinkSettings { choice: way.choice(), ..LinkSettings::default() };
    Ok((FabricTransport::open(config, &links)?, pool))
}

fn receive(mut transport: FabricTransport, job: JobId, does: Receiver, shared: &Shared) -> Result<(), TransportError> {
    let (mut incoming, mut answers) = (Vec::new(), Vec::new());
    while !shared.is_over.load(Ordering::Acquire) {
        let now = now();
        let is_more = transport.rx_burst(now, &mut incoming, FRAMES_MAX);
        let mut arrived = 0;
        for told in &incoming {
            let Incoming::Frame { frame, .. } = told else { continue };
            arrived += u64::from(frame.header.value_bytes);
            if does == Receiver::Answers {
                answers.push(TxFrame::bare(Header { job, ..Header::new(Kind::PushReply, RECEIVER) }));
            }
        }
        if !answers.is_empty() {
            transport.tx_burst(now, SENDER, &mut answers);
        }
        transport.flush(now);
        incoming.clear();
        shared.received_bytes.fetch_add(arrived, Ordering::Release);
        if !is_more {
            transport.wait(Some(SLEEP_MAX))?;
        }
    }
    Ok(())
}
