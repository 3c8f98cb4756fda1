//! The loop: completions in, requests out, and what to look at before sleeping.

use super::failure::LinkFailure;
use super::receives::received_index;
use super::{EVENT_ROUNDS, OpcodeCounts, POLL_COUNT, Verbs, VerbsError};
use crate::id::NodeId;
use crate::transport::Incoming;
use crate::transport::ring::Credit;
use crate::wire::{Target, TxFrame};
use rdma_sys::{ibv_wc, ibv_wc_opcode, ibv_wc_status};
use std::fmt;
use std::os::fd::BorrowedFd;

impl Verbs {
    /// Whether the link to `peer` can carry a frame now; what it cannot goes another way.
    #[must_use]
    pub fn carries(&self, peer: NodeId, frame: &TxFrame) -> bool {
        let link = self.by_peer.get(&peer).and_then(|&index| self.links[index].as_deref());
        link.is_some_and(|link| !link.has_failed && link.carries(frame))
    }

    /// Takes the frames that the link to `peer` carries, as long as there is room, and leaves the others.
    /// A small frame that comes alone is posted at once.
    pub fn tx_burst(&mut self, peer: NodeId, frames: &mut Vec<TxFrame>) {
        let Some(&index) = self.by_peer.get(&peer) else { return };
        let Some(link) = self.links[index].as_mut().filter(|link| !link.has_failed) else { return };
        match link.send_at_once(frames, &mut self.shared) {
            Ok(true) => return,
            Ok(false) => {}
            Err(failure) => return self.fail(index, failure),
        }
        link.enqueue(frames, &mut self.carried);
        self.mark_unsent(index);
    }

    /// An answer to an offer of `peer` goes another way than over its link: the peer is told that its
    /// memory is free again.
    pub fn answered_elsewhere(&mut self, peer: NodeId, target: &Target) {
        let Some(&index) = self.by_peer.get(&peer) else { return };
        let Some(link) = self.links[index].as_mut() else { return };
        if link.asked_of(target).is_some()
            && let Some(asked) = link.asked.remove(target.key)
        {
            link.answered_elsewhere.push(asked.offer.token);
            self.mark_unsent(index);
        }
    }

    /// Bytes of frames for `peer` that are not known to have arrived.
    #[must_use]
    pub fn queued_bytes(&self, peer: NodeId) -> usize {
        let link = self.by_peer.get(&peer).and_then(|&index| self.links[index].as_ref());
        link.map_or(0, |link| link.queued_bytes())
    }

    /// Puts what has arrived at the end of `incoming`, at most `frames_max` frames. From peers that are
    /// `paused` only credits are taken. Returns whether more is there already.
    pub fn rx_burst(
        &mut self,
        incoming: &mut Vec<Incoming>,
        frames_max: usize,
        paused: &dyn Fn(NodeId) -> bool,
    ) -> bool {
        self.polls = self.polls.wrapping_add(1);
        let has_looked = std::mem::take(&mut self.has_looked) && !self.is_armed;
        if std::mem::take(&mut self.is_armed) {
            self.shared.pairing.queue.take_notifications();
            self.take_events();
        } else if self.polls.is_multiple_of(EVENT_ROUNDS) {
            self.take_events();
        }
        if !has_looked {
            self.poll_all();
            self.shared.registry.let_go_of_retired();
        }
        self.unpark(paused);
        let end = incoming.len() + frames_max;
        for _ in 0..self.ready.len() {
            let Some(index) = self.ready.pop_front() else { break };
            self.read_link(index, incoming, end, paused);
        }
        // What was read may have asked for READs or brought credits: neither waits for the next flush.
        if self.unsent.iter().any(|&index| self.links[index].as_ref().is_some_and(|link| link.can_plan())) {
            self.pump_all(false);
        }
        !self.ready.is_empty()
    }

    /// Delivers what arrived on one link. What stays puts it back in its list.
    fn read_link(&mut self, index: usize, incoming: &mut Vec<Incoming>, end: usize, paused: &dyn Fn(NodeId) -> bool) {
        let Some(link) = self.links[index].as_mut() else { return };
        if paused(link.peer) {
            // It counts as ready so long, so that it stands in one list.
            self.parked.push(index);
            return;
        }
        link.is_ready = false;
        while incoming.len() < end && !link.arrivals.is_empty() && !link.has_failed {
            if let Err(failure) = link.deliver(&mut self.shared, incoming) {
                return self.fail(index, failure);
            }
        }
        if !link.arrivals.is_empty() && !link.has_failed {
            link.is_ready = true;
            self.ready.push_back(index);
        }
        self.mark_unsent(index);
    }

    fn unpark(&mut self, paused: &dyn Fn(NodeId) -> bool) {
        let (links, ready) = (&self.links, &mut self.ready);
        self.parked.retain(|&index| {
            let Some(link) = &links[index] else { return false };
            let stays = paused(link.peer);
            if !stays {
                ready.push_back(index);
            }
            stays
        });
    }

    /// Sends what can be sent, and the credits that peers wait for.
    pub fn flush(&mut self) {
        let (links, by_peer, unsent) = (&mut self.links, &self.by_peer, &mut self.unsent);
        self.shared.lender.serve_waiting(|peer, slot| {
            let Some(&index) = by_peer.get(&peer) else { return };
            if let Some(link) = &mut links[index] {
                link.returning.push_back(Credit { slot, kept: false });
                link.returns_are_due = true;
                if !std::mem::replace(&mut link.is_unsent, true) {
                    unsent.push(index);
                }
            }
        });
        self.pump_all(true);
    }

    fn pump_all(&mut self, gives_credits: bool) {
        let mut kept_count = 0;
        for place in 0..self.unsent.len() {
            let index = self.unsent[place];
            let Some(link) = self.links[index].as_mut() else { continue };
            // Credits alone wait for the flush, in the list, and so do windows to be closed.
            let pumped =
                if gives_credits || link.can_plan() { link.pump(&mut self.shared, gives_credits) } else { Ok(()) };
            link.is_unsent = !gives_credits && (!link.returning.is_empty() || link.has_closing());
            if link.is_unsent {
                self.unsent[kept_count] = index;
                kept_count += 1;
            }
            if let Err(failure) = pumped {
                self.fail(index, failure);
            }
        }
        self.unsent.truncate(kept_count);
    }

    /// Whether a link broke that [`failed`](Self::failed) has not named yet.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The next link that broke. It is of no further use; close it.
    pub fn failed(&mut self) -> Option<(NodeId, VerbsError)> {
        let (peer, failure) = self.failures.pop_front()?;
        Some((peer, VerbsError::Link { peer, failure }))
    }

    /// Whether something waits for [`rx_burst`](Self::rx_burst), [`flush`](Self::flush) or [`failed`](Self::failed).
    pub fn look(&mut self) -> bool {
        self.poll_all();
        self.has_looked = !(self.ready.is_empty() && self.failures.is_empty() && self.unsent.is_empty());
        self.has_looked
    }

    /// Asks for notification by [`fds`](Self::fds). Returns whether something is there already.
    pub fn arm(&mut self) -> bool {
        self.is_armed = true;
        if let Err(error) = self.shared.pairing.queue.request_notification() {
            self.fail_all(|| LinkFailure::Device(error.to_string()));
        }
        self.take_events();
        self.look()
    }

    /// Descriptors that are readable when something came: the completion channel's, and the device's for
    /// its events.
    #[must_use]
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.shared.pairing.queue.fd(), self.shared.pairing.local.device.event_fd()]
    }

    /// What was posted so far.
    #[must_use]
    pub fn counts(&self) -> OpcodeCounts {
        self.shared.counts
    }

    /// Landings whose addresses peers know, over all links.
    #[must_use]
    pub fn given_count(&self) -> usize {
        self.links.iter().flatten().map(|link| link.given.count()).sum()
    }

    /// Takes completions until there are none.
    pub(super) fn poll_all(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        loop {
            completions.clear();
            let polled = self.shared.pairing.queue.poll(&mut completions);
            for completion in &completions {
                self.on_completion(completion);
            }
            match polled {
                Ok(count) if count == POLL_COUNT => {}
                Ok(_) => break,
                Err(error) => {
                    let reason = error.to_string();
                    self.out_of_use.get_or_insert_with(|| reason.clone());
                    self.fail_all(|| LinkFailure::Device(reason.clone()));
                    break;
                }
            }
        }
        self.completions = completions;
    }

    fn on_completion(&mut self, completion: &ibv_wc) {
        let buffer = received_index(completion.wr_id);
        let index = self.by_number.get(&completion.qp_num).copied();
        let outcome = self.digest(completion, buffer, index);
        if let Some(buffer) = buffer
            && !matches!(outcome, Ok(Kept::Buffer))
            && let Err(error) = self.shared.receives.give_back(buffer)
        {
            self.fail_all(|| LinkFailure::Device(format!("it takes no receive: {error}")));
        }
        let Some(index) = index else { return };
        match outcome {
            Ok(_) => self.note(index),
            Err(failure) => self.fail(index, failure),
        }
    }

    /// Does what a completion asks for. Those of links that are closed or have failed ask for nothing.
    fn digest(&mut self, completion: &ibv_wc, buffer: Option<u32>, index: Option<usize>) -> Result<Kept, LinkFailure> {
        let link = index.and_then(|index| self.links[index].as_mut());
        let Some(link) = link.filter(|link| !link.has_failed) else { return Ok(Kept::Nothing) };
        if completion.status != ibv_wc_status::IBV_WC_SUCCESS {
            return Err(LinkFailure::completion(completion.status, completion.vendor_err));
        }
        let Some(buffer) = buffer else {
            if link.on_sent(completion.wr_id)
                && let Some(index) = index
            {
                // So that a look finds something, and whoever waits for the memory looks too.
                self.mark_unsent(index);
            }
            return Ok(Kept::Nothing);
        };
        if completion.opcode == ibv_wc_opcode::IBV_WC_RECV_RDMA_WITH_IMM {
            // SAFETY: a completion of this kind has an immediate; any bits are a number.
            let immediate = unsafe { completion.imm_data_invalidated_rkey_union.imm_data };
            link.on_write(&mut self.shared, u32::from_be(immediate)).map(|()| Kept::Nothing)
        } else {
            link.on_message(&mut self.shared, buffer, completion.byte_len as usize)
        }
    }

    /// Remembers that a link may have something to deliver and to send.
    fn note(&mut self, index: usize) {
        let Some(link) = self.links[index].as_mut() else { return };
        if !link.arrivals.is_empty() && !std::mem::replace(&mut link.is_ready, true) {
            self.ready.push_back(index);
        }
        // The end of a send alone is no reason to go through a round: it would be one for every message.
        if link.can_plan() || link.credits_are_due(&self.shared) || link.has_closing() {
            self.mark_unsent(index);
        }
    }

    fn mark_unsent(&mut self, index: usize) {
        if let Some(link) = self.links[index].as_mut()
            && !std::mem::replace(&mut link.is_unsent, true)
        {
            self.unsent.push(index);
        }
    }

    /// Ends what a link does. Its memory stays until it is closed: only then the device is done with it.
    pub(super) fn fail(&mut self, index: usize, failure: LinkFailure) {
        let Some(link) = self.links[index].as_mut().filter(|link| !link.has_failed) else { return };
        link.has_failed = true;
        if let Err(error) = link.pair.halt() {
            tracing::debug!("{error}");
        }
        self.failures.push_back((link.peer, failure));
    }

    pub(super) fn fail_all(&mut self, failure: impl Fn() -> LinkFailure) {
        for index in 0..self.links.len() {
            self.fail(index, failure());
        }
    }
}

/// Whether an arrival keeps the receive buffer of its completion.
pub(super) enum Kept {
    Nothing,
    Buffer,
}

impl Drop for Verbs {
    fn drop(&mut self) {
        tracing::info!("verbs opcodes {}", self.shared.counts);
    }
}

impl fmt::Debug for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verbs({}, {} links)", self.shared.pairing.local.device.name(), self.by_peer.len())
    }
}
