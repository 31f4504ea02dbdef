//! Lists of networks in the configuration: whose they are, each with its checks.

use columba_types::limits::NETWORKS;
use serde::Serialize;

use super::address::{Network, Unreadable};
use super::reader::{Reader, Section};

/// Who is served on a listener, and which proxies are believed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct ListenerNetworks {
    #[serde(rename = "allow_networks", skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<Network>,
    #[serde(rename = "deny_networks", skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny: Vec<Network>,
    #[serde(rename = "proxy_networks", skip_serializing_if = "Vec::is_empty")]
    pub(crate) proxy: Vec<Network>,
    #[serde(rename = "id_networks", skip_serializing_if = "Vec::is_empty")]
    pub(crate) id: Vec<Network>,
}

impl ListenerNetworks {
    pub(crate) fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Self {
        Self {
            allow: read_networks(reader, section, "allow_networks"),
            deny: read_networks(reader, section, "deny_networks"),
            proxy: read_networks(reader, section, "proxy_networks"),
            id: read_networks(reader, section, "id_networks"),
        }
    }

    /// The settings that are not empty, as the file has them.
    pub(crate) fn to_toml(&self) -> String {
        let lists = [
            ("allow_networks", &self.allow),
            ("deny_networks", &self.deny),
            ("proxy_networks", &self.proxy),
            ("id_networks", &self.id),
        ];
        let line = |(key, list): &(&str, &Vec<Network>)| {
            let written: Vec<String> = list.iter().map(|network| format!("\"{network}\"")).collect();
            format!("{key} = [{}]\n", written.join(", "))
        };
        lists.iter().filter(|(_, list)| !list.is_empty()).map(line).collect()
    }
}

/// A list of networks; empty where it is not written.
pub(crate) fn read_networks(reader: &mut Reader<'_>, section: &Section<'_>, key: &'static str) -> Vec<Network> {
    let mut networks = Vec::new();
    let written = reader.strings(section, key).unwrap_or_default();
    if written.len() > NETWORKS {
        let what = format!("`{key}` has {} networks, and a list has at most {NETWORKS}", written.len());
        reader.mistake(&section.key_span(key), what, "take larger networks, or a firewall");
    }
    for network in written {
        match network.value.parse() {
            Ok(parsed) => networks.push(parsed),
            Err(Unreadable { what, fix }) => reader.mistake(&network.span, what, fix),
        }
    }
    networks
}

/// The same in the form the server takes. Both crates write networks alike, and the configuration has checked them.
pub(crate) fn for_server(networks: &[Network]) -> Vec<columba_server::Network> {
    networks.iter().filter_map(|network| network.to_string().parse().ok()).collect()
}
