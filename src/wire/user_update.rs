//! An update function of the user, as a table declares it.

use super::call_body::check_name;
use crate::limit;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Numbers that a table's declaration hands to the user's update function.
pub const USER_PARAMETERS: usize = 4;

/// A user's update function by the name under which the server program has registered it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UserUpdate {
    /// The name.
    pub name: FunctionName,
    /// State numbers for each number of a value, as the function wants them.
    pub state_numbers: u8,
    /// What the function is told, such as rates; what they mean is its business.
    pub parameters: [f32; USER_PARAMETERS],
}

impl fmt::Display for UserUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.name, self.parameters)
    }
}

/// The name of a function on servers: 1 to [`limit::FUNCTION_NAME_BYTES`] letters, digits or signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionName {
    bytes: [u8; limit::FUNCTION_NAME_BYTES],
    length: u8,
}

impl FunctionName {
    /// Takes a name.
    ///
    /// # Errors
    /// One line when it cannot be one.
    pub fn new(name: &str) -> Result<FunctionName, String> {
        check_name(name)?;
        let mut bytes = [0; limit::FUNCTION_NAME_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(FunctionName { bytes, length: name.len() as u8 })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes were those of a string of this length.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FunctionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FunctionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FunctionName, D::Error> {
        let name = <&str>::deserialize(deserializer)?;
        FunctionName::new(name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_the_wire_and_what_is_none_is_refused() {
        let name = FunctionName::new("momentum").expect("a name");
        let update = UserUpdate { name, state_numbers: 1, parameters: [0.5, 0.0, 0.0, 0.0] };
        let bytes = postcard::to_stdvec(&update).expect("encodes");
        assert_eq!(postcard::from_bytes(&bytes), Ok(update));
        assert_eq!(update.to_string(), "momentum with [0.5, 0.0, 0.0, 0.0]");
        let bytes = postcard::to_stdvec("two words").expect("encodes");
        assert!(postcard::from_bytes::<FunctionName>(&bytes).is_err());
    }
}
