//! What is known of one peer: how far the set-up of its link is, and the link.

use super::choice::LinkKind;
use super::pause::Pauses;
use crate::id::Nanos;
use crate::transport::local::{Hosting, LocalTicket};
use crate::transport::ring::{Doorbell, RingLink, RingMemory};
use crate::transport::shm::{Guest, ShmTicket, Visit};
use crate::transport::verbs::VerbsEndpoint;

#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) stage: Stage,
    /// What is faster than TCP, once it stands.
    pub(super) link: Option<Link>,
    /// Generation of the latest link.
    pub(super) generation: u16,
    /// Why this side has no queue pair or no memory for it.
    pub(super) objection: Option<String>,
    /// Whether a link with it has stood, so that one may stand again.
    pub(super) had_link: bool,
    /// When the next one is set up, where we have the first word.
    pub(super) pauses: Pauses,
    /// Whether nothing is read from it because it does not read.
    pub(super) is_paused: bool,
}

/// A way that data frames take beside the connection.
#[derive(Debug)]
pub(super) enum Link {
    /// Our end of memory that both write.
    Ring(Box<RingLink>),
    /// The fabric's verbs know it by the peer.
    Verbs,
}

/// How far the set-up is.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// There is no connection, or the other side has the first word.
    #[default]
    Silent,
    /// Our offer is due at this moment; the last link broke or could not be made.
    Pausing(Nanos),
    /// We have said what we have.
    Offered,
    /// We have answered and hold our halves ready.
    Answered(Halves),
    /// We have called at the peer's socket, and know what else there is.
    Calling { guest: Guest, deadline: Nanos, rest: Options },
    /// Both know the way.
    Settled(LinkKind),
}

/// What the answering side has prepared.
#[derive(Debug, Default)]
pub(super) struct Halves {
    pub(super) local: Option<Hosting>,
    pub(super) shm: Option<Invitation>,
    /// Whether our queue pair is connected to the peer's.
    pub(super) verbs: bool,
}

/// A guest is expected at our socket, or has been there.
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) nonce: [u8; 32],
    pub(super) visited: Option<(RingMemory, Doorbell)>,
}

/// What the peer has answered and is not tried yet, and why the rest did not do.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) local: Option<LocalTicket>,
    pub(super) shm: Option<ShmTicket>,
    pub(super) verbs: Option<VerbsEndpoint>,
    pub(super) reasons: Vec<String>,
}

impl Invitation {
    /// Whether this is the guest, who has not been here yet.
    pub(super) fn is_for(&self, visit: &Visit) -> bool {
        self.visited.is_none() && self.nonce == visit.nonce
    }
}

impl Peer {
    /// The generation of a new link: counted on, and never zero.
    pub(super) fn next_generation(&mut self) -> u16 {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.generation
    }

    /// The connection is gone, and with it everything that was made under it.
    pub(super) fn close(&mut self) {
        self.stage = Stage::Silent;
        self.link = None;
        self.objection = None;
        self.is_paused = false;
    }

    /// The way that its data take, where that is known.
    pub(super) fn kind(&self) -> Option<LinkKind> {
        match self.stage {
            Stage::Settled(kind) => Some(kind),
            Stage::Pausing(_) => Some(LinkKind::Tcp),
            _ => None,
        }
    }

    /// Our end of shared memory, if that is the link.
    pub(super) fn ring(&self) -> Option<&RingLink> {
        match &self.link {
            Some(Link::Ring(link)) => Some(link),
            _ => None,
        }
    }

    /// As [`ring`](Self::ring).
    pub(super) fn ring_mut(&mut self) -> Option<&mut RingLink> {
        match &mut self.link {
            Some(Link::Ring(link)) => Some(link),
            _ => None,
        }
    }

    /// Whether a guest of this peer is still expected at our socket.
    pub(super) fn expects_guest(&self) -> bool {
        matches!(&self.stage, Stage::Answered(halves)
            if halves.shm.as_ref().is_some_and(|invitation| invitation.visited.is_none()))
    }
}
