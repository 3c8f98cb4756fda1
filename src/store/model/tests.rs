//! Model files: the same bytes however the model is cut, and nothing believed that is read.

use super::*;
use crate::id::TableId;
use crate::keyspace::KeyRange;
use crate::memory::Pool;
use crate::store::{StoreError, Table};
use crate::wire::{Adam, Bf16, Consistency, DType, Filters, Ftrl, Layout, TableSpec, UpdateFunction};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Written once by version 1; the bytes that every later release must be able to read.
const GOLDEN: &[u8] = include_bytes!("../../../tests/data/model_v1.parashard");

const KEY_END: u64 = 1 << 40;

fn specs() -> [TableSpec; 2] {
    let ftrl = UpdateFunction::Ftrl(Ftrl { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 0.5 });
    let spec = |id, name: &str, dtype, width, update| TableSpec {
        id: TableId(id),
        name: name.to_owned(),
        dtype,
        width,
        key_end: KEY_END,
        layout: Layout::Sparse,
        update,
        consistency: Consistency::Eventual,
        filters: Filters::default(),
    };
    [spec(0, "weights", DType::F32, 1, ftrl), spec(1, "counts", DType::I64, 3, UpdateFunction::Sum)]
}

fn meta() -> ModelMeta {
    let metadata = [("algorithm", "ftrl"), ("bits", "20")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    ModelMeta { tables: specs().iter().map(TableMeta::of).collect(), metadata: metadata.to_vec() }
}

/// Pushes the same to shards that own `cuts.len() + 1` neighbouring ranges.
fn shards(spec: &TableSpec, cuts: &[u64]) -> Vec<(KeyRange, Table)> {
    let begins = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(KEY_END));
    let keys: Vec<u64> = (0..400u64).map(|index| index * 331).filter(|key| key % 5 != 0).collect();
    let shard = |range: KeyRange| {
        let mut table = Table::new(spec, &[range], &Pool::unbounded()).unwrap();
        let own = &keys[range.slice_of(&keys)];
        let values: Vec<u8> = match spec.dtype {
            DType::F32 => own.iter().flat_map(|key| ((key % 7) as f32 * 0.25 - 0.75).to_le_bytes()).collect(),
            _ => own
                .iter()
                .flat_map(|key| [*key as i64 % 3, 0, -(*key as i64 % 2)].map(i64::to_le_bytes))
                .flatten()
                .collect(),
        };
        table.check_push(range, Some(own), &values).unwrap();
        table.apply(range, range, Some(own), &values);
        (range, table)
    };
    begins.zip(ends).map(|(begin, end)| shard(KeyRange::new(begin, end))).collect()
}

fn write(tables: &[Vec<(KeyRange, Table)>], with_state: bool) -> Vec<u8> {
    write_as(&meta(), tables, with_state)
}

fn write_as(meta: &ModelMeta, tables: &[Vec<(KeyRange, Table)>], with_state: bool) -> Vec<u8> {
    let parts =
        || tables.iter().enumerate().flat_map(|(index, shards)| shards.iter().map(move |shard| (index as u32, shard)));
    let part = |(table, (range, shard)): (u32, &(KeyRange, Table))| {
        let info = shard.section_info(*range, with_state);
        (Part { table, range: *range, key_count: info.key_count }, info.bytes)
    };
    let (announced, bytes): (Vec<Part>, Vec<u64>) = parts().map(part).unzip();
    let layout = ModelLayout::new(meta, &announced, with_state).unwrap();
    let mut file = vec![0; layout.file_bytes() as usize];
    let mut checksums = Vec::new();
    for (((_, (range, shard)), place), announced) in parts().zip(layout.places()).zip(bytes) {
        let mut written = 0;
        let mut sink = |kind, offset: u64, bytes: &[u8]| {
            let begin = (place.offsets[kind as usize] + offset) as usize;
            file[begin..begin + bytes.len()].copy_from_slice(bytes);
            written += bytes.len() as u64;
            Ok(())
        };
        checksums.push(shard.write_part(*range, with_state, &mut sink).unwrap());
        assert_eq!(written, announced);
    }
    let header = layout.header_bytes(&checksums).unwrap();
    file[..header.len()].copy_from_slice(&header);
    file
}

fn model(cuts: &[u64], with_state: bool) -> Vec<u8> {
    write(&specs().map(|spec| shards(&spec, cuts)), with_state)
}

/// The same bytes at an address that fits every number.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    words
}

fn with_view<R>(bytes: &[u8], look: impl FnOnce(Result<ModelView<'_>, StoreError>) -> R) -> R {
    let words = aligned(bytes);
    look(ModelView::open(&words.as_bytes()[..bytes.len()]))
}

fn refusal(bytes: &[u8]) -> String {
    with_view(bytes, |view| view.and_then(|view| view.verify()).unwrap_err().to_string())
}

#[test]
fn the_bytes_do_not_depend_on_the_shards() {
    for with_state in [false, true] {
        let whole = model(&[], with_state);
        assert_eq!(model(&[1 << 16], with_state), whole);
        assert_eq!(model(&[5, 700, 331 * 64, 40_000, 40_001, 90_000, KEY_END - 1], with_state), whole);
        with_view(&whole, |view| view.unwrap().verify().unwrap());
    }
}

#[test]
fn the_golden_file_of_version_1_is_read_and_still_written() {
    assert!(GOLDEN == model(&[33_000], true), "version 1 must stay as it was");
    with_view(GOLDEN, |view| {
        let view = view.unwrap();
        view.verify().unwrap();
        assert_eq!((view.version(), view.meta(), view.meta().value("bits")), (1, &meta(), Some("20")));
        assert_eq!((view.sections().len(), view.key_count(0), view.key_count(1)), (2, 320, 320));
        let weights = view.sections()[0];
        assert_eq!((&weights.keys[..3], weights.numbers::<f32>().unwrap().len()), (&[331, 662, 993][..], 320));
        assert_eq!(weights.state.map(<[u8]>::len), Some(320 * 8));
    });
}

#[test]
fn rows_of_zeros_are_left_out_without_state() {
    let zeros = |with_state| {
        with_view(&model(&[], with_state), |view| {
            let view = view.unwrap();
            let numbers = view.sections()[0].numbers::<f32>().unwrap().to_vec();
            numbers.iter().filter(|&&number| number == 0.0).count()
        })
    };
    assert_eq!(zeros(false), 0);
    assert!(zeros(true) > 0);
}

#[test]
fn a_lookup_finds_what_is_there() {
    with_view(&model(&[], false), |view| {
        let view = view.unwrap();
        let keys: Vec<u64> = (0..200_000).step_by(7).collect();
        let mut found = Vec::new();
        view.lookup(0, &keys, |index, value| found.push((keys[index], value.to_vec())));
        let section = view.sections()[0];
        let rows = section.keys.iter().zip(section.values.chunks(4));
        let expected: Vec<_> =
            rows.filter(|(key, _)| *key % 7 == 0).map(|(&key, value)| (key, value.to_vec())).collect();
        assert_eq!(found, expected);
    });
}

#[test]
fn a_loaded_table_goes_on_where_the_saved_one_was() {
    let [spec, _] = specs();
    let range = KeyRange::new(0, KEY_END);
    let (_, mut saved) = shards(&spec, &[]).remove(0);
    let words = aligned(&write(&[shards(&spec, &[]), Vec::new()], true));
    let bytes = words.as_bytes();
    let view = ModelView::open(&bytes[..bytes.len()]).unwrap();
    let section = view.sections()[0];
    let pull = |table: &Table| {
        let mut out = vec![0u8; section.values.len()];
        table.gather(range, Some(section.keys), &mut out);
        out
    };
    let mut loaded = Table::new(&spec, &[range], &Pool::unbounded()).unwrap();
    loaded.load(section.keys, section.values, section.state).unwrap();
    assert_eq!(pull(&loaded), section.values);
    let gradients = vec![0.125f32; section.keys.len()];
    for table in [&mut saved, &mut loaded] {
        table.apply(range, range, Some(section.keys), gradients.as_bytes());
    }
    assert_eq!(pull(&loaded), pull(&saved));

    let mut warm = Table::new(&spec, &[range], &Pool::unbounded()).unwrap();
    warm.load(section.keys, section.values, None).unwrap();
    assert_eq!(pull(&warm), section.values);
    warm.apply(range, range, Some(section.keys), vec![1e-12f32; section.keys.len()].as_bytes());
    let (after, before) = (pull(&warm), section.numbers::<f32>().unwrap());
    let drift = after
        .chunks(4)
        .zip(before)
        .map(|(after, before)| (f32::from_le_bytes(after.try_into().unwrap()) - before).abs());
    assert!(drift.fold(0.0, f32::max) < 1e-6);
    assert!(matches!(loaded.load(&[3, 3], &[0; 8], None), Err(StoreError::Unordered { .. })));
    assert!(matches!(loaded.load(&[KEY_END], &[0; 4], None), Err(StoreError::NotOwned { .. })));
    assert!(matches!(loaded.load(&[3], &[0; 8], None), Err(StoreError::ValueBytes { .. })));
}

#[test]
fn a_bf16_model_keeps_its_state_in_f32() {
    let update = UpdateFunction::Adam(Adam { rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    let spec = TableSpec { dtype: DType::Bf16, width: 3, update, ..specs()[0].clone() };
    let range = KeyRange::new(0, KEY_END);
    let keys = [4, 9, 1 << 39];
    let gradients = [0.5, -0.25, 0.0, 2.0, 1.0, 0.125, -4.0, 0.5, 1.0].map(Bf16::from);
    let mut saved = Table::new(&spec, &[range], &Pool::unbounded()).unwrap();
    saved.apply(range, range, Some(&keys), gradients.as_bytes());
    assert_eq!(saved.section_info(range, true).bytes, 3 * (8 + 6 + 48));
    let meta = ModelMeta { tables: vec![TableMeta::of(&spec)], metadata: Vec::new() };
    let file = write_as(&meta, &[vec![(range, saved)]], true);
    with_view(&file, |view| {
        let view = view.unwrap();
        view.verify().unwrap();
        let section = view.sections()[0];
        assert_eq!((section.values.len(), section.state.map(<[u8]>::len)), (3 * 6, Some(3 * 48)));
        let mut loaded = Table::new(&spec, &[range], &Pool::unbounded()).unwrap();
        loaded.load(section.keys, section.values, section.state).unwrap();
        assert!(write_as(&meta, &[vec![(range, loaded)]], true) == file, "the loaded table is the saved one");
    });
}

#[test]
fn a_failing_sink_ends_the_writing() {
    let (range, table) = shards(&specs()[0], &[]).remove(0);
    let mut calls = 0;
    let mut sink = |_, _, _: &[u8]| {
        calls += 1;
        Err(std::io::Error::other("disk full"))
    };
    assert_eq!(table.write_part(range, true, &mut sink).unwrap_err().to_string(), "disk full");
    assert_eq!(calls, 1);
}

#[test]
fn a_damaged_file_is_refused_by_name() {
    assert_eq!(refusal(b"PSHD"), "not a model file: it is too short");
    assert_eq!(refusal(&[7; 100]), "not a model file: its first bytes are not PSHDMODL");
    let mut newer = GOLDEN.to_vec();
    newer[8] = 7;
    assert_eq!(refusal(&newer), "model file version 7 is newer than this program (reads up to 1)");
    assert_eq!(refusal(&GOLDEN[..40]), "damaged model file: it ends inside its header");
    let cut = &GOLDEN[..GOLDEN.len() - 1];
    assert_eq!(refusal(cut), format!("damaged model file: it has {} bytes instead of {}", cut.len(), GOLDEN.len()));
    let mut header = GOLDEN.to_vec();
    header[50] ^= 1;
    assert_eq!(refusal(&header), "damaged model file: its header has a wrong checksum");
    let mut values = GOLDEN.to_vec();
    let last = values.len() - 1;
    values[last] ^= 1;
    assert_eq!(refusal(&values), "damaged model file: values of table `counts` have a wrong checksum");
}

#[test]
fn a_name_that_would_break_a_message_in_two_is_refused() {
    let place = GOLDEN.windows(6).position(|bytes| bytes == b"counts").expect("a table's name") + 3;
    let mut broken = GOLDEN.to_vec();
    broken[place] = b'\n';
    let header = u32::from_le_bytes(broken[12..16].try_into().unwrap());
    let sections = u32::from_le_bytes(broken[16..20].try_into().unwrap());
    let header = directory::header_bytes(u64::from(header), u64::from(sections)).expect("a size");
    let crc32 = directory::header_crc32(&broken[..header as usize]);
    broken[20..24].copy_from_slice(&crc32.to_le_bytes());
    assert_eq!(refusal(&broken), "damaged model file: its descriptor holds a name with a control character");
}

proptest! {
    #[test]
    fn a_header_of_garbage_never_panics(places in prop::collection::vec((0usize..400, any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = GOLDEN.to_vec();
        for (place, byte) in places {
            bytes[place] = byte;
        }
        let sum = |bytes: &[u8]| {
            let prefix = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as u64;
            let sections = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as u64;
            let header = directory::header_bytes(prefix, sections).filter(|&end| end <= bytes.len() as u64)?;
            Some(directory::header_crc32(&bytes[..header as usize]))
        };
        if let Some(crc32) = sum(&bytes) {
            bytes[20..24].copy_from_slice(&crc32.to_le_bytes());
        }
        let check = |bytes: &[u8]| with_view(bytes, |view| {
            if let Ok(view) = view {
                let _ = view.verify();
                view.lookup(0, &[1, 331, 5000, KEY_END], |_, _| {});
            }
        });
        check(&bytes);
        check(&bytes[..cut.index(bytes.len())]);
    }
}
