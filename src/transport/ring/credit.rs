//! Who may write which slot: [`Credits`] at the sender, [`Lender`] at the receiver.
//!
//! A slot is free, lent, or has arrived. A peer gets its reserve when the link is made and more when
//! it says that it wants more. What arrived goes back to the same peer, unless another one waits for
//! slots and this one has more than its share.

use super::error::RingError;
use super::{SLOTS_LENT_MAX, SLOTS_RESERVED};
use crate::id::NodeId;
use std::collections::BTreeMap;

/// Where a slot of the peer's ring is, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    /// With the receiver.
    Foreign,
    /// Held, and not used.
    Free,
    /// A frame was sent with it.
    Used,
}

/// What the receiver says of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// The slot; below [`super::SLOT_COUNT_MAX`].
    pub slot: u16,
    /// Whether the receiver is done with it and keeps it. Otherwise the sender may write it.
    pub kept: bool,
}

/// What a credit that came means to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// One slot more than before.
    New,
    /// The receiver is done with the frame that used this slot. Whether the slot can be used again
    /// is seen from the [`Credits`].
    Done,
}

/// The sender's side: slots of the peer's ring that it may write.
#[derive(Debug)]
pub struct Credits {
    generation: u16,
    slots: Vec<Holding>,
    /// Used again last in, first out: its lines may still be in a cache.
    free: Vec<u16>,
    held_count: u16,
}

impl Credits {
    /// No credit yet for a ring of `slot_count` slots, on a link of this generation as the ring's
    /// owner counts them.
    #[must_use]
    pub fn new(slot_count: u16, generation: u16) -> Credits {
        let slots = vec![Holding::Foreign; usize::from(slot_count)];
        Credits { generation, slots, free: Vec::with_capacity(usize::from(SLOTS_LENT_MAX)), held_count: 0 }
    }

    /// Generation to put into every message.
    #[must_use]
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// Slots that can be written now.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Slots that are written and not returned.
    #[must_use]
    pub fn used_count(&self) -> usize {
        usize::from(self.held_count) - self.free.len()
    }

    /// Takes a credit that the receiver grants or returns, or hears that it keeps the slot.
    ///
    /// # Errors
    /// When the ring has no such slot, the credit is not where it can come from, or they become too many.
    pub fn accept(&mut self, credit: Credit) -> Result<Granted, RingError> {
        let Credit { slot, kept } = credit;
        let count = self.slots.len() as u16;
        let holding = self.slots.get_mut(usize::from(slot)).ok_or(RingError::NoSlot { slot, count })?;
        let granted = match (*holding, kept) {
            (Holding::Used, true) => {
                *holding = Holding::Foreign;
                self.held_count -= 1;
                return Ok(Granted::Done);
            }
            (Holding::Used, false) => Granted::Done,
            (Holding::Foreign, false) if self.held_count < SLOTS_LENT_MAX => {
                self.held_count += 1;
                Granted::New
            }
            (Holding::Foreign, false) => return Err(RingError::TooManyCredits { limit: SLOTS_LENT_MAX }),
            (Holding::Free, _) | (Holding::Foreign, true) => return Err(RingError::WrongCredit { slot }),
        };
        *holding = Holding::Free;
        self.free.push(slot);
        Ok(granted)
    }

    /// A slot to write, if one is held.
    pub fn take(&mut self) -> Option<u16> {
        let slot = self.free.pop()?;
        self.slots[usize::from(slot)] = Holding::Used;
        Some(slot)
    }
}

/// Where a slot of the own ring is, as its receiver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Free,
    Lent(NodeId),
    Arrived(NodeId),
}

#[derive(Debug)]
struct Account {
    generation: u16,
    /// Slots that the peer holds or that have arrived from it.
    lent: u16,
    /// Slots that it said it could use and did not get.
    wants: u16,
}

/// The receiver's side: which slots of its ring are lent to which peer.
#[derive(Debug)]
pub struct Lender {
    slots: Vec<Slot>,
    free: Vec<u16>,
    accounts: BTreeMap<NodeId, Account>,
    /// Messages that can be received beyond those of the reserves.
    lendable: usize,
    /// Sum of all `wants`.
    wants: usize,
}

impl Lender {
    /// A ring of `slot_count` slots, none of them lent. At most `lendable` are at any time: as many
    /// as there are receives for the frames that come with them.
    #[must_use]
    pub fn new(slot_count: u16, lendable: usize) -> Lender {
        let slots = vec![Slot::Free; usize::from(slot_count)];
        Lender { slots, free: (0..slot_count).rev().collect(), accounts: BTreeMap::new(), lendable, wants: 0 }
    }

    /// Changes how many slots may be lent; what is lent stays lent.
    pub fn set_lendable(&mut self, lendable: usize) {
        self.lendable = lendable;
    }

    /// Slots that are lent or have arrived.
    #[must_use]
    pub fn lent_count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots that `peer` holds, or that have arrived from it.
    #[must_use]
    pub fn lent_to(&self, peer: NodeId) -> usize {
        self.accounts.get(&peer).map_or(0, |account| usize::from(account.lent))
    }

    /// Lends `count` slots to a new peer, whose link has this generation. Puts them at the end of `lent`.
    ///
    /// # Errors
    /// When fewer are left. Nothing is lent then.
    pub fn open(&mut self, peer: NodeId, generation: u16, count: u16, lent: &mut Vec<u16>) -> Result<(), RingError> {
        self.close(peer);
        if usize::from(count) > self.room() {
            let (lent, count) = (self.lent_count() as u16, self.slots.len() as u16);
            return Err(RingError::Exhausted { peer, lent, count });
        }
        self.accounts.insert(peer, Account { generation, lent: 0, wants: 0 });
        self.lend(peer, count, lent);
        Ok(())
    }

    /// The peer says that it could use `wants` more slots. Puts those that it gets at the end of
    /// `lent`. A quarter of the ring stays aside for the reserves of new peers.
    pub fn want(&mut self, peer: NodeId, wants: u16, lent: &mut Vec<u16>) {
        let room = self.room().saturating_sub(self.slots.len() / 4);
        let Some(account) = self.accounts.get_mut(&peer) else { return };
        let wants = wants.min(SLOTS_LENT_MAX.saturating_sub(account.lent));
        let count = wants.min(u16::try_from(room).unwrap_or(u16::MAX));
        self.wants = self.wants + usize::from(wants - count) - usize::from(account.wants);
        account.wants = wants - count;
        self.lend(peer, count, lent);
    }

    /// Peers that wait for slots, while there are slots.
    pub fn serve_waiting(&mut self, mut grant: impl FnMut(NodeId, u16)) {
        if self.wants == 0 || self.room() <= self.slots.len() / 4 {
            return;
        }
        let waiting: Vec<NodeId> = self.accounts.iter().filter(|(_, a)| a.wants > 0).map(|(&peer, _)| peer).collect();
        let mut lent = Vec::new();
        for peer in waiting {
            let wants = self.accounts.get(&peer).map_or(0, |account| account.wants);
            self.want(peer, wants, &mut lent);
            lent.drain(..).for_each(|slot| grant(peer, slot));
        }
    }

    /// A frame came in `slot`, or with its credit.
    ///
    /// # Errors
    /// When the generation is not that of the peer's link, or the peer does not hold the credit.
    pub fn arrive(&mut self, peer: NodeId, slot: u16, generation: u16) -> Result<(), RingError> {
        let expected = self.accounts.get(&peer).map_or(0, |account| account.generation);
        if generation != expected || expected == 0 {
            return Err(RingError::Stale { found: generation, expected });
        }
        let count = self.slots.len() as u16;
        let state = self.slots.get_mut(usize::from(slot)).ok_or(RingError::NoSlot { slot, count })?;
        if *state != Slot::Lent(peer) {
            return Err(RingError::NotLent { slot, peer });
        }
        *state = Slot::Arrived(peer);
        Ok(())
    }

    /// What arrived in `slot` was read. Returns what the peer must be told; nothing for a slot that
    /// was taken back meanwhile.
    pub fn finish(&mut self, peer: NodeId, slot: u16) -> Option<Credit> {
        let share = (self.slots.len() / self.accounts.len().max(1)).max(usize::from(SLOTS_RESERVED));
        let is_theirs = self.slots.get(usize::from(slot)) == Some(&Slot::Arrived(peer));
        let account = self.accounts.get_mut(&peer).filter(|_| is_theirs)?;
        let others_want = self.wants > usize::from(account.wants);
        if others_want && usize::from(account.lent) > share {
            account.lent -= 1;
            self.slots[usize::from(slot)] = Slot::Free;
            self.free.push(slot);
            return Some(Credit { slot, kept: true });
        }
        self.slots[usize::from(slot)] = Slot::Lent(peer);
        Some(Credit { slot, kept: false })
    }

    /// Takes all slots of `peer` back. Whoever calls this has seen to it that the peer can no longer write.
    pub fn close(&mut self, peer: NodeId) {
        let Some(account) = self.accounts.remove(&peer) else { return };
        self.wants -= usize::from(account.wants);
        for (slot, state) in self.slots.iter_mut().enumerate() {
            if matches!(*state, Slot::Lent(owner) | Slot::Arrived(owner) if owner == peer) {
                *state = Slot::Free;
                self.free.push(slot as u16);
            }
        }
    }

    /// Slots that can be lent now.
    fn room(&self) -> usize {
        self.free.len().min(self.lendable.saturating_sub(self.lent_count()))
    }

    fn lend(&mut self, peer: NodeId, count: u16, lent: &mut Vec<u16>) {
        let Some(account) = self.accounts.get_mut(&peer) else { return };
        let first = self.free.len().saturating_sub(usize::from(count));
        for slot in self.free.drain(first..) {
            self.slots[usize::from(slot)] = Slot::Lent(peer);
            account.lent += 1;
            lent.push(slot);
        }
    }
}

#[cfg(test)]
mod tests;
