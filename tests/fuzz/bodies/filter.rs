//! Filtered blocks.

use parashard::filter::Chain;
use parashard::keyspace::KeyRange;
use parashard::memory::Pool;
use parashard::wire::{DType, FilterFlags, Filters};
use std::sync::Arc;

/// What the bytes choose before the block: flags, dtype, keys in the range, how many keys or values.
const CHOICE_BYTES: usize = 16;
const DTYPES: [DType; 5] = [DType::F32, DType::F64, DType::Bf16, DType::U32, DType::I64];

/// Decodes a key block and a value block; what can be decoded is encoded and decoded again.
pub(crate) fn filter(data: &[u8]) {
    let Some((choice, block)) = data.split_first_chunk::<CHOICE_BYTES>() else { return };
    let flags = FilterFlags(u16::from(choice[0]));
    let dtype = DTYPES[usize::from(choice[1]) % DTYPES.len()];
    let count = usize::from(u16::from_le_bytes([choice[2], choice[3]])) * (1 + usize::from(choice[4] & 7));
    let span = u64::from_le_bytes([choice[8], choice[9], choice[10], choice[11], choice[12], choice[13], 0, 0]);
    let begin = u64::from(choice[5]) << (8 * (choice[6] & 7));
    let range = KeyRange::new(begin, begin.saturating_add(span << (choice[14] & 15)));

    let pool = Pool::unbounded();
    let mut aligned = pool.block(block.len().max(1));
    aligned[..block.len()].copy_from_slice(block);
    let block = &aligned[..block.len()];
    let all: Filters = "pack_keys,nonzero,snappy,fixed_point:8".parse().expect("good names");
    let chain = || Chain::new(&all, dtype);
    keys(&pool, &mut chain(), &mut chain(), flags, range, count, block);
    values(&pool, &mut chain(), &mut chain(), flags, count * dtype.bytes(), block);
}

fn keys(
    pool: &Arc<Pool>,
    chain: &mut Chain,
    other: &mut Chain,
    flags: FilterFlags,
    range: KeyRange,
    count: usize,
    block: &[u8],
) {
    let Ok(unpacked) = chain.keys.decode(pool, flags, range, count, block) else { return };
    let keys = unpacked.keys();
    assert_eq!(keys.len(), count);
    let ascend = keys.windows(2).all(|pair| pair[0] < pair[1]) && keys.iter().all(|&key| range.contains(key));
    assert!(ascend || !flags.has(FilterFlags::PACKED_KEYS), "packed keys out of order or range");
    if let (true, Some((again, flags))) = (ascend, other.keys.encode(pool, range, keys)) {
        assert!(again.len() < count * 8 && again.len().is_multiple_of(8));
        let unpacked = other.keys.decode(pool, flags, range, count, &again).expect("as encoded");
        assert_eq!(unpacked.keys(), keys);
    }
}

fn values(pool: &Arc<Pool>, chain: &mut Chain, other: &mut Chain, flags: FilterFlags, bytes: usize, block: &[u8]) {
    let Ok(values) = chain.values.decode(pool, flags, bytes, block) else { return };
    assert_eq!(values.len(), bytes);
    if let Some((again, flags)) = other.values.encode(pool, &values) {
        assert!(again.len() < bytes);
        let unpacked = other.values.decode(pool, flags, bytes, &again).expect("as encoded");
        assert_eq!(*unpacked, *values);
    }
}
