//! Which filters a table uses: its declaration, the same on every node, and its spelling on the
//! command line. The order of the filters is the code's affair; see [`crate::filter`].

use super::dtype::DType;
use super::filter_flags::FilterFlags;
use super::own_filter::OwnFilter;
use super::table_spec::{Consistency, Layout, TableSpec, UpdateFunction};
use crate::error::{Classify, ExitCode, Severity};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the command line may name, for messages.
const NAMES: &str = "key_cache, pack_keys, nonzero, snappy, fixed_point:8, fixed_point:16, bf16, random_skip:P, \
                     significant:THRESHOLD, kkt:BOUND, own:NAME[:NUMBER], changed[:THRESHOLD], \
                     own_pull:NAME[:NUMBER], none";

/// The filters of a table. Nothing is on by default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Filters {
    /// A key list travels once; afterwards its digest stands for it. Loses nothing.
    pub key_cache: bool,
    /// Key lists travel as packed differences. Loses nothing.
    pub pack_keys: bool,
    /// Numbers that are zero do not travel. Loses nothing.
    pub nonzero: bool,
    /// Blocks are compressed where a sample shrinks. Loses nothing.
    pub snappy: bool,
    /// Pushed numbers are rounded to fewer bits. The sender keeps what is cut off and adds it later.
    pub quantize: Option<Quantize>,
    /// The share of keys whose pushed values are dropped. These are lost.
    pub random_skip: Option<f32>,
    /// A key is pushed only once its sum of pushes is larger than this; until then the sender keeps it.
    pub significant: Option<f64>,
    /// A filter of the worker program decides which keys are pushed; the sender keeps the others.
    pub own: Option<OwnFilter>,
    /// Of a key list that the worker has pulled before, an answer tells only the keys whose values differ by
    /// more than this from what the worker has of them. With 0 nothing is lost.
    pub changed: Option<f64>,
    /// A filter of the server program decides what of such an answer is told.
    pub own_pull: Option<OwnFilter>,
}

/// How pushed numbers are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantize {
    /// Integers times a power of two for each block of numbers.
    FixedPoint(FixedPointBits),
    /// The upper half of a binary32.
    Bf16,
}

/// Bits of one integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FixedPointBits {
    /// From -127 to 127.
    Eight,
    /// From -32767 to 32767.
    Sixteen,
}

/// What is wrong with a table's filters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FiltersError {
    /// A name without meaning.
    #[error("unknown filter `{0}`: choose from {NAMES}, separated by commas")]
    Unknown(String),
    /// The same named twice, or two that exclude each other.
    #[error("filter `{0}` cannot stand beside `{1}`: name one of them, once")]
    Twice(String, &'static str),
    /// A filter that does not go with its table.
    #[error("table `{table}`: filter {filter}: {reason}")]
    Unfit {
        /// The table.
        table: String,
        /// The filter.
        filter: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Classify for FiltersError {
    fn severity(&self) -> Severity {
        Severity::Fatal
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Filters {
    /// Whether values are changed before they are sent.
    #[must_use]
    pub fn change_values(&self) -> bool {
        self.quantize.is_some() || self.random_skip.is_some() || self.hold_back()
    }

    /// Whether keys of a push may be kept by the sender, to be sent later.
    #[must_use]
    pub fn hold_back(&self) -> bool {
        self.significant.is_some() || self.own.is_some()
    }

    /// Whether shards and workers remember answers to pulls, so that later ones tell what has changed.
    #[must_use]
    pub fn remember_answers(&self) -> bool {
        self.changed.is_some() || self.own_pull.is_some()
    }

    /// Whether an answer may differ from what the servers hold.
    #[must_use]
    pub fn change_answers(&self) -> bool {
        self.own_pull.is_some() || self.changed.is_some_and(|threshold| threshold > 0.0)
    }

    /// Every bit that a frame of the table may carry.
    #[must_use]
    pub fn flags(&self) -> FilterFlags {
        let narrow = match self.quantize {
            None => FilterFlags::NONE,
            Some(Quantize::FixedPoint(FixedPointBits::Eight)) => FilterFlags::FIXED_POINT_8,
            Some(Quantize::FixedPoint(FixedPointBits::Sixteen)) => FilterFlags::FIXED_POINT_16,
            Some(Quantize::Bf16) => FilterFlags::BF16,
        };
        let switches = [
            (self.key_cache, FilterFlags::KEY_CACHE),
            (self.pack_keys, FilterFlags::PACKED_KEYS),
            (self.nonzero, FilterFlags::NONZERO),
            (self.snappy, FilterFlags::SNAPPY_KEYS | FilterFlags::SNAPPY_VALUES),
        ];
        switches.into_iter().filter(|(is_on, _)| *is_on).fold(narrow, |flags, (_, own)| flags | own)
    }

    /// Whether these filters go with the table.
    ///
    /// # Errors
    /// Names the table, the filter and the reason.
    pub fn check(&self, table: &TableSpec) -> Result<(), FiltersError> {
        let unfit = |(filter, reason): (&'static str, String)| FiltersError::Unfit {
            table: table.name.clone(),
            filter,
            reason,
        };
        self.check_rounding(table)
            .and_then(|()| self.check_holding(table))
            .and_then(|()| self.check_pulls(table))
            .map_err(unfit)
    }

    /// Those that change pushed numbers or drop them.
    fn check_rounding(&self, table: &TableSpec) -> Result<(), (&'static str, String)> {
        let assigns = matches!(table.update, UpdateFunction::Assign);
        if let Some(quantize) = self.quantize {
            if table.dtype != DType::F32 {
                return Err((quantize.name(), format!("it rounds f32, the table holds {}", table.dtype)));
            }
            if assigns {
                return unfit(
                    quantize.name(),
                    "what rounding cuts off is added to a later push, but pushes are assigned",
                );
            }
        }
        let solves_blocks = matches!(table.update, UpdateFunction::BlockProx(_));
        match self.random_skip {
            Some(share) if !(share > 0.0 && share < 1.0) => {
                Err(("random_skip", format!("the share {share} is not between 0 and 1")))
            }
            Some(_) if solves_blocks => unfit("random_skip", "a step on a block needs the gradients of all its keys"),
            Some(_) if assigns => unfit("random_skip", "a key that is skipped would be assigned zero"),
            _ => Ok(()),
        }
    }

    /// Those that hold keys of pushes back.
    fn check_holding(&self, table: &TableSpec) -> Result<(), (&'static str, String)> {
        if let Some(threshold) = self.significant {
            check_threshold("significant", threshold)?;
            if table.dtype == DType::Bf16 {
                return unfit("significant", "sums of what is held back would be rounded to bf16 each time: use f32");
            }
        }
        if self.own.is_some() {
            check_own("own", table.dtype)?;
        }
        let holding = if self.own.is_some() { "own" } else { "significant" };
        match table.update {
            UpdateFunction::Assign if self.hold_back() => {
                unfit(holding, "what is held back is added to a later push, but pushes are assigned")
            }
            UpdateFunction::BlockProx(_) if self.hold_back() => {
                unfit(holding, "a step on a block needs the gradients of all its keys; dbpg has a filter of its own")
            }
            _ => Ok(()),
        }
    }

    /// Those that leave out what a worker has of an answer.
    fn check_pulls(&self, table: &TableSpec) -> Result<(), (&'static str, String)> {
        if !self.remember_answers() {
            return Ok(());
        }
        let filter = if self.own_pull.is_some() { "own_pull" } else { "changed" };
        if let Some(threshold) = self.changed {
            check_threshold("changed", threshold)?;
        }
        if self.own_pull.is_some() {
            check_own("own_pull", table.dtype)?;
        }
        if table.layout == Layout::Dense {
            return unfit(
                filter,
                "answers are told apart by their key lists, which a dense table has not: make it sparse",
            );
        }
        if !self.key_cache || !self.nonzero {
            return unfit(
                filter,
                "answers are known by kept key lists, and zeros stand for what has not changed: name key_cache and nonzero beside it",
            );
        }
        if self.change_answers() && table.consistency == Consistency::Sequential {
            return unfit(
                filter,
                "answers of a sequential table depend on the data alone, but what a worker has of them on chance: use changed, without a threshold",
            );
        }
        if self.change_answers() && matches!(table.update, UpdateFunction::BlockProx(_)) {
            return unfit(filter, "a step on a block needs exact weights: use changed, without a threshold");
        }
        Ok(())
    }

    fn switch_on(&mut self, name: &str) -> Result<(), FiltersError> {
        let twice = |other| FiltersError::Twice(name.to_owned(), other);
        let (kind, argument) = name.split_once(':').map_or((name, None), |(kind, argument)| (kind, Some(argument)));
        let quantize = match (kind, argument) {
            ("key_cache", None) => return turn(&mut self.key_cache).map_err(|()| twice("key_cache")),
            ("pack_keys", None) => return turn(&mut self.pack_keys).map_err(|()| twice("pack_keys")),
            ("nonzero", None) => return turn(&mut self.nonzero).map_err(|()| twice("nonzero")),
            ("snappy", None) => return turn(&mut self.snappy).map_err(|()| twice("snappy")),
            ("fixed_point", Some("8")) => Quantize::FixedPoint(FixedPointBits::Eight),
            ("fixed_point", Some("16")) => Quantize::FixedPoint(FixedPointBits::Sixteen),
            ("bf16", None) => Quantize::Bf16,
            ("random_skip", Some(share)) => {
                let share = share.parse().map_err(|_| FiltersError::Unknown(name.to_owned()))?;
                return self.random_skip.replace(share).map_or(Ok(()), |_| Err(twice("random_skip")));
            }
            ("significant", Some(threshold)) => {
                let threshold = threshold.parse().map_err(|_| FiltersError::Unknown(name.to_owned()))?;
                return self.significant.replace(threshold).map_or(Ok(()), |_| Err(twice("significant")));
            }
            ("changed", threshold) => {
                let threshold = threshold.unwrap_or("0").parse().map_err(|_| FiltersError::Unknown(name.to_owned()))?;
                return self.changed.replace(threshold).map_or(Ok(()), |_| Err(twice("changed")));
            }
            ("own_pull", Some(own)) => {
                let own = OwnFilter::parse("own", Some(own)).ok_or_else(|| FiltersError::Unknown(name.to_owned()))?;
                return self.own_pull.replace(own).map_or(Ok(()), |_| Err(twice("own_pull")));
            }
            _ => {
                let own = OwnFilter::parse(kind, argument).ok_or_else(|| FiltersError::Unknown(name.to_owned()))?;
                return self.own.replace(own).map_or(Ok(()), |_| Err(twice("another filter of the program")));
            }
        };
        self.quantize.replace(quantize).map_or(Ok(()), |other| Err(twice(other.name())))
    }
}

fn unfit(filter: &'static str, reason: &str) -> Result<(), (&'static str, String)> {
    Err((filter, reason.to_owned()))
}

fn check_threshold(filter: &'static str, threshold: f64) -> Result<(), (&'static str, String)> {
    match threshold >= 0.0 && threshold.is_finite() {
        true => Ok(()),
        false => Err((filter, format!("the threshold {threshold} is no number of 0 or more"))),
    }
}

fn check_own(filter: &'static str, dtype: DType) -> Result<(), (&'static str, String)> {
    match dtype {
        DType::F32 | DType::F64 => Ok(()),
        _ => Err((filter, format!("it is given f32 or f64, the table holds {dtype}"))),
    }
}

fn turn(switch: &mut bool) -> Result<(), ()> {
    if std::mem::replace(switch, true) { Err(()) } else { Ok(()) }
}

impl Quantize {
    const fn name(self) -> &'static str {
        match self {
            Quantize::FixedPoint(FixedPointBits::Eight) => "fixed_point:8",
            Quantize::FixedPoint(FixedPointBits::Sixteen) => "fixed_point:16",
            Quantize::Bf16 => "bf16",
        }
    }
}

impl FromStr for Filters {
    type Err = FiltersError;

    fn from_str(text: &str) -> Result<Filters, FiltersError> {
        let mut filters = Filters::default();
        if text.trim() != "none" {
            text.split(',').try_for_each(|name| filters.switch_on(name.trim()))?;
        }
        Ok(filters)
    }
}

impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switches = [
            (self.key_cache, "key_cache"),
            (self.pack_keys, "pack_keys"),
            (self.nonzero, "nonzero"),
            (self.snappy, "snappy"),
        ];
        let mut names: Vec<String> =
            switches.iter().filter(|(is_on, _)| *is_on).map(|(_, name)| (*name).to_owned()).collect();
        names.extend(self.own.map(|own| own.to_string()));
        names.extend(self.significant.map(|threshold| format!("significant:{threshold}")));
        names.extend(self.quantize.map(|quantize| quantize.name().to_owned()));
        names.extend(self.random_skip.map(|share| format!("random_skip:{share}")));
        names.extend(self.own_pull.map(|own| own.spelled("own_pull")));
        names.extend(self.changed.map(|threshold| match threshold {
            0.0 => "changed".to_owned(),
            threshold => format!("changed:{threshold}"),
        }));
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(",")) }
    }
}

#[cfg(test)]
mod tests;
