//! From a standing connection to the fastest link that both ends have.

use super::FabricTransport;
use super::choice::LinkKind;
use super::peer::{Halves, Invitation, Link, Options, Peer, Stage};
use super::setup::SetupMessage;
use crate::id::{Nanos, NodeId, Role};
use crate::limit;
use crate::transport::Transport;
use crate::transport::local::{self, Hosting};
use crate::transport::ring::{Doorbell, RingLink, RingMemory, Side};
use crate::transport::shm::Host;
use crate::transport::verbs::{VerbsEndpoint, VerbsError};
use crate::wire::RxFrame;

/// What the other side has.
struct Offered {
    local: Option<[u8; 32]>,
    shm: bool,
    verbs: Option<Box<VerbsEndpoint>>,
}

impl FabricTransport {
    /// Whether a link with `peer` is wanted at all: there is none with the scheduler.
    fn links_with(&self, peer: NodeId) -> bool {
        [self.node, peer].into_iter().all(|node| matches!(node.role(), Some(Role::Server | Role::Worker)))
    }

    /// A connection stands, for the first time or again.
    pub(super) fn on_connected(&mut self, now: Nanos, peer: NodeId) {
        if !self.links_with(peer) {
            return;
        }
        self.close(peer);
        let record = self.peers.entry(peer).or_default();
        if self.node < peer {
            return;
        }
        let at = record.pauses.next(now);
        if at > now {
            record.stage = Stage::Pausing(at);
            return;
        }
        self.offer(now, peer);
    }

    /// Makes the offers whose moments have come.
    pub(super) fn make_due_offers(&mut self, now: Nanos) {
        while self.next_offer_at().is_some_and(|at| at <= now) {
            let due = |record: &Peer| matches!(record.stage, Stage::Pausing(at) if at <= now);
            let Some(peer) = self.peers.iter().find(|(_, record)| due(record)).map(|(&peer, _)| peer) else { return };
            self.offer(now, peer);
        }
    }

    /// When `make_due_offers` has something to do.
    pub(super) fn next_offer_at(&self) -> Option<Nanos> {
        let pausing = self.peers.values().filter_map(|record| match record.stage {
            Stage::Pausing(at) => Some(at),
            _ => None,
        });
        pausing.min()
    }

    fn offer(&mut self, now: Nanos, peer: NodeId) {
        let record = self.peers.entry(peer).or_default();
        let generation = record.next_generation();
        record.stage = Stage::Offered;
        let verbs = self.begin_verbs(peer, generation);
        let local = self.choice.allows(LinkKind::Local).then(|| local::process_token(|| self.tcp.draw()));
        let shm = self.choice.allows(LinkKind::Shm);
        self.say(now, peer, &SetupMessage::Offer { generation, local, shm, verbs });
    }

    /// Our queue pair for `peer`, where verbs are allowed and can be had.
    fn begin_verbs(&mut self, peer: NodeId, generation: u16) -> Option<Box<VerbsEndpoint>> {
        match self.verbs.as_mut()?.begin(peer, generation) {
            Ok(endpoint) => Some(Box::new(endpoint)),
            Err(error) => self.object_to_verbs(peer, &error),
        }
    }

    /// Remembers and logs why there is no verbs link with `peer`.
    fn object_to_verbs<T>(&mut self, peer: NodeId, error: &VerbsError) -> Option<T> {
        tracing::warn!(%peer, "no verbs link: {error}");
        let record = self.peers.entry(peer).or_default();
        record.objection = Some(format!("verbs: {error}"));
        // A device that is gone does not come back.
        record.had_link &= !matches!(error, VerbsError::OutOfUse { .. });
        None
    }

    /// The connection is gone.
    pub(super) fn close(&mut self, peer: NodeId) {
        if let Some(verbs) = &mut self.verbs {
            verbs.close(peer);
        }
        if let Some(record) = self.peers.get_mut(&peer) {
            self.paused_count -= usize::from(record.is_paused);
            record.close();
        }
        self.has_rings = self.peers.values().any(|record| record.ring().is_some());
    }

    pub(super) fn on_setup(&mut self, now: Nanos, peer: NodeId, frame: &RxFrame) {
        if !self.links_with(peer) {
            return;
        }
        match SetupMessage::from_frame(frame) {
            Ok(SetupMessage::Offer { generation, local, shm, verbs }) => {
                self.on_offer(now, peer, generation, Offered { local, shm, verbs });
            }
            Ok(SetupMessage::Answer { generation, local, shm, verbs }) => {
                let verbs = verbs.map(|endpoint| *endpoint);
                self.on_answer(now, peer, generation, Options { local, shm, verbs, reasons: Vec::new() });
            }
            Ok(SetupMessage::Chosen { generation, kind, reason }) => {
                self.on_chosen(now, peer, generation, kind, &reason)
            }
            Err(reason) => self.fail(peer, &format!("unreadable set-up message: {reason}")),
        }
    }

    /// Prepares our half of everything that both may use.
    fn on_offer(&mut self, now: Nanos, peer: NodeId, generation: u16, offered: Offered) {
        if self.node > peer || generation == 0 {
            return self.fail(peer, "an offer out of turn");
        }
        let mut halves = Halves::default();
        let token = offered.local.filter(|_| self.choice.allows(LinkKind::Local));
        if token.is_some_and(|token| token == local::process_token(|| self.tcp.draw())) {
            let hosting = Hosting::leave(self.tcp.draw(), &self.bell);
            halves.local = hosting.inspect_err(|error| tracing::warn!("no memory for a link: {error}")).ok();
        }
        if offered.shm && self.choice.allows(LinkKind::Shm) && self.open_host() {
            halves.shm = Some(Invitation { nonce: self.tcp.draw(), visited: None });
        }
        let verbs = offered.verbs.and_then(|theirs| self.answer_verbs(peer, generation, &theirs));
        halves.verbs = verbs.is_some();
        let ticket = |host: &Host| halves.shm.as_ref().map(|invitation| host.ticket(invitation.nonce));
        let shm = self.host.as_ref().and_then(ticket);
        let local = halves.local.as_ref().map(Hosting::ticket);
        let record = self.peers.entry(peer).or_default();
        record.generation = generation;
        record.link = None;
        record.stage = Stage::Answered(halves);
        self.say(now, peer, &SetupMessage::Answer { generation, local, shm, verbs });
    }

    /// Connects a queue pair to the one that was offered.
    fn answer_verbs(&mut self, peer: NodeId, generation: u16, theirs: &VerbsEndpoint) -> Option<Box<VerbsEndpoint>> {
        let ours = self.begin_verbs(peer, generation)?;
        let verbs = self.verbs.as_mut()?;
        match verbs.connect(peer, theirs) {
            Ok(()) => Some(ours),
            Err(error) => {
                verbs.close(peer);
                self.object_to_verbs(peer, &error)
            }
        }
    }

    fn on_answer(&mut self, now: Nanos, peer: NodeId, generation: u16, mut options: Options) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        if !matches!(record.stage, Stage::Offered) || record.generation != generation {
            return self.fail(peer, "an answer out of turn");
        }
        options.local = options.local.filter(|_| self.choice.allows(LinkKind::Local));
        options.shm = options.shm.filter(|_| self.choice.allows(LinkKind::Shm));
        self.choose(now, peer, options);
    }

    /// Tries what is left, the fastest first.
    pub(super) fn choose(&mut self, now: Nanos, peer: NodeId, mut options: Options) {
        if let Some(ticket) = options.local.take() {
            match local::take(ticket, &self.bell) {
                Ok(Some(ends)) => return self.settle_ring(now, peer, LinkKind::Local, ends, "same process"),
                Ok(None) => options.reasons.push("its memory in this process is gone".to_owned()),
                Err(error) => options.reasons.push(error.to_string()),
            }
        }
        if let Some(ticket) = options.shm.take() {
            match self.call(&ticket) {
                Ok(guest) => {
                    let deadline = now.after(limit::START_TIMEOUT);
                    return self.at_stage(peer, Stage::Calling { guest, deadline, rest: options });
                }
                Err(reason) => options.reasons.push(format!("shm: {reason}")),
            }
        } else if self.choice.allows(LinkKind::Shm) && options.reasons.is_empty() {
            options.reasons.push("shm: it does not offer it".to_owned());
        }
        match self.connect_verbs(peer, options.verbs.take()) {
            Ok(()) => {
                self.peers.entry(peer).or_default().link = Some(Link::Verbs);
                options.reasons.insert(0, "both have a device".to_owned());
                self.settle(now, peer, LinkKind::Verbs, &options.reasons.join(", "));
            }
            Err(reason) => {
                options.reasons.extend(reason);
                let is_plain = options.reasons.is_empty();
                let reason = if is_plain { "as configured".to_owned() } else { options.reasons.join(", ") };
                self.settle(now, peer, LinkKind::Tcp, &reason);
            }
        }
    }

    /// Connects our queue pair to the one that the peer has answered with; why not, where that says something.
    fn connect_verbs(&mut self, peer: NodeId, theirs: Option<VerbsEndpoint>) -> Result<(), Option<String>> {
        if let Some(objection) = self.peers.get_mut(&peer).and_then(|record| record.objection.take()) {
            return Err(Some(objection));
        }
        let Some(verbs) = &mut self.verbs else { return Err(self.no_verbs.clone()) };
        let theirs = theirs.ok_or_else(|| Some("verbs: it does not offer them".to_owned()))?;
        verbs.connect(peer, &theirs).map_err(|error| Some(format!("verbs: {error}")))
    }

    fn at_stage(&mut self, peer: NodeId, stage: Stage) {
        self.peers.entry(peer).or_default().stage = stage;
    }

    pub(super) fn settle_ring(
        &mut self,
        now: Nanos,
        peer: NodeId,
        kind: LinkKind,
        ends: (RingMemory, Doorbell),
        reason: &str,
    ) {
        if self.put_ring(peer, Side::Second, ends) {
            self.settle(now, peer, kind, reason);
        }
    }

    fn put_ring(&mut self, peer: NodeId, side: Side, (memory, bell): (RingMemory, Doorbell)) -> bool {
        let record = self.peers.entry(peer).or_default();
        match RingLink::new(memory, side, peer, record.generation, bell) {
            Ok(link) => {
                record.link = Some(Link::Ring(Box::new(link)));
                self.has_rings = true;
                true
            }
            Err(error) => {
                self.fail(peer, &error.to_string());
                false
            }
        }
    }

    /// Tells the peer the way, and takes it.
    fn settle(&mut self, now: Nanos, peer: NodeId, kind: LinkKind, reason: &str) {
        let generation = self.peers.entry(peer).or_default().generation;
        self.say(now, peer, &SetupMessage::chosen(generation, kind, reason));
        self.settled(now, peer, kind, reason);
    }

    fn on_chosen(&mut self, now: Nanos, peer: NodeId, generation: u16, kind: LinkKind, reason: &str) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        let stage = std::mem::take(&mut record.stage);
        let Stage::Answered(halves) = stage else { return self.fail(peer, "a choice out of turn") };
        if record.generation != generation {
            return self.fail(peer, "a choice out of turn");
        }
        let ends = match kind {
            LinkKind::Tcp => return self.settled(now, peer, kind, reason),
            LinkKind::Local => halves.local.and_then(Hosting::welcome),
            LinkKind::Shm => halves.shm.and_then(|invitation| invitation.visited),
            LinkKind::Verbs if halves.verbs => {
                record.link = Some(Link::Verbs);
                return self.settled(now, peer, kind, reason);
            }
            LinkKind::Verbs => None,
        };
        let Some(ends) = ends else { return self.fail(peer, "a choice of what was not prepared") };
        if self.put_ring(peer, Side::First, ends) {
            self.settled(now, peer, kind, reason);
        }
    }

    /// Both know the way. One that was forced, was never met and is not met ends the node.
    fn settled(&mut self, now: Nanos, peer: NodeId, kind: LinkKind, reason: &str) {
        self.at_stage(peer, Stage::Settled(kind));
        // What was prepared beside goes.
        if kind != LinkKind::Verbs
            && let Some(verbs) = &mut self.verbs
        {
            verbs.close(peer);
        }
        let leads = self.node > peer;
        let record = self.peers.entry(peer).or_default();
        let objection = record.objection.take();
        if kind == LinkKind::Tcp && record.had_link {
            tracing::warn!(%peer, reason, "no link for now; trying again");
            if leads {
                record.stage = Stage::Pausing(record.pauses.next(now));
            }
            return;
        }
        if self.choice.is_met_by(kind) {
            record.had_link |= kind != LinkKind::Tcp;
            // Strings from a peer are logged quoted.
            return tracing::info!(%peer, %kind, reason, "link");
        }
        let reason = objection.unwrap_or_else(|| reason.escape_debug().to_string());
        self.refusal.get_or_insert((peer, reason));
    }

    fn say(&mut self, now: Nanos, peer: NodeId, message: &SetupMessage) {
        let mut frame = message.to_frame(self.node);
        frame.header.job = self.job;
        self.tcp.tx_burst(now, peer, &mut vec![frame]);
    }

    /// What came of the peer's link cannot be used: the connection goes, and with the next one comes a new link.
    pub(super) fn fail(&mut self, peer: NodeId, reason: &str) {
        tracing::warn!(%peer, "cutting the connection: {reason}");
        self.close(peer);
        self.tcp.break_connection(peer);
    }
}
