//! What a model file says of its tables.

use crate::store::saved::SavedForm;
use crate::store::update::state_numbers;
use crate::wire::{DType, Layout, TableSpec, UpdateFunction};
use serde::{Deserialize, Serialize};

/// One table as the file describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableMeta {
    /// Name.
    pub name: String,
    /// Type of each number.
    pub dtype: DType,
    /// Numbers per key.
    pub width: u16,
    /// Keys are `[0, key_end)`.
    pub key_end: u64,
    /// With or without a key array in memory; the file always has one.
    pub layout: Layout,
    /// What made the values.
    pub update: UpdateFunction,
}

impl TableMeta {
    /// What the file says of a job's table.
    #[must_use]
    pub fn of(spec: &TableSpec) -> TableMeta {
        let form = SavedForm::of(spec);
        TableMeta {
            name: spec.name.clone(),
            dtype: form.dtype,
            width: form.width,
            key_end: spec.key_end,
            layout: spec.layout,
            update: spec.update,
        }
    }

    /// State numbers for each number of a value, where the file has state; their type is the dtype's
    /// [accumulator](DType::accumulator).
    #[must_use]
    pub fn state_numbers(&self) -> usize {
        match self.update {
            UpdateFunction::BlockProx(_) => 0,
            update => state_numbers(update),
        }
    }

    /// Bytes of one key in each array of a section.
    pub(super) fn row_bytes(&self, with_state: bool) -> [u64; 3] {
        let (width, state_numbers) = (u64::from(self.width), if with_state { self.state_numbers() as u64 } else { 0 });
        let state_number_bytes = self.dtype.accumulator().bytes() as u64;
        [8, width * self.dtype.bytes() as u64, width * state_numbers * state_number_bytes]
    }
}

/// Everything in a model file but the numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelMeta {
    /// The tables, by index.
    pub tables: Vec<TableMeta>,
    /// What the learning algorithm wants to remember, in its own words and order.
    pub metadata: Vec<(String, String)>,
}

impl ModelMeta {
    /// Whether every name fits one line of a terminal, as messages and listings print them.
    pub(super) fn is_printable(&self) -> bool {
        let tables = self.tables.iter().map(|table| &table.name);
        let entries = self.metadata.iter().flat_map(|(name, value)| [name, value]);
        !tables.chain(entries).any(|text| text.contains(char::is_control))
    }

    /// The value of the first metadata entry with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}
