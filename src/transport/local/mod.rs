//! The ring in private memory: two threads of one process.
//!
//! One side makes the memory and leaves an end of it at a place that all threads of the process know;
//! the other takes it with a ticket. That both are in one process is seen from a token that each
//! process draws once. An end that nobody has taken goes with the [`Hosting`] that left it.

use super::ring::{Doorbell, MEMORY_BYTES, RingMemory};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Ends that wait to be taken, by ticket.
static WAITING: Mutex<BTreeMap<LocalTicket, Arc<Place>>> = Mutex::new(BTreeMap::new());
static TOKEN: OnceLock<[u8; 32]> = OnceLock::new();

/// Names an end that waits; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct LocalTicket([u8; 32]);

#[derive(Debug)]
struct Place {
    memory: RingMemory,
    /// The host's bell, until the guest takes it; then the guest's, until the host does.
    bells: Mutex<[Option<Doorbell>; 2]>,
}

/// What tells this process from all others. The first caller's `random` decides.
pub(super) fn process_token(random: impl FnOnce() -> [u8; 32]) -> [u8; 32] {
    *TOKEN.get_or_init(random)
}

/// The side that made the memory.
#[derive(Debug)]
pub(super) struct Hosting {
    ticket: LocalTicket,
    place: Arc<Place>,
}

impl Hosting {
    /// Makes memory and leaves an end of it, with our bell. `ticket` must never have been used before.
    pub(super) fn leave(ticket: [u8; 32], bell: &Doorbell) -> io::Result<Hosting> {
        let bells = Mutex::new([Some(bell.try_clone()?), None]);
        let place = Arc::new(Place { memory: RingMemory::anonymous(MEMORY_BYTES)?, bells });
        let ticket = LocalTicket(ticket);
        waiting().insert(ticket, Arc::clone(&place));
        Ok(Hosting { ticket, place })
    }

    pub(super) fn ticket(&self) -> LocalTicket {
        self.ticket
    }

    /// Our mapping, and the guest's bell, once the guest has taken its end.
    pub(super) fn welcome(self) -> Option<(RingMemory, Doorbell)> {
        let [_, guest] = &mut *self.place.bells();
        Some((self.place.memory.clone(), guest.take()?))
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        waiting().remove(&self.ticket);
    }
}

/// Takes the end that waits under `ticket`, and leaves our bell there. Nothing when there is none.
pub(super) fn take(ticket: LocalTicket, bell: &Doorbell) -> io::Result<Option<(RingMemory, Doorbell)>> {
    let Some(place) = waiting().remove(&ticket) else { return Ok(None) };
    let [host, guest] = &mut *place.bells();
    *guest = Some(bell.try_clone()?);
    Ok(host.take().map(|host| (place.memory.clone(), host)))
}

fn waiting() -> MutexGuard<'static, BTreeMap<LocalTicket, Arc<Place>>> {
    // Each change of the map is one insert or remove, so a panic leaves it whole.
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn bells(&self) -> MutexGuard<'_, [Option<Doorbell>; 2]> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell() -> Doorbell {
        Doorbell::new().expect("a bell")
    }

    #[test]
    fn an_end_is_taken_once_and_both_have_the_memory_and_the_others_bell() {
        let (hosts, guests) = (bell(), bell());
        let hosting = Hosting::leave([1; 32], &hosts).expect("memory");
        let ticket = hosting.ticket();
        let (memory, to_host) = take(ticket, &guests).expect("a bell").expect("an end");
        assert!(take(ticket, &guests).expect("a bell").is_none());
        let (same, to_guest) = hosting.welcome().expect("it was taken");
        memory.shared().copy_in_counted(5, b"x");
        assert_eq!(&same.shared().read::<[u8; 1]>(5), b"x");
        to_host.ring().expect("rings");
        to_guest.ring().expect("rings");
        assert!([&hosts, &guests].into_iter().all(|bell| rustix::io::read(bell, &mut [0; 8]).is_ok()));
    }

    #[test]
    fn an_end_that_nobody_takes_goes_with_its_host() {
        let hosting = Hosting::leave([2; 32], &bell()).expect("memory");
        let ticket = hosting.ticket();
        assert!(hosting.welcome().is_none());
        assert!(take(ticket, &bell()).expect("a bell").is_none());
    }

    #[test]
    fn a_process_has_one_token() {
        assert_eq!(process_token(|| [1; 32]), process_token(|| [2; 32]));
    }
}
