//! `parashard model info`

use crate::cli::output::print;
use crate::client::ModelFile;
use crate::error::Failure;
use crate::learn::summary::{aligned, grouped};
use crate::store::{ModelView, TableMeta};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `parashard model info`.
#[derive(Debug, Clone, Args)]
pub(super) struct InfoArguments {
    /// The model file.
    #[arg(value_name = "FILE")]
    model: PathBuf,
}

/// Verifies the model and prints what is in it.
pub(in crate::cli) fn run(arguments: &InfoArguments) -> Result<u8, Failure> {
    let file = ModelFile::open(&arguments.model)?;
    let view = file.view()?;
    let mut rows = vec![
        ("file".to_owned(), arguments.model.display().to_string()),
        ("version".to_owned(), view.version().to_string()),
        ("bytes".to_owned(), grouped(file.bytes())),
        ("checksums".to_owned(), format!("ok (header {:08x})", view.header_crc32())),
        ("state".to_owned(), if has_state(&view) { "with" } else { "without" }.to_owned()),
    ];
    rows.extend(view.meta().metadata.iter().map(|(name, value)| (format!("metadata {name}"), value.clone())));
    for (index, table) in view.meta().tables.iter().enumerate() {
        rows.push((format!("table {}", table.name), shape(table)));
        rows.push(("  keys".to_owned(), grouped(view.key_count(index))));
        rows.push(("  non-zero".to_owned(), grouped(nonzero_count(&view, index))));
    }
    print(&aligned(&rows))
}

fn has_state(view: &ModelView<'_>) -> bool {
    view.sections().iter().any(|section| section.state.is_some())
}

fn shape(table: &TableMeta) -> String {
    let TableMeta { width, dtype, key_end, layout, update, .. } = table;
    format!("{width} x {dtype} a key, keys below {}, {layout}, {update}", grouped(*key_end))
}

/// Keys with any value that is not zero; the sign of a zero does not count.
fn nonzero_count(view: &ModelView<'_>, table: usize) -> u64 {
    let meta = &view.meta().tables[table];
    let number_bytes = meta.dtype.bytes();
    let is_float = !matches!(meta.dtype, crate::node::DType::U32 | crate::node::DType::I64);
    let is_zero = |number: &[u8]| match number.split_last() {
        Some((&high, low)) => low.iter().all(|&byte| byte == 0) && (high == 0 || (is_float && high == 0x80)),
        None => true,
    };
    let row_bytes = number_bytes * usize::from(meta.width);
    let sections = view.sections().iter().filter(|section| section.table == table);
    let rows = sections.flat_map(|section| section.values.chunks_exact(row_bytes.max(1)));
    rows.filter(|row| !row.chunks_exact(number_bytes).all(is_zero)).count() as u64
}
