//! Which processes hold a socket: /proc has a link for every open file. Those of other users are visible to root alone.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;

use columba_types::limits::CHECK_DESCRIPTORS;
use serde::Serialize;

use crate::check::shown::Shown;

/// A process that holds a socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) id: u32,
    /// The program's short name.
    pub(crate) name: Shown,
    pub(crate) user: Shown,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}, user {})", self.name, self.id, self.user)
    }
}

/// The processes that hold these sockets, by the sockets' inodes.
pub(super) fn holders(inodes: &[u64]) -> HashMap<u64, Vec<Process>> {
    let mut found: HashMap<u64, Vec<Process>> = HashMap::new();
    let mut left = CHECK_DESCRIPTORS;
    let Ok(entries) = fs::read_dir("/proc") else { return found };
    for entry in entries.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let mut held: Vec<u64> = Vec::new();
        for descriptor in descriptors.flatten().take(left) {
            left -= 1;
            let link = fs::read_link(descriptor.path()).unwrap_or_default();
            let inode = link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            held.extend(inode.filter(|inode| inodes.contains(inode) && !held.contains(inode)));
        }
        for inode in held {
            found.entry(inode).or_default().push(process(id));
        }
    }
    for processes in found.values_mut() {
        processes.sort_by_key(|process| process.id);
    }
    found
}

fn process(id: u32) -> Process {
    let name = fs::read(format!("/proc/{id}/comm")).unwrap_or_default();
    let user = fs::metadata(format!("/proc/{id}")).map(|metadata| user_name(metadata.uid()));
    Process { id, name: Shown::octets(name.trim_ascii_end()), user: user.unwrap_or_else(|_| Shown::text("unknown")) }
}

/// The user's name, or the number where /etc/passwd has none.
pub(super) fn user_name(id: u32) -> Shown {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)?.parse::<u32>().ok()? == id).then_some(name)
    };
    Shown::text(&text.lines().find_map(line).unwrap_or_else(|| id.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_or_numbers() {
        assert_eq!(user_name(0).as_str(), "root");
        assert_eq!(user_name(4_000_000_123).as_str(), "4000000123");
    }
}
