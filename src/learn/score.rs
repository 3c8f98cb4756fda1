//! Scoring whole data sets with a finished model, on all cores and in the order of the rows.
//!
//! The data are cut into units, and unit `u` belongs to lane `u % lanes`: a thread that reads and
//! scores its units one after the other and delivers parcels of rows through a short channel of its
//! own. Whoever asked takes the parcels unit by unit, so rows come in order, and lanes that are too
//! far ahead wait: memory does not grow with the data. A compressed file is one unit.

use super::data::{DataError, DataFile, LocalBatch, ReaderConfig, UnitPlan, UnitReader, UnitSource, closed_units};
use super::error::LearnError;
use super::linear_model::{LinearModel, ScoredRow};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;

/// Bytes of text or blocks in one unit.
const UNIT_BYTES: u64 = 1 << 20;
/// Rows of one parcel.
const ROWS: usize = 2048;
/// Parcels that a lane may be ahead: those of about one unit.
const PARCELS_AHEAD: usize = 4;

/// Rows of one unit, in order.
struct Parcel {
    rows: Vec<ScoredRow>,
    is_last: bool,
}

/// Scores every row of `files` and hands the scores to `take`, in the order of files and rows.
/// Gives the number of bad lines that were skipped.
///
/// # Errors
/// The first of the data in their order, or of `take`.
pub fn score_files<E: From<LearnError>>(
    files: &Arc<[DataFile]>,
    config: &ReaderConfig,
    model: &LinearModel,
    take: impl FnMut(&[ScoredRow]) -> Result<(), E>,
) -> Result<u64, E> {
    let plan = UnitPlan::new(files, UNIT_BYTES).map_err(LearnError::from)?;
    let units = closed_units(&plan, files);
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, units.len().max(1));
    std::thread::scope(|scope| {
        let (mut outlets, mut threads) = (Vec::new(), Vec::new());
        for lane in 0..lanes {
            let (inlet, outlet) = bounded(PARCELS_AHEAD);
            let reader = UnitReader::new(Arc::clone(files), config.clone());
            let own = units.iter().skip(lane).step_by(lanes);
            let thread = std::thread::Builder::new()
                .name("score".into())
                .spawn_scoped(scope, move || run_lane(reader, own, model, &inlet))
                .map_err(|source| LearnError::System { what: "start a scoring thread", source })?;
            outlets.push(outlet);
            threads.push(thread);
        }
        let outcome = take_in_order(&outlets, units.len(), take);
        // Lanes that wait to deliver see that nobody listens any more.
        drop(outlets);
        let join = |thread: std::thread::ScopedJoinHandle<'_, u64>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let bad_lines = threads.into_iter().map(join).sum();
        outcome.map(|()| bad_lines)
    })
}

/// Reads and scores units until they end, fail, or nobody listens. Gives the bad lines skipped.
fn run_lane<'a>(
    mut reader: UnitReader,
    units: impl Iterator<Item = &'a UnitSource>,
    model: &LinearModel,
    parcels: &Sender<Result<Parcel, DataError>>,
) -> u64 {
    let (mut batch, mut weights) = (LocalBatch::default(), Vec::new());
    for unit in units {
        let mut begun = reader.begin_unit(unit);
        loop {
            let parcel = begun.and_then(|()| {
                let progress = reader.read_local(ROWS, &mut batch)?;
                Ok(Parcel { rows: model.score(&batch, &mut weights), is_last: progress.is_last })
            });
            let (failed, is_last) = (parcel.is_err(), parcel.as_ref().is_ok_and(|parcel| parcel.is_last));
            if parcels.send(parcel).is_err() || failed {
                return reader.bad_lines();
            }
            if is_last {
                break;
            }
            begun = Ok(());
        }
    }
    reader.bad_lines()
}

fn take_in_order<E: From<LearnError>>(
    outlets: &[Receiver<Result<Parcel, DataError>>],
    units: usize,
    mut take: impl FnMut(&[ScoredRow]) -> Result<(), E>,
) -> Result<(), E> {
    for unit in 0..units {
        // A lane that is gone before its units end has panicked, which its join tells.
        while let Ok(parcel) = outlets[unit % outlets.len()].recv() {
            let parcel = parcel.map_err(LearnError::from)?;
            take(&parcel.rows)?;
            if parcel.is_last {
                break;
            }
        }
    }
    Ok(())
}
