//! Code of the user, which may panic: the panic stops there, and what it said is kept as one line.
//!
//! Only the user's code runs inside, never the store's own, so that nothing of the store is left half done. What the
//! code was working on is a copy, or is put back by who called it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Characters of a panic's words that are kept.
const WORDS_LENGTH: usize = 400;

/// Runs code of the user.
///
/// # Errors
/// The words of its panic.
pub(in crate::store) fn guard<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| words(payload.as_ref()))
}

/// What a panic said, in one line.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words");
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(WORDS_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_short_line() {
        assert_eq!(guard(|| 7), Ok(7));
        assert_eq!(guard(|| panic!("on purpose:\n{}", "two lines")), Err::<(), _>("on purpose: two lines".to_owned()));
        assert_eq!(guard(|| std::panic::panic_any(7)), Err::<(), _>("without words".to_owned()));
        let long = guard(|| -> () { panic!("{}", "ä".repeat(WORDS_LENGTH + 1)) }).expect_err("a panic");
        assert_eq!(long, "ä".repeat(WORDS_LENGTH));
    }
}
