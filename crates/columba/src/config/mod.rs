//! The configuration: what can be set, what holds when it is not, and how it looks when it is shown.
//! Reading a file is in `read`; nothing here opens a socket or a store.
//!
//! Invariants:
//! - An empty file is valid, and every default is safe.
//! - A key that is not known is a mistake, never ignored.

mod address;
mod hide;
mod mistake;
mod networks;
mod read;
mod reader;
mod tls;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use columba_store::SpecialUse;
use columba_types::{MailboxName, limits};
use serde::Serialize;

pub(crate) use address::{Address, Network};
pub(crate) use hide::Hide;
pub(crate) use networks::{ListenerNetworks, for_server};
pub(crate) use read::read;
pub(crate) use reader::parse_octets;
pub(crate) use tls::TlsFiles;

/// The commented file that `columba config default` prints. Everything in it is the default.
pub(crate) const DEFAULT_FILE: &str = include_str!("default.toml");

/// The `version` this Columba reads and writes.
pub(crate) const VERSION: u64 = 1;

/// Where a configuration is looked for when none is named.
pub(crate) const DEFAULT_PATH: &str = "/etc/columba/columba.toml";

/// Everything that can be set, with defaults filled in.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Config {
    pub(crate) version: u64,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// How the server calls itself in greetings and trace fields.
    pub(crate) host_name: String,
    /// A URI; empty for none.
    pub(crate) admin_contact: String,
    /// Empty for none.
    pub(crate) comment: String,
    /// Never empty.
    #[serde(rename = "listener")]
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) auth: Auth,
    pub(crate) process: Process,
    pub(crate) limits: Limits,
    pub(crate) store: StoreSettings,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) clients: Clients,
    /// Which capabilities are kept from whom, beside the quirks.
    pub(crate) hide: Vec<Hide>,
}

/// What a new account has besides INBOX.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mailboxes(pub(crate) Vec<(SpecialUse, MailboxName)>);

impl Mailboxes {
    /// The uses a mailbox can be made for, by the names of their settings.
    pub(crate) const SETTINGS: [(&'static str, SpecialUse); 9] = [
        ("archive", SpecialUse::Archive),
        ("drafts", SpecialUse::Drafts),
        ("important", SpecialUse::Important),
        ("junk", SpecialUse::Junk),
        ("memos", SpecialUse::Memos),
        ("scheduled", SpecialUse::Scheduled),
        ("sent", SpecialUse::Sent),
        ("snoozed", SpecialUse::Snoozed),
        ("trash", SpecialUse::Trash),
    ];

    /// The name of the mailbox for a use; empty where there is none.
    fn name_for(&self, special_use: SpecialUse) -> &str {
        self.0.iter().find(|(known, _)| *known == special_use).map_or("", |(_, name)| name.as_str())
    }
}

impl Default for Mailboxes {
    fn default() -> Self {
        let usual = columba_store::Options::default().first_mailboxes;
        Self(usual.into_iter().map(|(name, special_use)| (special_use, name)).collect())
    }
}

impl Serialize for Mailboxes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Self::SETTINGS.iter().map(|(key, special_use)| (key, self.name_for(*special_use))))
    }
}

/// One address that is listened on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Listener {
    pub(crate) protocol: Protocol,
    pub(crate) address: Address,
    pub(crate) tls: TlsMode,
    /// Whether X-GM-EXT-1 is offered there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) x_gm_ext_1: bool,
    #[serde(flatten)]
    pub(crate) networks: ListenerNetworks,
}

impl Listener {
    pub(crate) fn new(protocol: Protocol, address: Address, tls: TlsMode) -> Self {
        Self { protocol, address, tls, x_gm_ext_1: false, networks: ListenerNetworks::default() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Imap,
    Lmtp,
}

impl Protocol {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("imap", Self::Imap), ("lmtp", Self::Lmtp)];
}

/// How a listener's connections are protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TlsMode {
    StartTls,
    Implicit,
    None,
}

impl TlsMode {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("starttls", Self::StartTls), ("implicit", Self::Implicit), ("none", Self::None)];
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Auth {
    /// Where LOGIN and PLAIN are allowed without TLS.
    pub(crate) plaintext_networks: Vec<Network>,
    /// How long a password that was right is known without its slow hash.
    #[serde(rename = "password_cache_secs", serialize_with = "as_secs")]
    pub(crate) password_cache: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self { plaintext_networks: Vec::new(), password_cache: limits::PASSWORD_CACHE }
    }
}

/// What the server's process may do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Process {
    /// Whom it runs as when it is started as root; `None`: see `privileges`.
    pub(crate) user: Option<String>,
    pub(crate) confine: Confine,
}

/// Whether the process gives up what serving does not need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confine {
    /// As far as the kernel can.
    #[default]
    Auto,
    /// Wholly, or it does not start.
    Required,
    /// Not at all.
    Off,
}

impl Confine {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("required", Self::Required), ("off", Self::Off)];
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Limits {
    /// Octets of the largest message taken.
    pub(crate) message_bytes: u64,
    pub(crate) connections: usize,
    pub(crate) connections_per_account: usize,
    pub(crate) connections_per_address: usize,
    /// Messages that one command may be about (RFC 9738).
    pub(crate) messages_per_command: Option<u32>,
    /// Messages that one COPY or APPEND may be about.
    pub(crate) messages_per_copy: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: limits::MESSAGE_BYTES,
            connections: limits::CONNECTIONS,
            connections_per_account: limits::CONNECTIONS_PER_ACCOUNT,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS,
            messages_per_command: None,
            messages_per_copy: None,
        }
    }
}

/// What is known of clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Clients {
    /// The file with their quirks; without it, the one that is built in.
    pub(crate) quirks: Option<PathBuf>,
    /// What is in it.
    pub(crate) rules: Vec<Hide>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { quirks: None, rules: hide::built_in_quirks() }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct StoreSettings {
    /// How long expunged messages can be brought back, in seconds.
    #[serde(rename = "keep_expunged_secs", serialize_with = "as_secs")]
    pub(crate) keep_expunged: Duration,
    /// Files the accounts are spread over; looked at when the data directory is made, and never again.
    pub(crate) shards: usize,
}

fn as_secs<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { keep_expunged: Duration::from_secs(7 * 86_400), shards: 4 }
    }
}

impl Config {
    /// What an empty file means, with its data in `data`.
    pub(crate) fn defaults(data: PathBuf) -> Self {
        let mut config = Self {
            version: VERSION,
            data,
            host_name: host_name(),
            admin_contact: String::new(),
            comment: String::new(),
            listeners: Vec::new(),
            tls: None,
            auth: Auth::default(),
            process: Process::default(),
            limits: Limits::default(),
            store: StoreSettings::default(),
            mailboxes: Mailboxes::default(),
            clients: Clients::default(),
            hide: Vec::new(),
        };
        config.fill_listeners();
        config
    }

    /// The same with the listeners that hold when none is written.
    pub(crate) fn with_default_listeners(mut self) -> Self {
        self.fill_listeners();
        self
    }

    /// The same with its data elsewhere. A socket that lay in the data directory by default moves along.
    pub(crate) fn move_data(&mut self, data: PathBuf) {
        let default_socket = Address::Unix(self.data.join("lmtp"));
        for listener in self.listeners.iter_mut().filter(|l| l.address == default_socket) {
            listener.address = Address::Unix(data.join("lmtp"));
        }
        self.data = data;
    }

    /// The listeners of a file that names none. Without a certificate nobody can log in from afar, so then IMAP
    /// is there for this machine only.
    fn fill_listeners(&mut self) {
        let imap = |ip: &str, port: u16, tls| {
            let ip: std::net::IpAddr = ip.parse().ok()?;
            Some(Listener::new(Protocol::Imap, Address::Tcp((ip, port).into()), tls))
        };
        let imap = if self.tls.is_some() {
            let (v4, v6) = ("0.0.0.0", "::");
            let with_starttls = [imap(v4, 143, TlsMode::StartTls), imap(v6, 143, TlsMode::StartTls)];
            with_starttls
                .into_iter()
                .chain([imap(v4, 993, TlsMode::Implicit), imap(v6, 993, TlsMode::Implicit)])
                .collect()
        } else {
            vec![imap("127.0.0.1", 143, TlsMode::None), imap("::1", 143, TlsMode::None)]
        };
        self.listeners = imap.into_iter().flatten().collect();
        let lmtp = Address::Unix(self.data.join("lmtp"));
        self.listeners.push(Listener::new(Protocol::Lmtp, lmtp, TlsMode::None));
    }

    /// The file that says all of this, for `columba config show`.
    pub(crate) fn to_toml(&self) -> String {
        let text = |s: &str| toml_edit::Value::from(s).to_string();
        let path = |p: &Path| text(&p.to_string_lossy());
        let mut out = format!("version = {}\n", self.version);
        let _ = writeln!(out, "data = {}\nhost_name = {}", path(&self.data), text(&self.host_name));
        let _ = writeln!(out, "admin_contact = {}\ncomment = {}", text(&self.admin_contact), text(&self.comment));
        for listener in &self.listeners {
            let protocol = word_of(&Protocol::WORDS, listener.protocol);
            let address = text(&listener.address.to_string());
            let tls = word_of(&TlsMode::WORDS, listener.tls);
            let _ = write!(out, "\n[[listener]]\nprotocol = \"{protocol}\"\naddress = {address}\ntls = \"{tls}\"\n");
            if listener.x_gm_ext_1 {
                out.push_str("extensions = [\"X-GM-EXT-1\"]\n");
            }
            out.push_str(&listener.networks.to_toml());
        }
        self.tls.iter().for_each(|tls| out.push_str(&tls.to_toml()));
        let networks: Vec<String> = self.auth.plaintext_networks.iter().map(|n| text(&n.to_string())).collect();
        let _ = write!(out, "\n[auth]\nplaintext_networks = [{}]\n", networks.join(", "));
        let _ = writeln!(out, "password_cache = \"{}s\"", self.auth.password_cache.as_secs());
        let confine = word_of(&Confine::WORDS, self.process.confine);
        let user = self.process.user.as_ref().map_or(String::new(), |user| format!("user = {}\n", text(user)));
        let _ = write!(out, "\n[process]\n{user}confine = \"{confine}\"\n");
        let limits = &self.limits;
        let _ = write!(
            out,
            "\n[limits]\nmessage_bytes = {}\nconnections = {}\nconnections_per_account = {}\nconnections_per_address = {}\n",
            limits.message_bytes, limits.connections, limits.connections_per_account, limits.connections_per_address
        );
        let counts =
            [("messages_per_command", limits.messages_per_command), ("messages_per_copy", limits.messages_per_copy)];
        for (key, count) in counts {
            let _ = count.map(|count| writeln!(out, "{key} = {count}"));
        }
        let keep = self.store.keep_expunged.as_secs();
        let _ = write!(out, "\n[store]\nkeep_expunged = \"{keep}s\"\nshards = {}\n", self.store.shards);
        out.push_str("\n[mailboxes]\n");
        for (key, special_use) in Mailboxes::SETTINGS {
            let _ = writeln!(out, "{key} = {}", text(self.mailboxes.name_for(special_use)));
        }
        if let Some(quirks) = &self.clients.quirks {
            let _ = write!(out, "\n[clients]\nquirks = {}\n", path(quirks));
        }
        self.hide.iter().for_each(|rule| rule.write_toml(&mut out));
        out
    }
}

fn word_of<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, v)| *v == value).map_or("", |(word, _)| word)
}

/// The name this machine gives itself.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_says_nothing_but_the_defaults() {
        let commented = DEFAULT_FILE;
        let read_back = read(commented, Path::new("/etc/columba")).unwrap();
        assert_eq!(read_back, read("", Path::new("/etc/columba")).unwrap());
        // Every commented-out setting is one that could be written: without its `#` the file has no unknown setting.
        let opened: String = commented
            .lines()
            .map(|l| l.strip_prefix('#').unwrap_or(l))
            .fold(String::new(), |a, l| if l.contains(" = ") || l.starts_with('[') { a + l + "\n" } else { a });
        let mistakes = read(&opened, Path::new("/etc/columba")).err().unwrap_or_default();
        assert!(mistakes.iter().all(|m| !m.what.contains("no setting")), "{mistakes:?}");
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let mut config = Config::defaults("/srv/mail \"x\"".into());
        config.auth.plaintext_networks = vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        config.auth.password_cache = Duration::from_secs(60);
        config.limits.connections = 5;
        let listed = |text: &str| vec![text.parse().unwrap()];
        config.listeners[0].networks = ListenerNetworks {
            allow: listed("10.0.0.0/8"),
            deny: listed("10.9.0.0/16"),
            proxy: listed("10.1.0.1"),
            id: listed("10.1.0.2"),
        };
        config.process = Process { user: Some("mail".into()), confine: Confine::Required };
        config.admin_contact = "mailto:postmaster@example.org".into();
        config.comment = "Two \"quoted\" words".into();
        config.store.keep_expunged = Duration::from_secs(90);
        let name = |text: &str| MailboxName::new(text).unwrap();
        config.mailboxes =
            Mailboxes(vec![(SpecialUse::Sent, name("Mail/Gesendet \"x\"")), (SpecialUse::Memos, name("Memos"))]);
        assert_eq!(read(&config.to_toml(), Path::new("/")).unwrap(), config);
    }
}
