//! A finished model, read from its file without a cluster.
//!
//! [`ModelFile`] is the mapped file and shows it whole, with any tables; [`Model`] is the usual case,
//! one table of single f32 numbers, and looks weights up. The whole file is read once when it is
//! opened, to verify its checksums; afterwards lookups go to the mapped arrays in place. A `Model`
//! keeps where each section lies in the file instead of views, so that it can own the map.
//!
//! Invariant: the places of a `Model` were taken from verified views of the same map, so every
//! lookup stays inside it.

use super::ClientError;
use crate::keyspace::KeyRange;
use crate::memory::MappedFile;
use crate::store::{ModelMeta, ModelView, Rows, SectionView, StoreError, TableMeta};
use crate::wire::DType;
use std::ops::Range;
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, IntoBytes};

/// A model file in memory.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    map: MappedFile,
}

impl ModelFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<ModelFile, ClientError> {
        let map = MappedFile::open(path).map_err(|source| ClientError::ModelRead { path: path.to_owned(), source })?;
        Ok(ModelFile { path: path.to_owned(), map })
    }

    /// The model in it; reads all of it to verify the checksums.
    ///
    /// # Errors
    /// When the file is no model, of a newer version, cut or damaged.
    pub fn view(&self) -> Result<ModelView<'_>, ClientError> {
        let view = ModelView::open(&self.map).map_err(|error| self.wrong(&error))?;
        view.verify().map_err(|error| self.wrong(&error))?;
        Ok(view)
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.map.len() as u64
    }

    fn wrong(&self, error: &StoreError) -> ClientError {
        let advice = match error {
            StoreError::Version { .. } => "use a newer release",
            StoreError::NotAModel(_) => "check the path of the model",
            _ => "take another copy of it, or train again",
        };
        ClientError::Model { path: self.path.clone(), reason: format!("{error}; {advice}") }
    }
}

/// A verified model of one f32 number a key.
#[derive(Debug)]
pub struct Model {
    file: ModelFile,
    version: u32,
    meta: ModelMeta,
    table: usize,
    sections: Vec<Place>,
}

/// Where one section of the weights lies in the file.
#[derive(Debug, Clone)]
struct Place {
    range: KeyRange,
    keys: Range<usize>,
    values: Range<usize>,
}

impl Model {
    /// Opens the table `table` of the model file at `path` and verifies the whole file.
    ///
    /// # Errors
    /// When the file cannot be read, is no model, damaged, of a newer version, or has no such table
    /// of one f32 number a key.
    pub fn open(path: &Path, table: &str) -> Result<Model, ClientError> {
        let file = ModelFile::open(path)?;
        let view = file.view()?;
        let (version, meta) = (view.version(), view.meta().clone());
        let wrong = |reason| ClientError::Model { path: path.to_owned(), reason };
        let index = weights_of(&meta, table).map_err(wrong)?;
        let own = view.sections().iter().filter(|section| section.table == index);
        let sections = own.map(|section| Place::of(section, &file.map)).collect();
        Ok(Model { version, meta, table: index, sections, file })
    }

    /// Where the model came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Version of the file's format.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the file says of the table.
    #[must_use]
    pub fn table(&self) -> &TableMeta {
        &self.meta.tables[self.table]
    }

    /// What the training program had remembered under this name, such as `algorithm`, `bits` or `bias`.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.meta.value(name)
    }

    /// Number of keys in the file.
    #[must_use]
    pub fn key_count(&self) -> u64 {
        self.sections.iter().map(|section| (section.keys.len() / size_of::<u64>()) as u64).sum()
    }

    /// Writes the weight of each of `keys`, which ascend, into `weights`; a key that the model does
    /// not have weighs 0.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn gather(&self, keys: &[u64], weights: &mut [f32]) {
        assert_eq!(keys.len(), weights.len(), "one weight a key");
        weights.fill(0.0);
        for section in &self.sections {
            let Some(rows) = section.rows(&self.file.map) else { continue };
            let wanted = section.range.slice_of(keys);
            let own = &mut weights[wanted.clone()];
            rows.lookup(&keys[wanted], |index, value| {
                if let Ok(weight) = f32::read_from_bytes(value) {
                    own[index] = weight;
                }
            });
        }
    }
}

impl Place {
    fn of(section: &SectionView<'_>, map: &[u8]) -> Place {
        Place {
            range: section.range,
            keys: place_in(map, section.keys.as_bytes()),
            values: place_in(map, section.values),
        }
    }

    fn rows<'a>(&self, map: &'a [u8]) -> Option<Rows<'a>> {
        let keys = <[u64]>::ref_from_bytes(&map[self.keys.clone()]).ok()?;
        Some(Rows { keys, values: &map[self.values.clone()], state: None })
    }
}

/// Where `part`, a slice of `whole`, begins and ends in it.
fn place_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let begin = part.as_ptr().addr() - whole.as_ptr().addr();
    begin..begin + part.len()
}

/// Index of the table, if it holds what [`Model`] can look up.
fn weights_of(meta: &ModelMeta, name: &str) -> Result<usize, String> {
    let Some(index) = meta.tables.iter().position(|table| table.name == name) else {
        let names: Vec<&str> = meta.tables.iter().map(|table| table.name.as_str()).collect();
        return Err(format!("the model has no table `{name}`, only {names:?}; use one that `parashard train` made"));
    };
    let table = &meta.tables[index];
    if (table.dtype, table.width) == (DType::F32, 1) {
        return Ok(index);
    }
    Err(format!(
        "table `{name}` holds {} x {} a key, this needs 1 x f32; use a model of single weights",
        table.width, table.dtype
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const GOLDEN: &[u8] = include_bytes!("../../tests/data/model_v1.parashard");

    fn with_file<R>(bytes: &[u8], look: impl FnOnce(&Path) -> R) -> R {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        look(file.path())
    }

    #[test]
    fn weights_are_found_and_missing_keys_weigh_nothing() {
        with_file(GOLDEN, |path| {
            let model = Model::open(path, "weights").unwrap();
            let keys: Vec<u64> = (0..200_000).step_by(7).chain([1 << 39, u64::MAX]).collect();
            let mut weights = vec![9.0; keys.len()];
            model.gather(&keys, &mut weights);
            let file = ModelFile::open(path).unwrap();
            let view = file.view().unwrap();
            let mut expected = vec![0.0; keys.len()];
            view.lookup(0, &keys, |index, value| expected[index] = f32::read_from_bytes(value).unwrap());
            assert_eq!(weights, expected);
            assert!(weights.iter().any(|&weight| weight != 0.0));
            assert_eq!((model.key_count(), model.metadata("bits")), (320, Some("20")));
            model.gather(&[], &mut []);
        });
    }

    #[test]
    fn another_kind_of_model_is_refused_by_name() {
        let refusal = |bytes: &[u8], table: &str| {
            with_file(bytes, |path| {
                let message = Model::open(path, table).unwrap_err().to_string();
                assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
                message
            })
        };
        assert!(refusal(GOLDEN, "counts").contains("table `counts` holds 3 x i64 a key, this needs 1 x f32"));
        assert!(refusal(GOLDEN, "other").contains("no table `other`"));
        assert!(refusal(b"", "weights").contains("not a model file"));
        assert!(refusal(&GOLDEN[..GOLDEN.len() - 1], "weights").contains("damaged model file: it has"));
        let mut newer = GOLDEN.to_vec();
        newer[8] = 9;
        assert!(refusal(&newer, "weights").contains("use a newer release"));
        assert!(
            Model::open(Path::new("/nowhere"), "weights").unwrap_err().to_string().contains("/nowhere: cannot be read")
        );
    }
}
