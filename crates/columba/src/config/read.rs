//! Reads a configuration file: each setting with its checks. All mistakes come at once, in the file's order.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::address::{Address, Unreadable};
use super::hide::{HIDE, quirks_of, read_hide};
use super::mistake::Mistake;
use super::networks::{ListenerNetworks, read_networks};
use super::reader::{Reader, Section, Spanned};
use super::tls::{TLS, read_tls};
use super::{Clients, Config, Confine, Listener, Mailboxes, Protocol, TlsMode, VERSION};

const TOP: &[&str] = &[
    "version",
    "data",
    "host_name",
    "admin_contact",
    "comment",
    "listener",
    "tls",
    "auth",
    "process",
    "limits",
    "store",
    "mailboxes",
    "clients",
    "hide",
];
const LISTENER: &[&str] =
    &["protocol", "address", "tls", "extensions", "allow_networks", "deny_networks", "proxy_networks", "id_networks"];
const AUTH: &[&str] = &["password_cache", "plaintext_networks"];
const PROCESS: &[&str] = &["user", "confine"];
const LIMITS: &[&str] = &[
    "message_bytes",
    "connections",
    "connections_per_account",
    "connections_per_address",
    "messages_per_command",
    "messages_per_copy",
];
const STORE: &[&str] = &["keep_expunged", "shards"];
const MAILBOXES: &[&str] =
    &["archive", "drafts", "important", "junk", "memos", "scheduled", "sent", "snoozed", "trash"];
const CLIENTS: &[&str] = &["quirks"];

/// Reads `text`; paths in it are relative to `base`, the directory of the file.
///
/// # Errors
/// Every mistake there is. A file that is no TOML at all has the first one only; one for a newer Columba just that.
pub(crate) fn read(text: &str, base: &Path) -> Result<Config, Vec<Mistake>> {
    let document = match toml_edit::Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let what = format!("this is not TOML: {}", error.message().lines().next().unwrap_or_default());
            return Err(vec![Mistake::new(text, span, what, "mend this place; what follows is not looked at yet")]);
        }
    };
    let mut version_reader = Reader::new(text);
    // Only `version` is looked at here, so what else there is is nothing new to it.
    let bare = Section::only(document.as_table());
    if let Some(version) = version_reader.number(&bare, "version", 1..=u64::MAX >> 1)
        && version.value > VERSION
    {
        let what = format!("this file is for a newer Columba (version {})", version.value);
        let fix = format!("this is Columba {}, which reads version {VERSION}", env!("CARGO_PKG_VERSION"));
        return Err(vec![Mistake::new(text, version.span, what, fix)]);
    }
    let mut reader = Reader::new(text);
    let config = read_all(&mut reader, document.as_table(), base);
    if reader.mistakes.is_empty() {
        return Ok(config);
    }
    reader.mistakes.sort_by_key(|m| (m.line, m.column));
    Err(reader.mistakes)
}

fn read_all(reader: &mut Reader<'_>, table: &toml_edit::Table, base: &Path) -> Config {
    let top = reader.section("", table, TOP);
    reader.number(&top, "version", 1..=u64::MAX >> 1);
    let mut config = Config::defaults(PathBuf::from("/var/lib/columba"));
    if let Some(data) = reader.string(&top, "data") {
        config.data = base.join(&data.value);
        check_data(reader, &data, &config.data);
    }
    if let Some(name) = reader.string(&top, "host_name") {
        check_host_name(reader, &name);
        config.host_name = name.value;
    }
    if let Some(contact) = reader.string(&top, "admin_contact") {
        check_contact(reader, &contact);
        config.admin_contact = contact.value;
    }
    if let Some(comment) = reader.string(&top, "comment") {
        config.comment = comment.value;
    }
    let tls_written = top.has("tls");
    if let Some((section, span)) = reader.subsection(&top, "tls", "[tls]", TLS) {
        config.tls = read_tls(reader, &section, &span, base);
    }
    if let Some((section, _)) = reader.subsection(&top, "auth", "[auth]", AUTH) {
        read_auth(reader, &section, &mut config);
    }
    if let Some((section, _)) = reader.subsection(&top, "process", "[process]", PROCESS) {
        config.process.user = reader.string(&section, "user").map(|user| user.value);
        config.process.confine = reader.word(&section, "confine", &Confine::WORDS).map_or(Confine::Auto, |c| c.value);
    }
    if let Some((section, _)) = reader.subsection(&top, "limits", "[limits]", LIMITS) {
        read_limits(reader, &section, &mut config);
    }
    if let Some((section, _)) = reader.subsection(&top, "store", "[store]", STORE) {
        read_store(reader, &section, &mut config);
    }
    if let Some((section, _)) = reader.subsection(&top, "mailboxes", "[mailboxes]", MAILBOXES) {
        read_mailboxes(reader, &section, &mut config);
    }
    if let Some((section, _)) = reader.subsection(&top, "clients", "[clients]", CLIENTS)
        && let Some(quirks) = reader.string(&section, "quirks")
    {
        config.clients = Clients { rules: quirks_of(reader, &quirks, base), quirks: Some(base.join(quirks.value)) };
    }
    for (section, span) in reader.subsections(&top, "hide", "[[hide]]", HIDE) {
        config.hide.push(read_hide(reader, &section, &span));
    }
    let sections = reader.subsections(&top, "listener", "[[listener]]", LISTENER);
    if sections.is_empty() {
        config.fill_listeners();
    } else {
        config.listeners = read_listeners(reader, &sections, base, tls_written);
    }
    config
}

fn check_data(reader: &mut Reader<'_>, written: &Spanned<String>, path: &Path) {
    if written.value.is_empty() {
        reader.mistake(&written.span, "`data` is empty", "name the data directory, for instance \"/var/lib/columba\"");
    } else if path.exists() && !path.is_dir() {
        let what = format!("{} is not a directory", path.display());
        reader.mistake(&written.span, what, "name a directory; it is made when it is not there");
    }
}

fn check_host_name(reader: &mut Reader<'_>, name: &Spanned<String>) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if name.value.is_empty() || name.value.len() > 253 || !name.value.bytes().all(plain) {
        let what = format!("\"{}\" is no host name", name.value);
        reader.mistake(&name.span, what, "write letters, digits, hyphens and dots, for instance \"mail.example.org\"");
    }
}

/// RFC 5464 §3.2.1.1: the value of /shared/admin is a URI.
fn check_contact(reader: &mut Reader<'_>, contact: &Spanned<String>) {
    let scheme = contact.value.split_once(':').map_or("", |(scheme, _)| scheme);
    if !contact.value.is_empty() && (scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric())) {
        let what = format!("\"{}\" is no URI", contact.value);
        reader.mistake(&contact.span, what, "write one, for instance \"mailto:postmaster@example.org\"");
    }
}

fn read_auth(reader: &mut Reader<'_>, section: &Section<'_>, config: &mut Config) {
    if let Some(longest) = reader.duration(section, "password_cache") {
        config.auth.password_cache = longest.value;
    }
    config.auth.plaintext_networks = read_networks(reader, section, "plaintext_networks");
}

fn read_limits(reader: &mut Reader<'_>, section: &Section<'_>, config: &mut Config) {
    let limits = &mut config.limits;
    if let Some(octets) = reader.octets(section, "message_bytes") {
        limits.message_bytes = octets.value;
    }
    let counts = [
        ("connections", &mut limits.connections),
        ("connections_per_account", &mut limits.connections_per_account),
        ("connections_per_address", &mut limits.connections_per_address),
    ];
    for (key, setting) in counts {
        if let Some(count) = reader.number(section, key, 1..=10_000_000) {
            *setting = usize::try_from(count.value).unwrap_or(usize::MAX);
        }
    }
    let counts = [
        ("messages_per_command", &mut limits.messages_per_command),
        ("messages_per_copy", &mut limits.messages_per_copy),
    ];
    for (key, setting) in counts {
        // RFC 9738 §3: no less than 1000.
        if let Some(count) = reader.number(section, key, 1_000..=u64::from(u32::MAX)) {
            *setting = u32::try_from(count.value).ok();
        }
    }
}

fn read_store(reader: &mut Reader<'_>, section: &Section<'_>, config: &mut Config) {
    if let Some(keep) = reader.duration(section, "keep_expunged") {
        config.store.keep_expunged = keep.value;
    }
    if let Some(shards) = reader.number(section, "shards", 1..=64) {
        config.store.shards = usize::try_from(shards.value).unwrap_or(1);
    }
}

/// An empty name means that there is no such mailbox.
fn read_mailboxes(reader: &mut Reader<'_>, section: &Section<'_>, config: &mut Config) {
    for (key, special_use) in Mailboxes::SETTINGS {
        let Some(written) = reader.string(section, key) else { continue };
        config.mailboxes.0.retain(|(known, _)| *known != special_use);
        if written.value.is_empty() {
            continue;
        }
        match columba_store::normalise_name(&written.value) {
            Ok(name) if name.is_inbox() => {
                let what = format!("`{key}` cannot be INBOX, which new mail comes to");
                reader.mistake(&written.span, what, "choose another name, or \"\" for none");
            }
            Ok(name) => config.mailboxes.0.push((special_use, name)),
            Err(reason) => {
                let what = format!("\"{}\" cannot be a mailbox: {reason}", written.value);
                reader.mistake(&written.span, what, "levels are separated by /, as in \"Mail/Sent\"");
            }
        }
    }
    config.mailboxes.0.sort();
}

fn read_listeners(
    reader: &mut Reader<'_>,
    sections: &[(Section<'_>, Range<usize>)],
    base: &Path,
    tls_written: bool,
) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for (section, span) in sections {
        let protocol = reader.word(section, "protocol", &Protocol::WORDS).map(|p| p.value);
        if !section.has("protocol") {
            reader.mistake(span, "this listener has no `protocol`", "add protocol = \"imap\" or \"lmtp\"");
        }
        let tls = read_listener_tls(reader, section, protocol, tls_written);
        let x_gm_ext_1 = read_extensions(reader, section, protocol);
        let networks = ListenerNetworks::read(reader, section);
        if !section.has("address") {
            reader.mistake(span, "this listener has no `address`", "add address = \"0.0.0.0:143\" or \"unix:/…\"");
        }
        let Some(written) = reader.string(section, "address") else { continue };
        let address = match written.value.parse::<Address>() {
            Ok(address) => address.below(base),
            Err(Unreadable { what, fix }) => {
                reader.mistake(&written.span, what, fix);
                continue;
            }
        };
        check_address(reader, &written, &address, &listeners);
        listeners.push(Listener { protocol: protocol.unwrap_or(Protocol::Imap), address, tls, x_gm_ext_1, networks });
    }
    listeners
}

/// Extensions that are only there where a listener names them.
fn read_extensions(reader: &mut Reader<'_>, section: &Section<'_>, protocol: Option<Protocol>) -> bool {
    let mut found = false;
    for name in reader.strings(section, "extensions").unwrap_or_default() {
        if !name.value.eq_ignore_ascii_case("X-GM-EXT-1") || protocol == Some(Protocol::Lmtp) {
            let what = format!("there is no extension {:?} to be switched on here", name.value);
            reader.mistake(&name.span, what, "the only one is \"X-GM-EXT-1\", for imap");
        } else {
            found = true;
        }
    }
    found
}

fn read_listener_tls(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    protocol: Option<Protocol>,
    tls_written: bool,
) -> TlsMode {
    let by_default = match protocol {
        Some(Protocol::Imap) if tls_written => TlsMode::StartTls,
        _ => TlsMode::None,
    };
    let Some(tls) = reader.word(section, "tls", &TlsMode::WORDS) else { return by_default };
    if tls.value != TlsMode::None && !tls_written {
        let what = "this listener wants TLS, and there is no certificate";
        reader.mistake(&tls.span, what, "add a [tls] table with `certificate` and `key`");
    }
    tls.value
}

fn check_address(reader: &mut Reader<'_>, written: &Spanned<String>, address: &Address, before: &[Listener]) {
    if before.iter().any(|l| collide(&l.address, address)) {
        let what = format!("another listener has {address} already");
        reader.mistake(&written.span, what, "give each listener its own address or port");
    }
    if let Address::Unix(path) = address {
        let parent = path.parent().unwrap_or(Path::new("/"));
        // Within the data directory, which is made at start, the parent need not be there yet.
        if !parent.exists() && parent.parent().is_none_or(|p| !p.exists()) {
            let what = format!("the directory {} does not exist", parent.display());
            reader.mistake(&written.span, what, "make it, or name a socket in one that exists");
        }
        // sun_path of sockaddr_un holds 108 octets with the NUL (unix(7)).
        if path.as_os_str().len() > 107 {
            let what = format!("the path of this socket has {} octets", path.as_os_str().len());
            reader.mistake(&written.span, what, "choose a path of at most 107 octets");
        }
    }
}

/// Whether both cannot be listened on at once. `[::]` takes IPv4 too, unless `0.0.0.0` has a listener of its own; a
/// single IPv4 address beside either collides.
fn collide(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Tcp(a), Address::Tcp(b)) => {
            let any = |x: &SocketAddr| x.ip().is_unspecified();
            let same_family = a.is_ipv4() == b.is_ipv4();
            let covers =
                |wide: &SocketAddr, one: &SocketAddr| any(wide) && (same_family || (wide.is_ipv6() && !any(one)));
            a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        let found = read(text, Path::new("/nonexistent")).unwrap_err();
        found.iter().map(|m| m.render("c.toml", text)).collect()
    }

    #[test]
    fn an_empty_file_is_valid() {
        let config = read("", Path::new("/etc")).unwrap();
        assert_eq!(config.data, Path::new("/var/lib/columba"));
        assert_eq!(config.listeners.len(), 3);
        assert!(config.listeners.iter().all(|l| l.tls == TlsMode::None));
    }

    #[test]
    fn a_newer_file_is_refused_for_that_alone() {
        let text = "version = 2\nquantum = true\n";
        let found = read(text, Path::new("/")).unwrap_err();
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("newer Columba (version 2)"));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place_and_fix() {
        let text = r#"version = 1
dta = "/srv/mail"
data = 7
listener = [{ protocol = "imap", address = "0.0.0.0:143" }, { protocol = "imap", address = "127.0.0.1:143" }]
[limits]
connections = "many"
message_bytes = "25 megs"
connections_per_account = 0
[auth]
plaintext_networks = ["10.1.0.0/8", 5]
[store]
keep_expunged = 7
"#;
        let expected = r#"c.toml:2:1: there is no setting `dta` at the top level
    dta = "/srv/mail"
    ^^^ did you mean `data`?
c.toml:3:8: `data` is a text in quotes, not a whole number
    data = 7
           ^ write data = "7"
c.toml:4:92: another listener has 127.0.0.1:143 already
    listener = [{ protocol = "imap", address = "0.0.0.0:143" }, { protocol = "imap", address = "127.0.0.1:143" }]
                                                                                               ^^^^^^^^^^^^^^^ give each listener its own address or port
c.toml:6:15: `connections` is a whole number, not a text
    connections = "many"
                  ^^^^^^ write connections = 1
c.toml:7:17: `message_bytes` cannot be "25 megs"
    message_bytes = "25 megs"
                    ^^^^^^^^^ write a number with KiB, MiB or GiB (or KB, MB, GB), for instance "256 MiB"
c.toml:8:27: `connections_per_account` cannot be 0
    connections_per_account = 0
                              ^ write a number from 1 to 10000000
c.toml:10:23: "10.1.0.0/8" has bits set beyond its prefix
    plaintext_networks = ["10.1.0.0/8", 5]
                          ^^^^^^^^^^^^ write 10.0.0.0/8
c.toml:10:37: `plaintext_networks` is a list of texts, and this is a whole number
    plaintext_networks = ["10.1.0.0/8", 5]
                                        ^ put it in quotes
c.toml:12:17: `keep_expunged` is a time span, not a whole number
    keep_expunged = 7
                    ^ write keep_expunged = "7d"
"#;
        let found = mistakes(text);
        assert_eq!(found, expected, "{found}");
    }

    #[test]
    fn listeners_and_certificates_are_checked() {
        let text = r#"[[listener]]
protocol = "imap"
adress = "0.0.0.0:143"
tls = "startls"
[[listener]]
protocol = "lmtp"
address = "unix:/no/such/place/lmtp"
tls = "implicit"
[[listener]]
protocol = "pop3"
address = "143"
[tls]
certificate = "missing.pem"
"#;
        let expected = r#"c.toml:1:1: this listener has no `address`
    [[listener]]
    ^^^^^^^^^^^^ add address = "0.0.0.0:143" or "unix:/…"
c.toml:3:1: there is no setting `adress` in [[listener]]
    adress = "0.0.0.0:143"
    ^^^^^^ did you mean `address`?
c.toml:4:7: `tls` cannot be "startls"
    tls = "startls"
          ^^^^^^^^^ did you mean "starttls"?
c.toml:7:11: the directory /no/such/place does not exist
    address = "unix:/no/such/place/lmtp"
              ^^^^^^^^^^^^^^^^^^^^^^^^^^ make it, or name a socket in one that exists
c.toml:10:12: `protocol` cannot be "pop3"
    protocol = "pop3"
               ^^^^^^ write one of "imap", "lmtp"
c.toml:11:11: "143" has no IP address
    address = "143"
              ^^^^^ write 0.0.0.0:143 for every IPv4 address
c.toml:12:2: [tls] has no `key`
    [tls]
     ^^^ add key = "…", a PEM file
c.toml:13:15: /nonexistent/missing.pem cannot be read: No such file or directory (os error 2)
    certificate = "missing.pem"
                  ^^^^^^^^^^^^^ name a PEM file with a certificate that this user may read
"#;
        let found = mistakes(text);
        assert_eq!(found, expected, "{found}");
    }

    #[test]
    fn mailboxes_of_new_accounts_are_chosen() {
        let text = "[mailboxes]\nsent = \"Gesendet\"\njunk = \"\"\nmemos = \"Notizen/Memos\"\n";
        let config = read(text, Path::new("/")).unwrap();
        let shown = config.to_toml();
        let (_, mailboxes) = shown.split_once("[mailboxes]\n").unwrap();
        assert!(
            mailboxes.contains("archive = \"Archive\"\n") && mailboxes.contains("sent = \"Gesendet\"\n"),
            "{shown}"
        );
        assert!(mailboxes.contains("junk = \"\"\n") && mailboxes.contains("memos = \"Notizen/Memos\"\n"), "{shown}");
        let found = mistakes("[mailboxes]\nsent = \"a//b\"\ntrash = \"inbox\"\nspam = \"Spam\"\n");
        assert!(mistakes("admin_contact = \"me\"\n").contains("is no URI"));
        for expected in ["cannot be a mailbox", "cannot be INBOX", "no setting `spam`"] {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn tables_of_the_wrong_shape_are_told() {
        let found = mistakes("tls = 1\nlistener = \"0.0.0.0:143\"\n");
        assert!(found.contains("`tls` is a table, not a whole number"), "{found}");
        assert!(found.contains("`listener` is a list of tables, not a text"), "{found}");
        let found = mistakes("[listener]\nprotocol = \"imap\"\n");
        assert!(found.contains("begin each with a line [[listener]], in double brackets"), "{found}");
        let found = mistakes("a = \n");
        assert!(found.starts_with("c.toml:1:5: this is not TOML"), "{found}");
    }

    #[test]
    fn an_imap_listener_wants_starttls_when_there_is_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        std::fs::write(dir.path().join("k.pem"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
        let text = "[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
        let config = read(text, dir.path()).unwrap();
        assert_eq!(config.listeners.len(), 5);
        let one = format!("{text}[[listener]]\nprotocol = \"imap\"\naddress = \"[::]:143\"\n");
        assert_eq!(read(&one, dir.path()).unwrap().listeners[0].tls, TlsMode::StartTls);
        let swapped = "[tls]\ncertificate = \"k.pem\"\nkey = \"c.pem\"\n";
        let found = read(swapped, dir.path()).unwrap_err();
        assert!(found.iter().all(|m| m.fix == "are `certificate` and `key` swapped?"), "{found:?}");
    }
}
