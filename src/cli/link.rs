//! Flags that choose how data travels between servers and workers, for nodes that are started one by one.

use super::options::TransportOption;
use super::settings::JobSettings;
use crate::error::Failure;
use crate::node::LinkSettings;
use crate::transport::verbs::VerbsConfig;
use clap::{Args, ValueEnum};
use std::ffi::OsString;

const TRANSPORT_VARIABLE: &str = "PARASHARD_TRANSPORT";
const DEVICE_VARIABLE: &str = "PARASHARD_VERBS_DEVICE";
const GID_INDEX_VARIABLE: &str = "PARASHARD_GID_INDEX";
const TRAFFIC_CLASS_VARIABLE: &str = "PARASHARD_TRAFFIC_CLASS";

/// How a node chooses its links.
#[derive(Debug, Clone, Args)]
pub(super) struct LinkOptions {
    /// How data travels between servers and workers: shm, verbs or tcp, or the fastest there is.
    #[arg(long, env = TRANSPORT_VARIABLE, value_enum, default_value = "auto")]
    transport: TransportOption,
    /// RDMA device, or device:port, of verbs links [default: the nearest that is up].
    #[arg(long, env = DEVICE_VARIABLE, value_name = "NAME")]
    verbs_device: Option<String>,
    /// Entry of the port's GID table [default: RoCE v2 with an IPv4 address first].
    #[arg(long, env = GID_INDEX_VARIABLE, value_name = "I")]
    gid_index: Option<u32>,
    /// Traffic class of verbs packets; its upper six bits are the DSCP [default: 0].
    #[arg(long, env = TRAFFIC_CLASS_VARIABLE, value_name = "0..255")]
    traffic_class: Option<u8>,
}

impl LinkOptions {
    /// The settings; what is no flag comes from the environment.
    pub(super) fn settings(&self) -> Result<LinkSettings, Failure> {
        let mut verbs = VerbsConfig::from_environment()?;
        if let Some(device) = &self.verbs_device {
            verbs.set_device(device)?;
        }
        verbs.gid_index = self.gid_index.or(verbs.gid_index);
        verbs.traffic_class = self.traffic_class.unwrap_or(verbs.traffic_class);
        Ok(LinkSettings { choice: self.transport.choice(), verbs, ..LinkSettings::default() })
    }
}

/// The settings of nodes that are threads of this process.
pub(super) fn inner_settings(settings: &JobSettings) -> Result<LinkSettings, Failure> {
    let options = LinkOptions {
        transport: settings.transport,
        verbs_device: settings.verbs_device.clone(),
        gid_index: settings.gid_index,
        traffic_class: settings.traffic_class,
    };
    options.settings()
}

/// What a launcher gives its nodes so that they choose as the job says.
pub(super) fn environment(settings: &JobSettings) -> Vec<(String, OsString)> {
    let transport = settings.transport.to_possible_value().map(|value| value.get_name().to_owned());
    let variables = [
        (TRANSPORT_VARIABLE, transport),
        (DEVICE_VARIABLE, settings.verbs_device.clone()),
        (GID_INDEX_VARIABLE, settings.gid_index.map(|index| index.to_string())),
        (TRAFFIC_CLASS_VARIABLE, settings.traffic_class.map(|class| class.to_string())),
    ];
    variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}
