//! The rules of nftables on this machine, as `nft -j list ruleset` prints them. What they do to a connection is walked
//! through in `walk`.

use std::net::IpAddr;
use std::process::Stdio;

use columba_types::limits::{CHECK_SYSTEM_BYTES, CHECK_TOOL};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::walk::{self, Verdict};
use crate::check::shown::Shown;

/// Where the tools of administrators lie when PATH doesn't say.
const SBIN: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What is known of the rules.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) enum Rules {
    #[default]
    Unlooked,
    /// Why they cannot be read.
    Unreadable(String),
    /// The objects nft printed; and whether rules of the old iptables are there beside them, which it does not print.
    Read { objects: Vec<Value>, has_old_tables: bool },
}

impl Rules {
    pub(super) async fn read() -> Self {
        match output_of("nft", &["-j", "list", "ruleset"]).await {
            Ok(text) => match serde_json::from_slice::<Value>(&text) {
                Ok(mut value) => {
                    let objects = value.get_mut("nftables").and_then(Value::as_array_mut).map(std::mem::take);
                    Self::Read { objects: objects.unwrap_or_default(), has_old_tables: has_old_tables() }
                }
                Err(error) => Self::Unreadable(format!("nft printed something else than JSON: {error}")),
            },
            Err(why) => Self::Unreadable(why),
        }
    }

    /// What becomes of a new connection from elsewhere to this port and address.
    pub(crate) fn verdict(&self, port: u16, address: IpAddr) -> Verdict {
        match self {
            Self::Unlooked => Verdict::Unreadable("not looked at".into()),
            Self::Unreadable(why) => Verdict::Unreadable(why.clone()),
            Self::Read { objects, has_old_tables } => match walk::verdict(objects, port, address) {
                Verdict::Unconcerned | Verdict::Accepted if *has_old_tables => {
                    Verdict::Unclear(vec!["rules of iptables-legacy, which nft does not show".into()])
                }
                verdict => verdict,
            },
        }
    }

    /// Base chains for incoming packets whose policy is to drop: an accept elsewhere does not help there.
    pub(super) fn closed_chains(&self) -> Vec<String> {
        let Self::Read { objects, .. } = self else { return Vec::new() };
        let chains = objects.iter().filter_map(|object| object.get("chain"));
        let closed = chains.filter(|chain| walk::is_input(chain) && walk::word(chain, "policy") == Some("drop"));
        let name = |chain: &Value| {
            let words = ["family", "table", "name"].map(|key| walk::word(chain, key));
            let [Some(family), Some(table), Some(name)] = words else { return None };
            // Printed for pasting into a shell: nothing but what nft takes for a name.
            let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            [family, table, name].iter().all(|word| plain(word)).then(|| format!("{family} {table} {name}"))
        };
        closed.filter_map(name).collect()
    }
}

/// The tables of iptables-legacy are rules of their own in the kernel.
fn has_old_tables() -> bool {
    let names = |path| std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.trim() == "filter"));
    names("/proc/net/ip_tables_names") || names("/proc/net/ip6_tables_names")
}

/// What a program prints, bounded in octets and time; or why there is nothing.
pub(super) async fn output_of(program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let path = find(program).ok_or_else(|| format!("{program} is not installed"))?;
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{program} cannot be run: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        let (mut out, mut said) = (Vec::new(), Vec::new());
        let out_done = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(CHECK_SYSTEM_BYTES).read_to_end(&mut out).await;
            }
        };
        let said_done = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(4096).read_to_end(&mut said).await;
            }
        };
        futures_util::join!(out_done, said_done);
        let status = child.wait().await;
        (out, said, status)
    };
    match tokio::time::timeout(CHECK_TOOL, reading).await {
        Ok((out, _, Ok(status))) if status.success() => Ok(out),
        Ok((_, said, _)) => {
            let first = said.split(|octet| *octet == b'\n').next().unwrap_or_default();
            Err(format!("{program} {}: {}", arguments.join(" "), Shown::octets(first)))
        }
        Err(_) => Err(format!("{program} did not end in time")),
    }
}

/// Where a program is, looked for as a shell does, and where administrators' tools lie.
pub(super) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(SBIN.map(std::path::PathBuf::from));
    places.find_map(|directory| Some(directory.join(program)).filter(|file| directory.is_absolute() && file.is_file()))
}
