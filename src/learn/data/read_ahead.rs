//! Reading and localising on a thread beside the learner.
//!
//! Units go in by one channel, batches come out by a bounded one and go back empty by a third: a
//! fixed number of batches is in flight, so the thread waits when it is too far ahead. Errors
//! travel with the batches, in their place. Dropping the handle ends the thread.
//!
//! The rows of a batch depend on the rows before it. A unit that is cut counts with the rows that are kept of it,
//! so that what comes after it is cut into batches as if the rest had never been.

use super::ReaderConfig;
use super::batch::LocalBatch;
use super::error::DataError;
use super::file::DataFile;
use super::reader::{UnitProgress, UnitReader};
use super::unit::UnitSource;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Batches that may wait for the learner.
const BATCHES_AHEAD: usize = 4;

/// A minibatch of a unit.
#[derive(Debug)]
pub struct UnitBatch {
    /// The unit's number, as given to [`ReadAhead::submit`].
    pub unit: u64,
    /// The rows. Give it back by [`ReadAhead::recycle`].
    pub batch: LocalBatch,
    /// Whether the unit ends here, and what was found at its end.
    pub progress: UnitProgress,
    /// What of the unit lies behind these rows; none at its end.
    pub rest: Option<UnitSource>,
    /// Bad lines that the thread has skipped so far, in all units.
    pub bad_lines: u64,
}

/// A thread that reads units ahead of the learner.
#[derive(Debug)]
pub struct ReadAhead {
    units: Option<Sender<(u64, UnitSource)>>,
    batches: Option<Receiver<Result<UnitBatch, DataError>>>,
    empty: Sender<LocalBatch>,
    cuts: Arc<Mutex<BTreeMap<u64, u64>>>,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Starts the thread. It delivers batches of `batch_rows(rows before)` rows; the last of a unit
    /// may be shorter, or empty.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        files: Arc<[DataFile]>,
        config: ReaderConfig,
        batch_rows: impl Fn(u64) -> usize + Send + 'static,
    ) -> io::Result<ReadAhead> {
        let (units, units_in) = unbounded();
        let (batches_out, batches) = bounded(BATCHES_AHEAD);
        let (empty, empty_in) = unbounded();
        let reader = UnitReader::new(files, config);
        let cuts = Arc::default();
        let of_thread = Cuts(Arc::clone(&cuts));
        let thread = std::thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || run(reader, batch_rows, (&units_in, &of_thread), &batches_out, &empty_in))?;
        Ok(ReadAhead { units: Some(units), batches: Some(batches), empty, cuts, thread: Some(thread) })
    }

    /// Gives the thread a unit to read after those it has.
    pub fn submit(&self, unit: u64, source: UnitSource) {
        if let Some(units) = &self.units {
            // The thread ends only with this handle, or by a panic that `receive` tells of.
            let _ = units.send((unit, source));
        }
    }

    /// Takes the unit back that was submitted last, but for its first `rows` rows. Batches of what lies behind may
    /// still come, and are to be dropped.
    pub fn cut(&self, unit: u64, rows: u64) {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).insert(unit, rows);
    }

    /// Waits for the next batch. After an error the unit is over, and the next one comes.
    ///
    /// # Errors
    /// What reading met.
    pub fn receive(&self) -> Result<UnitBatch, DataError> {
        match self.batches.as_ref().map(Receiver::recv) {
            Some(Ok(batch)) => batch,
            _ => Err(ended()),
        }
    }

    /// The next batch if it comes within `timeout`, which may be zero.
    ///
    /// # Errors
    /// What reading met.
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<UnitBatch>, DataError> {
        match self.batches.as_ref().map(|batches| batches.recv_timeout(timeout)) {
            Some(Ok(batch)) => batch.map(Some),
            Some(Err(RecvTimeoutError::Timeout)) => Ok(None),
            _ => Err(ended()),
        }
    }

    /// Gives a batch back, so that its memory is used again.
    pub fn recycle(&self, batch: LocalBatch) {
        // A thread that is gone needs no memory.
        let _ = self.empty.send(batch);
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.units = None;
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told of by `receive`; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// The units of which the learner does not want the rest, and how many rows it keeps.
struct Cuts(Arc<Mutex<BTreeMap<u64, u64>>>);

impl Cuts {
    fn has(&self, unit: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&unit)
    }

    fn take(&self, unit: u64) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&unit)
    }
}

#[cold]
fn ended() -> DataError {
    DataError::Unit { unit: "of a reader thread that has ended".into() }
}

fn run(
    mut reader: UnitReader,
    batch_rows: impl Fn(u64) -> usize,
    (units, cuts): (&Receiver<(u64, UnitSource)>, &Cuts),
    batches: &Sender<Result<UnitBatch, DataError>>,
    empty: &Receiver<LocalBatch>,
) {
    let mut rows_before = 0;
    // The unit before, and the rows before it.
    let mut last: Option<(u64, u64)> = None;
    for (unit, source) in units {
        if let Some((rows, kept)) = last.and_then(|(last, rows)| Some((rows, cuts.take(last)?))) {
            rows_before = rows + kept;
        }
        last = Some((unit, rows_before));
        let mut begun = reader.begin_unit(&source);
        while !cuts.has(unit) {
            let delivery = begun.and_then(|()| {
                let mut batch = empty.try_recv().unwrap_or_default();
                let progress = reader.read_local(batch_rows(rows_before).max(1), &mut batch)?;
                rows_before += batch.row_count() as u64;
                let rest = if progress.is_last { None } else { reader.rest() };
                Ok(UnitBatch { unit, batch, progress, rest, bad_lines: reader.bad_lines() })
            });
            let is_over = delivery.as_ref().map_or(true, |delivered| delivered.progress.is_last);
            if batches.send(delivery).is_err() {
                return;
            }
            if is_over {
                break;
            }
            begun = Ok(());
        }
    }
}
