//! One generated row as text.

use super::super::criteo::{INTEGER_FIELDS, integer_examples};
use super::super::format::Format;
use super::super::output::push_decimal;
use super::FIELDS;
use std::sync::LazyLock;

/// One integer of each bin.
static EXAMPLES: LazyLock<Vec<u64>> = LazyLock::new(integer_examples);

/// Appends a row: as Criteo's columns, or as Vowpal Wabbit text `label |f field=value …`.
pub(super) fn push_row(format: Format, is_positive: bool, ranks: &[u32; FIELDS], text: &mut Vec<u8>) {
    if format == Format::Criteo {
        criteo_row(is_positive, ranks, text);
    } else {
        vw_row(is_positive, ranks, text);
    }
    text.push(b'\n');
}

fn vw_row(is_positive: bool, ranks: &[u32; FIELDS], text: &mut Vec<u8>) {
    text.extend_from_slice(if is_positive { b"1 |f" } else { b"-1 |f" });
    for (field, &rank) in (1..).zip(ranks) {
        text.push(b' ');
        push_decimal(field, text);
        text.push(b'=');
        push_hex(rank, 8 - (rank | 1).leading_zeros() / 4, text);
    }
}

fn criteo_row(is_positive: bool, ranks: &[u32; FIELDS], text: &mut Vec<u8>) {
    text.push(if is_positive { b'1' } else { b'0' });
    let (integers, categories) = ranks.split_at(INTEGER_FIELDS);
    for &bin in integers {
        text.push(b'\t');
        push_decimal(EXAMPLES[bin as usize], text);
    }
    for (field, &rank) in (0..).zip(categories) {
        text.push(b'\t');
        push_hex(name(field, rank), 8, text);
    }
}

/// A name that looks like one of Criteo's: other values of a field have other names.
fn name(field: u32, rank: u32) -> u32 {
    let mut name = rank.wrapping_add(field.wrapping_mul(0x9e37_79b9));
    name = (name ^ name >> 16).wrapping_mul(0x85eb_ca6b);
    name = (name ^ name >> 13).wrapping_mul(0xc2b2_ae35);
    name ^ name >> 16
}

fn push_hex(number: u32, digits: u32, text: &mut Vec<u8>) {
    for digit in (0..digits).rev() {
        text.push(b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]);
    }
}
