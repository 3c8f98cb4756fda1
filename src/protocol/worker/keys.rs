//! The keys of a request, and how they were cut.
//!
//! A list that is handed over once is checked, cut and hashed in full. An immutable list remembers
//! its cuts: by job, table, range and epoch, the pieces with their shards and digests. They are made on
//! first use and go with the list, which may outlive the job.

use crate::id::{Epoch, Generation, JobId, NodeId, TableId};
use crate::keyspace::KeyRange;
use crate::memory::TxBuf;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cuts that one list remembers: it is used with one or two tables in one epoch.
const CUT_COUNT: usize = 4;

/// The keys of a request: ascending u64 in a counted buffer.
#[derive(Debug, Clone)]
pub struct Keys {
    buffer: TxBuf,
    cuts: Option<Arc<Cuts>>,
    is_chosen: bool,
}

impl Keys {
    /// Keys that are checked, cut and hashed with this request.
    #[must_use]
    pub fn once(buffer: TxBuf) -> Keys {
        Keys { buffer, cuts: None, is_chosen: false }
    }

    /// What value-changing filters have chosen to be sent: it hardly comes again, so no list of it is kept.
    pub(super) fn chosen(buffer: TxBuf) -> Keys {
        Keys { buffer, cuts: None, is_chosen: true }
    }

    pub(super) fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    /// An immutable list, of which clones are handed over again and again. Whoever makes it has checked
    /// that the keys are strictly ascending; a shard refuses them otherwise.
    #[must_use]
    pub fn immutable(buffer: TxBuf) -> Keys {
        Keys { buffer, cuts: Some(Arc::default()), is_chosen: false }
    }

    /// The keys' bytes.
    #[must_use]
    pub fn buffer(&self) -> &TxBuf {
        &self.buffer
    }

    /// Whether the keys were checked when the list was made.
    pub(super) fn is_checked(&self) -> bool {
        self.cuts.is_some()
    }

    /// The pieces as they were cut before for the same purpose.
    pub(super) fn remembered(&self, purpose: Purpose) -> Option<Arc<[Piece]>> {
        let cuts = self.cuts.as_ref()?.lock();
        cuts.iter().find(|cut| cut.purpose == purpose).map(|cut| Arc::clone(&cut.pieces))
    }

    /// Remembers pieces, if the list is immutable.
    pub(super) fn remember(&self, purpose: Purpose, pieces: &[Piece]) {
        let Some(cuts) = &self.cuts else { return };
        let mut cuts = cuts.lock();
        if cuts.len() == CUT_COUNT {
            cuts.remove(0);
        }
        cuts.push(Cut { purpose, pieces: pieces.into() });
    }
}

/// What a list was cut for: other purposes need other pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purpose {
    pub(super) job: JobId,
    pub(super) generation: Generation,
    pub(super) table: TableId,
    pub(super) range: KeyRange,
    pub(super) epoch: Epoch,
}

/// A part of a request: one shard's, and small enough for one segment.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) to: NodeId,
    /// The range that it claims.
    pub(super) range: KeyRange,
    /// Its keys' places in the request.
    pub(super) places: Range<usize>,
    /// Names its key list; zero without one.
    pub(super) digest: u128,
}

struct Cut {
    purpose: Purpose,
    pieces: Arc<[Piece]>,
}

/// What one list remembers. The lock is held for a look alone.
#[derive(Default)]
struct Cuts(Mutex<Vec<Cut>>);

impl Cuts {
    fn lock(&self) -> MutexGuard<'_, Vec<Cut>> {
        // A panic inside the lock leaves whole cuts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cuts", self.lock().len())
    }
}
