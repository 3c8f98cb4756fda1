//! Cutting a unit that is under way: what was read of it stays one unit, the rest becomes others.

use super::unit::{BlockPlace, UnitSource};
use std::collections::VecDeque;

impl UnitSource {
    /// What of this unit lies before `rest`, in which it ends; none where `rest` is nothing such, or all of it.
    #[must_use]
    pub fn before(&self, rest: &UnitSource) -> Option<UnitSource> {
        match (*self, *rest) {
            (UnitSource::ByteRange { file, begin, end }, UnitSource::ByteRange { file: of, begin: cut, end: last }) => {
                let is_rest = of == file && begin < cut && cut < end && last == end;
                is_rest.then_some(UnitSource::ByteRange { file, begin, end: cut })
            }
            (
                UnitSource::Rows { file, first_row, row_count },
                UnitSource::Rows { file: of, first_row: cut, row_count: left },
            ) => {
                let kept = cut.checked_sub(first_row).filter(|&kept| kept > 0)?;
                let is_rest = of == file && left > 0 && kept.checked_add(left) == Some(row_count);
                is_rest.then_some(UnitSource::Rows { file, first_row, row_count: kept })
            }
            (UnitSource::Blocks { file, begin, end }, UnitSource::Blocks { file: of, begin: cut, end: last }) => {
                // Who has a block open knows how many rows it has, and may say so of the last.
                let is_end = last == end || BlockPlace { block: last.block + 1, row: 0 } == end;
                let is_rest = of == file && begin < cut && cut < last && is_end;
                is_rest.then_some(UnitSource::Blocks { file, begin, end: cut })
            }
            _ => None,
        }
    }

    /// Parts of about the same size, at most `count` of them; fewer where it is not known how to part it.
    #[must_use]
    pub fn parts(self, count: usize) -> Vec<UnitSource> {
        let (mut parts, mut whole) = (VecDeque::from([self]), Vec::new());
        while parts.len() + whole.len() < count
            && let Some(part) = parts.pop_front()
        {
            match part.halves() {
                Some(halves) => parts.extend(halves),
                None => whole.push(part),
            }
        }
        whole.extend(parts);
        whole
    }

    fn halves(self) -> Option<[UnitSource; 2]> {
        match self {
            UnitSource::ByteRange { file, begin, end } => {
                let middle = middle(begin, end)?;
                Some([(begin, middle), (middle, end)].map(|(begin, end)| UnitSource::ByteRange { file, begin, end }))
            }
            UnitSource::Rows { file, first_row, row_count } => {
                let half = middle(0, row_count)?;
                let halves = [(first_row, half), (first_row + half, row_count - half)];
                Some(halves.map(|(first_row, row_count)| UnitSource::Rows { file, first_row, row_count }))
            }
            UnitSource::Blocks { file, begin, end } => {
                let middle = match middle(begin.block, end.block) {
                    Some(block) => BlockPlace { block, row: 0 },
                    None if begin.block == end.block => BlockPlace { row: middle(begin.row, end.row)?, ..begin },
                    // One block, of which nobody has said how many rows it has.
                    None => return None,
                };
                Some([(begin, middle), (middle, end)].map(|(begin, end)| UnitSource::Blocks { file, begin, end }))
            }
        }
    }
}

/// A number between two others; none when there is none.
fn middle(begin: u64, end: u64) -> Option<u64> {
    let half = end.checked_sub(begin)? / 2;
    (half > 0).then_some(begin + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rest_of_a_unit_cuts_nothing_off_it() {
        let bytes = |begin, end| UnitSource::ByteRange { file: 0, begin, end };
        let unit = bytes(100, 200);
        assert_eq!(unit.before(&bytes(150, 200)), Some(bytes(100, 150)));
        for rest in [bytes(100, 200), bytes(50, 200), bytes(150, 199), bytes(150, 201), bytes(200, 200)] {
            assert_eq!(unit.before(&rest), None, "{rest:?}");
        }
        assert_eq!(unit.before(&UnitSource::ByteRange { file: 1, begin: 150, end: 200 }), None);
        let rows = |first_row, row_count| UnitSource::Rows { file: 0, first_row, row_count };
        assert_eq!(rows(10, 10).before(&rows(13, 7)), Some(rows(10, 3)));
        for rest in [rows(10, 10), rows(13, 8), rows(20, 0), rows(u64::MAX, 2)] {
            assert_eq!(rows(10, 10).before(&rest), None, "{rest:?}");
        }
        assert_eq!(unit.before(&rows(150, 50)), None);
    }

    #[test]
    fn parts_follow_each_other_and_are_of_about_the_same_size() {
        let unit = UnitSource::ByteRange { file: 3, begin: 1000, end: 1900 };
        for count in [1, 2, 3, 5, 9] {
            let mut parts = unit.parts(count);
            parts.sort_by_key(|part| begin_of(*part));
            assert_eq!(parts.len(), count);
            let mut at = 1000;
            for part in parts {
                let UnitSource::ByteRange { file: 3, begin, end } = part else { panic!("{part:?}") };
                assert!(begin == at && (56..=900).contains(&(end - begin)), "{part:?}");
                at = end;
            }
            assert_eq!(at, 1900);
        }
        assert_eq!(UnitSource::ByteRange { file: 0, begin: 4, end: 5 }.parts(3).len(), 1);
        assert_eq!(UnitSource::blocks(0, 7, 1).parts(3).len(), 1, "its rows are not known");
        assert_eq!(UnitSource::blocks(0, 7, 2).parts(3).len(), 2);
    }

    fn begin_of(part: UnitSource) -> u64 {
        match part {
            UnitSource::ByteRange { begin, .. } => begin,
            _ => 0,
        }
    }
}
