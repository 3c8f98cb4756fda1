//! What a user may fix of the choice of device: flags or environment, one plain structure.

use super::error::VerbsError;
use super::port::Mtu;

/// Names the device, `mlx5_0` or with its port `mlx5_0:1`.
const DEVICE_VARIABLE: &str = "PARASHARD_VERBS_DEVICE";
/// Names the entry of the port's GID table.
const GID_INDEX_VARIABLE: &str = "PARASHARD_GID_INDEX";
/// The path MTU in bytes.
const MTU_VARIABLE: &str = "PARASHARD_VERBS_MTU";
/// The traffic class of the global route, 0 to 255.
const TRAFFIC_CLASS_VARIABLE: &str = "PARASHARD_TRAFFIC_CLASS";
/// Whether answers land by memory windows: `auto` or `off`.
const WINDOWS_VARIABLE: &str = "PARASHARD_VERBS_WINDOWS";

/// How a node chooses its end of verbs links; what is not set is chosen by what the machine has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerbsConfig {
    /// Device, by its name.
    pub device: Option<String>,
    /// Port of that device, from 1.
    pub port: Option<u8>,
    /// Entry of the port's GID table.
    pub gid_index: Option<u32>,
    /// Path MTU; at most the port's active one.
    pub mtu: Option<Mtu>,
    /// Traffic class of the packets' global route; its upper six bits are the DSCP.
    pub traffic_class: u8,
    /// Whether memory for answers is opened by windows.
    pub windows: WindowUse,
}

/// Whether memory for answers is opened by windows, one answer and one peer at a time, or as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowUse {
    /// Where the device has windows of type 2.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl VerbsConfig {
    /// What the environment says.
    ///
    /// # Errors
    /// A variable that is set to something without meaning.
    pub fn from_environment() -> Result<VerbsConfig, VerbsError> {
        VerbsConfig::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// What the variables say that `look` finds.
    ///
    /// # Errors
    /// As [`from_environment`](VerbsConfig::from_environment).
    pub fn from_variables(look: impl Fn(&'static str) -> Option<String>) -> Result<VerbsConfig, VerbsError> {
        let mut config = VerbsConfig::default();
        if let Some(value) = look(DEVICE_VARIABLE) {
            config.set_device(&value)?;
        }
        config.gid_index = number(GID_INDEX_VARIABLE, &look, "set it to an index of the port's GID table")?;
        config.traffic_class =
            number(TRAFFIC_CLASS_VARIABLE, &look, "set it to a number from 0 to 255")?.unwrap_or_default();
        if let Some(value) = look(MTU_VARIABLE) {
            let mtu = value.parse().ok().and_then(Mtu::of_bytes);
            let expected = "set it to 256, 512, 1024, 2048 or 4096";
            config.mtu = Some(mtu.ok_or(VerbsError::Setting { name: MTU_VARIABLE, value, expected })?);
        }
        config.windows = match look(WINDOWS_VARIABLE).as_deref() {
            None | Some("auto") => WindowUse::Auto,
            Some("off") => WindowUse::Off,
            Some(value) => {
                let (value, expected) = (value.to_owned(), "set it to auto or off");
                return Err(VerbsError::Setting { name: WINDOWS_VARIABLE, value, expected });
            }
        };
        Ok(config)
    }

    /// Takes `device` or `device:port` apart.
    ///
    /// # Errors
    /// A port that is no number from 1 to 255, or an empty name.
    pub fn set_device(&mut self, value: &str) -> Result<(), VerbsError> {
        let (device, port) = match value.split_once(':') {
            Some((device, port)) => (device, port.parse().ok().filter(|&port: &u8| port > 0)),
            None => (value, None),
        };
        if device.is_empty() || value.contains(':') && port.is_none() {
            let expected = "set it to a device, or to a device and a port from 1, such as mlx5_0:1";
            return Err(VerbsError::Setting { name: DEVICE_VARIABLE, value: value.to_owned(), expected });
        }
        self.device = Some(device.to_owned());
        self.port = port;
        Ok(())
    }
}

fn number<N: std::str::FromStr>(
    name: &'static str,
    look: &impl Fn(&'static str) -> Option<String>,
    expected: &'static str,
) -> Result<Option<N>, VerbsError> {
    let Some(value) = look(name) else { return Ok(None) };
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(VerbsError::Setting { name, value, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&'static str, &str)]) -> Result<VerbsConfig, VerbsError> {
        let found = |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        VerbsConfig::from_variables(found)
    }

    #[test]
    fn an_empty_environment_fixes_nothing() {
        assert_eq!(config(&[]).unwrap(), VerbsConfig::default());
    }

    #[test]
    fn every_variable_is_read() {
        let all = [
            (DEVICE_VARIABLE, "mlx5_1:2"),
            (GID_INDEX_VARIABLE, "3"),
            (MTU_VARIABLE, "4096"),
            (TRAFFIC_CLASS_VARIABLE, "104"),
            (WINDOWS_VARIABLE, "off"),
        ];
        let expected = VerbsConfig {
            device: Some("mlx5_1".to_owned()),
            port: Some(2),
            gid_index: Some(3),
            mtu: Mtu::of_bytes(4096),
            traffic_class: 104,
            windows: WindowUse::Off,
        };
        assert_eq!(config(&all).unwrap(), expected);
        assert_eq!(config(&[(DEVICE_VARIABLE, "rxe0")]).unwrap().port, None);
    }

    #[test]
    fn a_value_without_meaning_is_an_error_that_names_it() {
        for (name, value) in [
            (DEVICE_VARIABLE, "mlx5_0:0"),
            (DEVICE_VARIABLE, "mlx5_0:x"),
            (DEVICE_VARIABLE, ":1"),
            (GID_INDEX_VARIABLE, "-1"),
            (MTU_VARIABLE, "1500"),
            (TRAFFIC_CLASS_VARIABLE, "256"),
            (WINDOWS_VARIABLE, "on"),
        ] {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(&format!("`{value}`")), "{error}");
        }
    }
}
