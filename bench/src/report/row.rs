//! One measured point.

use crate::sample::median;
use crate::timing::{Series, median_ratio};
use serde_json::{Map, Value, json};

/// One measured point: what every row has, and fields of its own.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Keys, elements or bytes of one operation.
    pub(crate) size: u64,
    pub(crate) median: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// Of `median` and `p99`.
    pub(crate) unit: &'static str,
    pub(crate) rate: Option<f64>,
    pub(crate) rate_unit: &'static str,
    /// What the machine gives, in the unit of the rate, or of the median where it is a time.
    pub(crate) limit: Option<f64>,
    pub(crate) limit_name: &'static str,
    /// How much of the limit is reached: 1 is all of it.
    pub(crate) share_of_limit: Option<f64>,
    fields: Vec<(&'static str, Value)>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, size: u64) -> Row {
        Row {
            name: name.into(),
            size,
            median: None,
            p99: None,
            unit: "us",
            rate: None,
            rate_unit: "",
            limit: None,
            limit_name: "",
            share_of_limit: None,
            fields: Vec::new(),
        }
    }

    /// Sets a field of its own.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Row {
        self.fields.push((name, value.into()));
        self
    }

    /// Sets times and rate, and the share of a limit that was measured in the same runs and has the
    /// rate's unit. `amount` is what one operation moves, in units of the rate times a nanosecond.
    #[must_use]
    pub(crate) fn measured(
        mut self,
        series: &Series,
        amount: f64,
        rate_unit: &'static str,
        limit: Option<(&'static str, &[f64])>,
    ) -> Row {
        let rates = series.rates(amount);
        self.median = series.p50_ns().map(|ns| ns / 1e3);
        self.p99 = series.p99_ns().map(|ns| ns / 1e3);
        self.rate = median(&rates);
        self.rate_unit = rate_unit;
        if let Some((name, limits)) = limit {
            self.limit = median(limits);
            self.limit_name = name;
            self.share_of_limit = median_ratio(&rates, limits);
        }
        self
    }

    /// A field by its name, one of its own or one that every row has.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        let own = self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone());
        own.or_else(|| self.plain().into_iter().find(|(field, _)| *field == name).map(|(_, value)| value))
    }

    /// All fields in their order: what every row has, then its own.
    pub(crate) fn all(&self) -> Vec<(&'static str, Value)> {
        let mut all = self.plain();
        all.extend(self.fields.iter().cloned());
        all
    }

    pub(crate) fn to_object(&self) -> Map<String, Value> {
        self.all().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn plain(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("size", json!(self.size)),
            ("median", json!(self.median)),
            ("p99", json!(self.p99)),
            ("unit", json!(self.unit)),
            ("rate", json!(self.rate)),
            ("rate_unit", json!(self.rate_unit)),
            ("limit", json!(self.limit)),
            ("limit_name", json!(self.limit_name)),
            ("share_of_limit", json!(self.share_of_limit)),
        ]
    }
}
