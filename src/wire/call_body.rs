//! What a call carries in its value block: the function's name behind its length, then the arguments.

use crate::limit;

/// The name and the arguments of a call, as views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallBody<'a> {
    /// Name of a function that the server program has registered.
    pub function: &'a str,
    /// What the function reads; opaque here.
    pub arguments: &'a [u8],
}

impl<'a> CallBody<'a> {
    /// The value block.
    ///
    /// # Errors
    /// One line when name or arguments exceed their limit.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        check_name(self.function)?;
        let (bytes, limit) = (self.arguments.len(), limit::CALL_ARGUMENT_BYTES);
        if bytes > limit {
            return Err(format!("{bytes} bytes of arguments for function '{}', limit {limit}", self.function));
        }
        let mut block = Vec::with_capacity(1 + self.function.len() + bytes);
        block.push(self.function.len() as u8);
        block.extend_from_slice(self.function.as_bytes());
        block.extend_from_slice(self.arguments);
        Ok(block)
    }

    /// Reads a value block.
    ///
    /// # Errors
    /// One line when it holds no name.
    pub fn decode(block: &'a [u8]) -> Result<CallBody<'a>, String> {
        let wrong = || "a call without a function's name".to_owned();
        let (&length, rest) = block.split_first().ok_or_else(wrong)?;
        let (name, arguments) = rest.split_at_checked(usize::from(length)).ok_or_else(wrong)?;
        let function = std::str::from_utf8(name).map_err(|_| wrong())?;
        check_name(function)?;
        Ok(CallBody { function, arguments })
    }
}

/// Whether it can be the name of a function.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let limit = limit::FUNCTION_NAME_BYTES;
    match name.is_empty() || name.len() > limit || name.contains(|letter: char| !letter.is_ascii_graphic()) {
        true => {
            Err(format!("'{}' is no name of a function: 1 to {limit} letters, digits or signs", name.escape_debug()))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_survives_the_wire_and_what_is_none_is_refused() {
        let call = CallBody { function: "norms", arguments: &[1, 2, 3] };
        let block = call.encode().expect("within the limits");
        assert_eq!(CallBody::decode(&block), Ok(call));
        for cut in 0..6 {
            assert!(CallBody::decode(&block[..cut]).is_err(), "{cut}");
        }
        for name in ["", "two words", "a\nb", &"n".repeat(limit::FUNCTION_NAME_BYTES + 1)] {
            assert!(CallBody { function: name, arguments: &[] }.encode().is_err(), "{name}");
        }
        let large = vec![0; limit::CALL_ARGUMENT_BYTES + 1];
        assert!(CallBody { function: "norms", arguments: &large }.encode().is_err());
    }
}
