//! The kernels compiled for AVX-512 (F, BW, DQ, VL).

use super::chunk::{KeyChunk, LINE_KEYS, locate_with, match_lines_with};
use super::float::Float;
use super::packing::{self, GROUP, Gaps, WIDTH_WHOLE, WINDOW};
use super::rounding::{CodeBits, Scale};
use super::scalar;
use super::update::{AdagradRate, AdamRate, FtrlRate, ProxRate, SgdRate};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 (F, BW, DQ, VL): only [`Avx512::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The proof, where the processor has the instructions.
    pub(super) fn detect() -> Option<Avx512> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("bmi1");
        found.then_some(Avx512(()))
    }
}

macro_rules! instantiate {
    ($name:ident$([$size:ident])?$(<$number:ident>)?($($argument:ident: $kind:ty),*) $(-> $result:ty)?) => {
        impl Avx512 {
            pub(super) fn $name$(<const $size: usize>)?$(<$number: Float>)?(self, $($argument: $kind),*) $(-> $result)? {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn wide$(<const $size: usize>)?$(<$number: Float>)?($($argument: $kind),*) $(-> $result)? {
                    scalar::$name($($argument),*)
                }
                // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
                unsafe { wide($($argument),*) }
            }
        }
    };
}

instantiate!(sgd<F>(rate: &SgdRate<F>, w: &mut [F], g: &[F]));
instantiate!(prox<F>(rate: &ProxRate<F>, w: &mut [F], g: &[F]));
instantiate!(adagrad<F>(rate: &AdagradRate<F>, n: &mut [F], w: &mut [F], g: &[F]));
instantiate!(adam<F>(rate: &AdamRate<F>, state: [&mut [F]; 4], w: &mut [F], g: &[F]));
instantiate!(ftrl<F>(rate: &FtrlRate<F>, state: [&mut [F]; 2], w: &mut [F], g: &[F]));
instantiate!(widen_bf16(source: &[u16], target: &mut [f32]));
instantiate!(narrow_bf16(source: &[f32], target: &mut [u16]));
instantiate!(add_bf16(target: &mut [u16], source: &[f32]));
instantiate!(add_f32(target: &mut [f32], source: &[f32]));
instantiate!(add_f64(target: &mut [f64], source: &[f64]));
instantiate!(add_i64(target: &mut [i64], source: &[i64]));
instantiate!(add_u32(target: &mut [u32], source: &[u32]));
instantiate!(all_within_bf16(numbers: &[u16], largest: f32) -> bool);
instantiate!(all_within_f32(numbers: &[f32], largest: f32) -> bool);
instantiate!(all_within_f64(numbers: &[f64], largest: f64) -> bool);
instantiate!(merge_keys(own: &[u64], new: &[u64], keys: &mut [u64], sources: &mut [u32]) -> usize);
instantiate!(strictly_ascending(keys: &[u64]) -> bool);
instantiate!(count_nonzero[N](numbers: &[[u8; N]]) -> usize);
instantiate!(largest_sum(values: &[f32], residual: &[f32]) -> f32);
instantiate!(round_to_scale(scale: Scale, bits: CodeBits, values: &mut [f32], residual: &mut [f32]));
instantiate!(round_to_halves(values: &mut [f32], residual: &mut [f32]));
instantiate!(exact_codes[N](bits: CodeBits, values: &[[u8; 4]], codes: &mut [[u8; N]]) -> Option<(usize, Scale)>);
instantiate!(decode_codes[N](scale: Scale, codes: &[[u8; N]], values: &mut [[u8; 4]]));
instantiate!(upper_halves(values: &[[u8; 4]], halves: &mut [[u8; 2]]) -> bool);
instantiate!(widen_halves(halves: &[[u8; 2]], values: &mut [[u8; 4]]));

/// Compares eight keys of each line at once.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn match_two(line: &[u64; LINE_KEYS], next: &[u64; LINE_KEYS], key: u64) -> u32 {
    let wanted = _mm512_set1_epi64(key.cast_signed());
    // SAFETY: both are references to eight keys, as many as a register holds.
    let (line, next) = unsafe { (_mm512_loadu_si512(line.as_ptr().cast()), _mm512_loadu_si512(next.as_ptr().cast())) };
    let (line, next) = (_mm512_cmpeq_epi64_mask(line, wanted), _mm512_cmpeq_epi64_mask(next, wanted));
    u32::from(line) | u32::from(next) << LINE_KEYS
}

impl Avx512 {
    /// As the oracle, with one comparison for eight keys.
    pub(super) fn locate(self, chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1")]
        fn wide(chunk: &KeyChunk<'_>, keys: &[u64], places: &mut [u32]) -> usize {
            locate_with(chunk, keys, places, |line, next, key| match_two(line, next, key))
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(chunk, keys, places) }
    }

    /// As the oracle, with one comparison for eight keys.
    pub(super) fn match_lines(self, lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1")]
        fn wide(lines: &[[&[u64; LINE_KEYS]; 2]], keys: &[u64], lanes: &mut [u8]) {
            match_lines_with(lines, keys, lanes, |line, next, key| match_two(line, next, key));
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(lines, keys, lanes) }
    }
}

impl Avx512 {
    /// As the oracle, eight numbers at a time.
    pub(super) fn pack_keys(self, base: u64, keys: &[u64], target: &mut [u8]) -> usize {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn wide(base: u64, keys: &[u64], target: &mut [u8]) -> usize {
            packing::pack_with(base, keys, target, |gaps, width, target| pack_block(gaps, width, target))
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(base, keys, target) }
    }

    /// As the oracle, eight keys at a time.
    pub(super) fn unpack_keys(self, base: u64, packed: &[u8], keys: &mut [u64]) -> Option<usize> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn wide(base: u64, packed: &[u8], keys: &mut [u64]) -> Option<usize> {
            packing::unpack_with(base, packed, keys, |base, packed, width, keys| {
                unpack_block(base, packed, width, keys)
            })
        }
        // SAFETY: `self` proves that the processor has the instructions that `wide` enables.
        unsafe { wide(base, packed, keys) }
    }
}

/// The numbers 0 to 7.
#[target_feature(enable = "avx512f")]
fn lanes() -> __m512i {
    _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)
}

#[target_feature(enable = "avx512f")]
fn eight(words: &[u64; 8]) -> __m512i {
    // SAFETY: `words` is a reference to eight words, as many as the register holds.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn sixty_four(bytes: &[u8; WINDOW]) -> __m512i {
    // SAFETY: `bytes` is a reference to 64 bytes, as many as the register holds.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512dq")]
fn unpack_block(base: u64, packed: &[u8], width: usize, keys: &mut Gaps) {
    if width == WIDTH_WHOLE {
        return packing::unpack_whole(base, packed, keys);
    }
    let zero = _mm512_setzero_si512();
    // A number begins in one word of the window and may end in the next one.
    let bit = _mm512_mullo_epi64(lanes(), _mm512_set1_epi64(width as i64));
    let word = _mm512_srli_epi64::<6>(bit);
    let next = _mm512_add_epi64(word, _mm512_set1_epi64(1));
    let shift = _mm512_and_si512(bit, _mm512_set1_epi64(63));
    let back = _mm512_sub_epi64(_mm512_set1_epi64(64), shift);
    let mask = _mm512_set1_epi64((1 << width) - 1);
    let mut base = _mm512_add_epi64(_mm512_set1_epi64(base.cast_signed()), lanes());
    for (group, keys) in keys.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let Some(window) = packed[group * width..].first_chunk() else { return };
        let window = sixty_four(window);
        let low = _mm512_srlv_epi64(_mm512_permutexvar_epi64(word, window), shift);
        let high = _mm512_sllv_epi64(_mm512_permutexvar_epi64(next, window), back);
        let gaps = _mm512_and_si512(_mm512_or_si512(low, high), mask);
        let sums = _mm512_add_epi64(gaps, _mm512_alignr_epi64::<7>(gaps, zero));
        let sums = _mm512_add_epi64(sums, _mm512_alignr_epi64::<6>(sums, zero));
        let sums = _mm512_add_epi64(sums, _mm512_alignr_epi64::<4>(sums, zero));
        let found = _mm512_add_epi64(base, sums);
        // SAFETY: `keys` is a reference to eight words, as many as the register holds.
        unsafe { _mm512_storeu_si512(keys.as_mut_ptr().cast(), found) };
        let total = _mm512_permutexvar_epi64(_mm512_set1_epi64(7), sums);
        base = _mm512_add_epi64(_mm512_add_epi64(base, _mm512_set1_epi64(8)), total);
    }
}

/// How the upper half of each part of a register is moved behind the bits of its lower half.
#[derive(Clone, Copy)]
struct Joint {
    /// Lanes of the lower halves.
    lower: __mmask8,
    source: __m512i,
    left: __m512i,
    next: __m512i,
    right: __m512i,
}

impl Joint {
    /// For parts of `2 * half` lanes whose halves hold `bits` bits.
    #[target_feature(enable = "avx512f,avx512dq")]
    fn new(lower: __mmask8, half: i64, bits: usize) -> Joint {
        let (words, shift) = ((bits / 64) as i64, (bits % 64) as i64);
        let set = |number: i64| _mm512_set1_epi64(number);
        let lane = _mm512_and_si512(lanes(), set(2 * half - 1));
        let part = _mm512_sub_epi64(lanes(), lane);
        // Lane by lane, the word of the upper half that begins there and the one before it.
        let own = _mm512_sub_epi64(lane, set(words));
        let before = _mm512_sub_epi64(own, set(1));
        let place = |index: __m512i| _mm512_add_epi64(part, _mm512_add_epi64(set(half), index));
        // A shift by 64 leaves nothing, as words outside the upper half must.
        let count = |index: __m512i, shift: i64| {
            let inside = _mm512_cmplt_epu64_mask(index, set(half));
            _mm512_mask_blend_epi64(inside, set(64), set(shift))
        };
        Joint {
            lower,
            source: place(own),
            left: count(own, shift),
            next: place(before),
            right: count(before, 64 - shift),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn join(&self, halves: __m512i) -> __m512i {
        let left = _mm512_sllv_epi64(_mm512_permutexvar_epi64(self.source, halves), self.left);
        let right = _mm512_srlv_epi64(_mm512_permutexvar_epi64(self.next, halves), self.right);
        _mm512_or_si512(_mm512_maskz_mov_epi64(self.lower, halves), _mm512_or_si512(left, right))
    }
}

/// Eight numbers become four of twice the bits, then two, then one.
#[target_feature(enable = "avx512f,avx512dq")]
fn pack_block(gaps: &Gaps, width: usize, target: &mut [u8]) {
    if width == WIDTH_WHOLE {
        return packing::pack_whole(gaps, target);
    }
    let pairs = Joint::new(0b0101_0101, 1, width);
    let fours = Joint::new(0b0011_0011, 2, 2 * width);
    let eights = Joint::new(0b0000_1111, 4, 4 * width);
    for (group, gaps) in gaps.as_chunks::<GROUP>().0.iter().enumerate() {
        let packed = eights.join(fours.join(pairs.join(eight(gaps))));
        let Some(target) = target[group * width..].first_chunk_mut::<WINDOW>() else { return };
        // SAFETY: `target` is a reference to 64 bytes, as many as the register holds.
        unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), packed) };
    }
}

/// Numbers for which a word of the bitmap stands.
const WORD_NUMBERS: usize = 64;

/// Compacting and expanding numbers of `$size` bytes: `$bytes` of them at a time, through lanes.
macro_rules! leave_out {
    ($compact:ident, $expand:ident, $size:literal, $bytes:literal, $load:expr, $store:expr, $test:ident, $compress:ident, $expand_lanes:ident, $mask:ty) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
        fn $compact(numbers: &[[u8; $size]], bitmap: &mut [u64], target: &mut [u8]) -> usize {
            let mut kept = 0;
            for (numbers, word) in numbers.as_chunks::<WORD_NUMBERS>().0.iter().zip(bitmap) {
                let mut bits = 0;
                for (step, part) in numbers.as_flattened().as_chunks::<$bytes>().0.iter().enumerate() {
                    let lanes = $load(part);
                    let mask = $test(lanes, lanes);
                    if let Some(room) = target[kept * $size..].first_chunk_mut::<$bytes>() {
                        $store(room, $compress(mask, lanes));
                    }
                    kept += mask.count_ones() as usize;
                    bits |= u64::from(mask) << (step * $bytes / $size);
                }
                *word = bits.to_le();
            }
            kept
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
        fn $expand(bitmap: &[[u8; 8]], packed: &[u8], target: &mut [[u8; $size]]) -> usize {
            let mut used = 0;
            for (&word, target) in bitmap.iter().zip(target.as_chunks_mut::<WORD_NUMBERS>().0) {
                let bits = u64::from_le_bytes(word);
                for (step, part) in target.as_flattened_mut().as_chunks_mut::<$bytes>().0.iter_mut().enumerate() {
                    let mask = (bits >> (step * $bytes / $size)) as $mask;
                    let rest = &packed[used * $size..];
                    let lanes = match rest.first_chunk::<$bytes>() {
                        Some(rest) => $load(rest),
                        None => {
                            let mut padded = [0; $bytes];
                            padded[..rest.len()].copy_from_slice(rest);
                            $load(&padded)
                        }
                    };
                    $store(part, $expand_lanes(mask, lanes));
                    used += mask.count_ones() as usize;
                }
            }
            used
        }
    };
}

leave_out!(
    compact_1,
    expand_1,
    1,
    16,
    load_16,
    store_16,
    _mm512_test_epi32_mask,
    _mm512_maskz_compress_epi32,
    _mm512_maskz_expand_epi32,
    __mmask16
);
leave_out!(
    compact_2,
    expand_2,
    2,
    32,
    load_32,
    store_32,
    _mm512_test_epi32_mask,
    _mm512_maskz_compress_epi32,
    _mm512_maskz_expand_epi32,
    __mmask16
);
leave_out!(
    compact_4,
    expand_4,
    4,
    64,
    sixty_four,
    store_64,
    _mm512_test_epi32_mask,
    _mm512_maskz_compress_epi32,
    _mm512_maskz_expand_epi32,
    __mmask16
);
leave_out!(
    compact_8,
    expand_8,
    8,
    64,
    sixty_four,
    store_64,
    _mm512_test_epi64_mask,
    _mm512_maskz_compress_epi64,
    _mm512_maskz_expand_epi64,
    __mmask8
);

#[target_feature(enable = "avx512f")]
fn store_64(bytes: &mut [u8; 64], lanes: __m512i) {
    // SAFETY: `bytes` is a reference to 64 bytes, as many as the register holds.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), lanes) };
}

/// Sixteen numbers of two bytes, each in a lane of four.
#[target_feature(enable = "avx512f,avx512vl")]
fn load_32(bytes: &[u8; 32]) -> __m512i {
    // SAFETY: `bytes` is a reference to 32 bytes, as many as the register holds.
    _mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f,avx512vl")]
fn store_32(bytes: &mut [u8; 32], lanes: __m512i) {
    // SAFETY: `bytes` is a reference to 32 bytes, as many as the register holds.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(lanes)) };
}

/// Sixteen numbers of one byte, each in a lane of four.
#[target_feature(enable = "avx512f,avx512vl")]
fn load_16(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: `bytes` is a reference to 16 bytes, as many as the register holds.
    _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f,avx512vl")]
fn store_16(bytes: &mut [u8; 16], lanes: __m512i) {
    // SAFETY: `bytes` is a reference to 16 bytes, as many as the register holds.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(lanes)) };
}

impl Avx512 {
    /// As the oracle, 8 or 16 numbers at a time.
    pub(super) fn compact_nonzero<const N: usize>(
        self,
        numbers: &[[u8; N]],
        bitmap: &mut [u64],
        target: &mut [[u8; N]],
    ) -> usize {
        let (bytes, room) = (numbers.as_flattened(), target.as_flattened_mut());
        // SAFETY: `self` proves that the processor has the instructions that these functions enable.
        let kept = unsafe {
            match N {
                1 => compact_1(bytes.as_chunks().0, bitmap, room),
                2 => compact_2(bytes.as_chunks().0, bitmap, room),
                4 => compact_4(bytes.as_chunks().0, bitmap, room),
                8 => compact_8(bytes.as_chunks().0, bitmap, room),
                _ => return scalar::compact_nonzero(numbers, bitmap, target),
            }
        };
        let whole = numbers.len() / WORD_NUMBERS;
        kept + scalar::compact_nonzero(&numbers[whole * WORD_NUMBERS..], &mut bitmap[whole..], &mut target[kept..])
    }

    /// As the oracle, 8 or 16 numbers at a time.
    pub(super) fn expand_nonzero<const N: usize>(
        self,
        bitmap: &[[u8; 8]],
        packed: &[[u8; N]],
        target: &mut [[u8; N]],
    ) -> usize {
        let (bytes, room) = (packed.as_flattened(), target.as_flattened_mut());
        // SAFETY: `self` proves that the processor has the instructions that these functions enable.
        let used = unsafe {
            match N {
                1 => expand_1(bitmap, bytes, room.as_chunks_mut().0),
                2 => expand_2(bitmap, bytes, room.as_chunks_mut().0),
                4 => expand_4(bitmap, bytes, room.as_chunks_mut().0),
                8 => expand_8(bitmap, bytes, room.as_chunks_mut().0),
                _ => return scalar::expand_nonzero(bitmap, packed, target),
            }
        };
        let whole = target.len() / WORD_NUMBERS;
        used + scalar::expand_nonzero(&bitmap[whole..], &packed[used..], &mut target[whole * WORD_NUMBERS..])
    }
}
