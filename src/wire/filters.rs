//! Which filters a table uses: its declaration, the same on every node, and its spelling on the
//! command line. The order of the filters is the code's affair; see [`crate::filter`].

use super::dtype::DType;
use super::filter_flags::FilterFlags;
use super::own_filter::OwnFilter;
use super::table_spec::{TableSpec, UpdateFunction};
use crate::error::{Classify, ExitCode, Severity};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the command line may name, for messages.
const NAMES: &str = "key_cache, pack_keys, nonzero, snappy, fixed_point:8, fixed_point:16, bf16, random_skip:P, \
                     significant:THRESHOLD, kkt:BOUND, own:NAME[:NUMBER], none";

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
        let unfit = |filter, reason: &str| {
            Err(FiltersError::Unfit { table: table.name.clone(), filter, reason: reason.to_owned() })
        };
        let assigns = matches!(table.update, UpdateFunction::Assign);
        if let Some(quantize) = self.quantize {
            if table.dtype != DType::F32 {
                return unfit(quantize.name(), &format!("it rounds f32, the table holds {}", table.dtype));
            }
            if assigns {
                return unfit(
                    quantize.name(),
                    "what rounding cuts off is added to a later push, but pushes are assigned",
                );
            }
        }
        if let Some(threshold) = self.significant {
            if !(threshold >= 0.0 && threshold.is_finite()) {
                return unfit("significant", &format!("the threshold {threshold} is no number of 0 or more"));
            }
            if table.dtype == DType::Bf16 {
                return unfit("significant", "sums of what is held back would be rounded to bf16 each time: use f32");
            }
        }
        if self.own.is_some() && !matches!(table.dtype, DType::F32 | DType::F64) {
            return unfit("own", &format!("it is given f32 or f64, the table holds {}", table.dtype));
        }
        let holding = if self.own.is_some() { "own" } else { "significant" };
        if self.hold_back() && assigns {
            return unfit(holding, "what is held back is added to a later push, but pushes are assigned");
        }
        let solves_blocks = matches!(table.update, UpdateFunction::BlockProx(_));
        if self.hold_back() && solves_blocks {
            return unfit(
                holding,
                "a step on a block needs the gradients of all its keys; dbpg has a filter of its own",
            );
        }
        match self.random_skip {
            Some(share) if !(share > 0.0 && share < 1.0) => {
                unfit("random_skip", &format!("the share {share} is not between 0 and 1"))
            }
            Some(_) if solves_blocks => unfit("random_skip", "a step on a block needs the gradients of all its keys"),
            Some(_) if assigns => unfit("random_skip", "a key that is skipped would be assigned zero"),
            _ => Ok(()),
        }
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
            _ => {
                let own = OwnFilter::parse(kind, argument).ok_or_else(|| FiltersError::Unknown(name.to_owned()))?;
                return self.own.replace(own).map_or(Ok(()), |_| Err(twice("another filter of the program")));
            }
        };
        self.quantize.replace(quantize).map_or(Ok(()), |other| Err(twice(other.name())))
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
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table_spec::{BlockProx, Consistency, Layout};
    use super::*;
    use crate::id::TableId;

    fn table(dtype: DType, update: UpdateFunction) -> TableSpec {
        TableSpec {
            id: TableId(0),
            name: "weights".to_owned(),
            dtype,
            width: 1,
            key_end: 100,
            layout: Layout::Sparse,
            update,
            consistency: Consistency::Eventual,
            filters: Filters::default(),
        }
    }

    #[test]
    fn what_is_displayed_can_be_typed_in_any_order() {
        for text in [
            "none",
            "key_cache,pack_keys,nonzero,snappy,fixed_point:8,random_skip:0.1",
            "bf16",
            "fixed_point:16",
            "kkt:0.5,significant:0.25,bf16",
            "own:mine",
            "own:mine:-3",
            "significant:0",
        ] {
            assert_eq!(text.parse::<Filters>().expect("good names").to_string(), text);
        }
        let typed: Filters =
            "snappy, random_skip:0.1, fixed_point:8,nonzero ,pack_keys,key_cache".parse().expect("good names");
        assert_eq!(typed.to_string(), "key_cache,pack_keys,nonzero,snappy,fixed_point:8,random_skip:0.1");
    }

    #[test]
    fn a_bad_name_is_told_the_good_ones() {
        for name in [
            "gzip",
            "",
            "fixed_point",
            "fixed_point:9",
            "bf16:1",
            "random_skip",
            "random_skip:x",
            "snappy,none",
            "significant",
            "significant:x",
            "kkt",
            "kkt:x",
            "own",
            "own:",
            "own:a b",
            "own:a:x",
            "own:a_name_that_is_far_too_long_for_one",
        ] {
            let message = name.parse::<Filters>().expect_err(name).to_string();
            assert!(message.starts_with("unknown filter `") && message.contains(NAMES), "{message}");
        }
        let message = "bf16,fixed_point:8".parse::<Filters>().expect_err("both round").to_string();
        assert_eq!(message, "filter `fixed_point:8` cannot stand beside `bf16`: name one of them, once");
        assert!("snappy,snappy".parse::<Filters>().is_err());
    }

    #[test]
    fn filters_that_do_not_go_with_their_table_say_why() {
        let check = |text: &str, dtype, update| {
            let filters: Filters = text.parse().expect("good names");
            filters.check(&table(dtype, update)).map_err(|error| error.to_string())
        };
        let all = "key_cache,pack_keys,nonzero,snappy,fixed_point:8,random_skip:0.1";
        assert_eq!(check(all, DType::F32, UpdateFunction::Sum), Ok(()));
        assert_eq!(check("key_cache,pack_keys,nonzero,snappy", DType::I64, UpdateFunction::Assign), Ok(()));
        let of_doubles = check("bf16", DType::F64, UpdateFunction::Sum);
        assert_eq!(of_doubles, Err("table `weights`: filter bf16: it rounds f32, the table holds f64".to_owned()));
        assert!(check("fixed_point:16", DType::F32, UpdateFunction::Assign).is_err());
        assert!(check("random_skip:0.5", DType::F32, UpdateFunction::Assign).is_err());
        assert!(check("significant:0.5", DType::F32, UpdateFunction::Assign).is_err());
        assert!(check("kkt:0.5", DType::F64, UpdateFunction::Assign).is_err());
        let blocks = UpdateFunction::BlockProx(BlockProx { l1: 1.0, l2: 0.0 });
        for filters in ["kkt:0.5", "significant:0.5", "random_skip:0.5"] {
            assert!(check(filters, DType::F64, blocks).is_err(), "{filters}");
        }
        assert!(check("own:mine", DType::I64, UpdateFunction::Sum).is_err());
        assert!(check("significant:0.5", DType::Bf16, UpdateFunction::Sum).is_err());
        assert_eq!(check("significant:3", DType::I64, UpdateFunction::Sum), Ok(()));
        for threshold in ["-1", "NaN", "inf"] {
            assert!(
                check(&format!("significant:{threshold}"), DType::F32, UpdateFunction::Sum).is_err(),
                "{threshold}"
            );
        }
        for share in ["0", "1", "-0.5", "NaN", "inf"] {
            assert!(check(&format!("random_skip:{share}"), DType::F32, UpdateFunction::Sum).is_err(), "{share}");
        }
    }
}
