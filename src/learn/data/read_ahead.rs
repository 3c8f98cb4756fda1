//! Reading and localising on a thread beside the learner.
//!
//! Units go in by one channel, batches come out by a bounded one and go back empty by a third: a
//! fixed number of batches is in flight, so the thread waits when it is too far ahead. Errors
//! travel with the batches, in their place. Dropping the handle ends the thread.

use super::ReaderConfig;
use super::batch::LocalBatch;
use super::error::DataError;
use super::file::DataFile;
use super::reader::{UnitProgress, UnitReader};
use super::unit::UnitSource;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::io;
use std::sync::Arc;
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
    /// Bad lines that the thread has skipped so far, in all units.
    pub bad_lines: u64,
}

/// A thread that reads units ahead of the learner.
#[derive(Debug)]
pub struct ReadAhead {
    units: Option<Sender<(u64, UnitSource)>>,
    batches: Option<Receiver<Result<UnitBatch, DataError>>>,
    empty: Sender<LocalBatch>,
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
        let thread = std::thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || run(reader, batch_rows, &units_in, &batches_out, &empty_in))?;
        Ok(ReadAhead { units: Some(units), batches: Some(batches), empty, thread: Some(thread) })
    }

    /// Gives the thread a unit to read after those it has.
    pub fn submit(&self, unit: u64, source: UnitSource) {
        if let Some(units) = &self.units {
            // The thread ends only with this handle, or by a panic that `receive` tells of.
            let _ = units.send((unit, source));
        }
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

#[cold]
fn ended() -> DataError {
    DataError::Unit { unit: "of a reader thread that has ended".into() }
}

fn run(
    mut reader: UnitReader,
    batch_rows: impl Fn(u64) -> usize,
    units: &Receiver<(u64, UnitSource)>,
    batches: &Sender<Result<UnitBatch, DataError>>,
    empty: &Receiver<LocalBatch>,
) {
    let mut rows_before = 0;
    for (unit, source) in units {
        let mut begun = reader.begin_unit(&source);
        loop {
            let delivery = begun.and_then(|()| {
                let mut batch = empty.try_recv().unwrap_or_default();
                let progress = reader.read_local(batch_rows(rows_before).max(1), &mut batch)?;
                rows_before += batch.row_count() as u64;
                Ok(UnitBatch { unit, batch, progress, bad_lines: reader.bad_lines() })
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
