//! What `quickstart` tells people: how to reach the server, lines to paste, and the message that waits in INBOX.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use columba_server::{Address, ListenerConfig, Protocol, TlsMode};
use columba_types::{Date, DateTime};
use serde_json::json;

use crate::commands::QuickAccount;

/// All there is to tell.
#[derive(Debug)]
pub(crate) struct Guide {
    pub(crate) data: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) reachable: Reachable,
    pub(crate) account: QuickAccount,
    /// Things that are not as one would expect.
    pub(crate) notes: Vec<String>,
    /// How this program was called, so that lines can be pasted.
    pub(crate) program: String,
}

/// Where the server can be reached, as it really listens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reachable {
    /// IMAP with STARTTLS.
    pub(crate) imap: Vec<Address>,
    /// IMAP with TLS from the start.
    pub(crate) imaps: Vec<Address>,
    pub(crate) lmtp: Vec<Address>,
}

impl Reachable {
    pub(crate) fn of(addresses: &[(ListenerConfig, Address)]) -> Self {
        let mut reachable = Self::default();
        for (listener, address) in addresses {
            let list = match (listener.protocol, listener.tls) {
                (Protocol::Lmtp, _) => &mut reachable.lmtp,
                (Protocol::Imap, TlsMode::Implicit) => &mut reachable.imaps,
                (Protocol::Imap, _) => &mut reachable.imap,
            };
            list.push(address.clone());
        }
        reachable
    }

    fn is_local(&self) -> bool {
        let all = self.imap.iter().chain(&self.imaps);
        all.filter_map(tcp).all(|address| address.ip().is_loopback())
    }
}

fn tcp(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    }
}

/// Host and port a client on this machine would use, IPv4 preferred.
fn host_and_port(addresses: &[Address]) -> Option<(String, u16)> {
    let all = || addresses.iter().filter_map(tcp);
    let address = all().find(SocketAddr::is_ipv4).or_else(|| all().next())?;
    let host = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    Some((host, address.port()))
}

impl Guide {
    /// For people. The last line begins with "Ready".
    pub(crate) fn text(&self) -> String {
        let mut out = String::from("Columba runs.\n\n");
        let list = |addresses: &[Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "  Account      {}", self.account.name);
        let _ = writeln!(out, "  Password     {}", self.password());
        let _ = writeln!(out, "  IMAP         {}  (TLS)", list(&self.reachable.imaps));
        let _ = writeln!(out, "               {}  (STARTTLS)", list(&self.reachable.imap));
        let _ = writeln!(out, "  LMTP         {}", list(&self.reachable.lmtp));
        let _ = writeln!(out, "  Certificate  {}  (its own, for clients to trust)", self.certificate.display());
        let _ = writeln!(out, "  Data         {}", self.data.display());
        for note in &self.notes {
            let _ = write!(out, "\n{note}");
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
        if self.reachable.is_local() {
            out.push_str("\nIt listens on this machine alone. To try it from a phone, start it with\n");
            let (program, data) = (&self.program, self.data());
            let _ = writeln!(out, "  {program} quickstart --data {data} --imap 0.0.0.0:1143 --imaps 0.0.0.0:1993");
        }
        self.write_clients(&mut out);
        self.write_delivery(&mut out);
        let _ = write!(out, "\nMore accounts, and mail you have:\n{}", self.commands());
        out.push_str("\nReady. Ctrl-C ends it; the same command starts it again, with everything as it was.\n");
        out
    }

    fn password(&self) -> String {
        match (&self.account.made_up, self.account.is_new) {
            (Some(password), _) => format!("{password}  (shown this once)"),
            (None, true) => "the one you gave".into(),
            (None, false) => {
                let name = &self.account.name;
                let (program, data) = (&self.program, self.data());
                format!("was shown at the first start; `{program} account passwd {name} --data {data}` sets another")
            }
        }
    }

    fn data(&self) -> String {
        shell_word(&self.data.display().to_string())
    }

    fn commands(&self) -> String {
        let (name, data, program) = (&self.account.name, self.data(), &self.program);
        format!(
            "  {program} account add NAME --data {data}\n  {program} import maildir {name} ~/Maildir --data {data}\n  \
             {program} import mbox {name} /var/mail/{name} --data {data}\n"
        )
    }

    fn write_clients(&self, out: &mut String) {
        let name = &self.account.name;
        let certificate = self.certificate.display().to_string();
        if let Some((host, port)) = host_and_port(&self.reachable.imaps) {
            let file = shell_word(&certificate);
            let _ = write!(
                out,
                "\nBy hand:\n  openssl s_client -connect {host}:{port} -CAfile {file} -crlf -quiet\n  \
                 a login {name} PASSWORD\n"
            );
            let bare = host.trim_matches(['[', ']']);
            let _ = write!(
                out,
                "\nmbsync (~/.mbsyncrc), then `mkdir -p ~/Mail/columba && mbsync columba`:\n  IMAPStore columba-remote\n  Host {bare}\n  \
                 Port {port}\n  User {name}\n  TLSType IMAPS\n  CertificateFile {certificate}\n\n  \
                 MaildirStore columba-local\n  Path ~/Mail/columba/\n  Inbox ~/Mail/columba/INBOX\n  SubFolders Verbatim\n\n  \
                 Channel columba\n  Far :columba-remote:\n  Near :columba-local:\n  Patterns *\n  Create Both\n  SyncState *\n"
            );
            let _ = write!(
                out,
                "\nNeoMutt:\n  neomutt -e 'set certificate_file={file}' -f imaps://{}@{host}:{port}/INBOX\n",
                name.replace('@', "%40")
            );
        }
        if let Some((host, port)) = host_and_port(&self.reachable.imaps) {
            let starttls = host_and_port(&self.reachable.imap)
                .map_or(String::new(), |(_, port)| format!(", or port {port} with STARTTLS"));
            let _ = write!(
                out,
                "\nThunderbird (set up by hand; it asks once whether to trust the certificate):\n  Server {host}, port {port}, \
                 SSL/TLS{starttls}, normal password, user name {name}\n"
            );
        }
    }

    fn write_delivery(&self, out: &mut String) {
        let Some(lmtp) = self.reachable.lmtp.first() else { return };
        match lmtp {
            Address::Tcp(address) => {
                let _ = write!(
                    out,
                    "\nPostfix: mail for users of this machine; for domains of their own, virtual_transport the same way:\n  \
                     postconf -e 'mailbox_transport = lmtp:inet:{address}' && postfix reload\n"
                );
            }
            Address::Unix(path) => {
                let transport = match path.strip_prefix("/var/spool/postfix") {
                    Ok(inside) => format!("lmtp:unix:{}", inside.display()),
                    Err(_) => format!("lmtp:unix:{}", path.display()),
                };
                let _ = write!(
                    out,
                    "\nPostfix: mail for users of this machine; for domains of their own, virtual_transport the same way:\n  \
                     postconf -e 'mailbox_transport = {transport}' && postfix reload\n"
                );
                if !path.starts_with("/var/spool/postfix") && !others_may_reach(path) {
                    out.push_str(
                        "  Postfix runs as a user of its own, which cannot enter the data directory. Start this as root with\n  \
                         --lmtp unix:/var/spool/postfix/private/columba and set it to lmtp:unix:private/columba\n",
                    );
                }
            }
        }
    }

    /// For programs: one line.
    pub(crate) fn json(&self) -> String {
        let list = |addresses: &[Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "ready": true,
            "data": self.data,
            "account": self.account.name,
            "password": self.account.made_up,
            "first_start": self.account.is_new,
            "certificate": self.certificate,
            "imap": list(&self.reachable.imap),
            "imaps": list(&self.reachable.imaps),
            "lmtp": list(&self.reachable.lmtp),
            "notes": self.notes,
            "pid": std::process::id(),
        })
        .to_string()
    }
}

/// Whether every directory above `path` lets other users through.
fn others_may_reach(path: &Path) -> bool {
    path.ancestors().skip(1).all(|directory| directory.metadata().is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

/// How this program was called, as a shell would take it.
pub(crate) fn program() -> String {
    shell_word(&std::env::args().next().unwrap_or_else(|| "columba".into()))
}

/// A word as a shell takes it for one.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The first message of an account, lines ended as RFC 5322 §2.3 wants them.
pub(crate) fn welcome(account: &str, now: DateTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (date, (hour, minute, second)) = (now.local_date(), now.local_time());
    let weekday = usize::try_from(date.days_since_epoch().rem_euclid(7)).unwrap_or(0);
    let weekday = DAYS.get(weekday).copied().unwrap_or_default();
    let (month, day, year) = (Date::month_name(date.month), date.day, date.year);
    let to = if account.contains('@') { account.to_owned() } else { format!("{account}@localhost") };
    let text = format!(
        "Date: {weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000\n\
         From: Columba <columba@localhost>\n\
         To: {to}\n\
         Subject: Welcome to Columba\n\
         Message-ID: <welcome.{}@columba.invalid>\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=us-ascii\n\
         \n\
         Your mail server works: this message is stored in it, and your client has\n\
         just fetched it.\n\
         \n\
         Next:\n\
         \n\
         - Bring your mail: columba import maildir, mbox or eml\n\
         - Let a mail server bring new mail: point Postfix to the LMTP socket\n\
         - Make more accounts: columba account add\n\
         - Serve for good: columba config default > columba.toml, put a real\n\
         \x20 certificate into it, then columba serve --config columba.toml\n\
         \n\
         Each command has --help with an example. You may delete this message.\n",
        now.unix_secs
    );
    text.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide(made_up: Option<&str>, is_new: bool, imaps: &str, lmtp: &str) -> Guide {
        let reachable = Reachable {
            imap: vec!["127.0.0.1:1143".parse().unwrap()],
            imaps: vec![imaps.parse().unwrap()],
            lmtp: vec![lmtp.parse().unwrap()],
        };
        let account = QuickAccount { name: "ann".into(), made_up: made_up.map(String::from), is_new };
        let (data, certificate) = ("/d d".into(), "/d d/tls/certificate.pem".into());
        let notes = vec!["Port 143 needs root; 1143 is used instead.".into()];
        Guide { data, certificate, reachable, account, notes, program: "columba".into() }
    }

    #[test]
    fn the_first_start_tells_all_a_person_needs() {
        let text = guide(Some("abcd-efgh"), true, "127.0.0.1:1993", "unix:/nonexistent/lmtp").text();
        for needed in [
            "abcd-efgh  (shown this once)",
            "openssl s_client -connect localhost:1993 -CAfile '/d d/tls/certificate.pem' -crlf -quiet",
            "CertificateFile /d d/tls/certificate.pem",
            "imaps://ann@localhost:1993/INBOX",
            "port 1143 with STARTTLS",
            "mailbox_transport = lmtp:unix:/nonexistent/lmtp",
            "--lmtp unix:/var/spool/postfix/private/columba",
            "Port 143 needs root",
            "this machine alone",
        ] {
            assert!(text.contains(needed), "{needed} is missing in\n{text}");
        }
        assert!(text.lines().last().unwrap().starts_with("Ready"));
    }

    #[test]
    fn a_later_start_and_other_addresses_tell_what_holds_then() {
        let text = guide(None, false, "0.0.0.0:993", "unix:/var/spool/postfix/private/columba").text();
        assert!(text.contains("columba account passwd ann --data '/d d'"), "{text}");
        assert!(text.contains("lmtp:unix:private/columba"), "{text}");
        assert!(!text.contains("this machine alone"), "{text}");
        assert!(guide(None, true, "[2001:db8::1]:993", "127.0.0.1:24").text().contains("lmtp:inet:127.0.0.1:24"));
    }

    #[test]
    fn programs_read_one_line() {
        let line = guide(Some("p"), true, "127.0.0.1:1993", "unix:/x").json();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["imaps"][0], "127.0.0.1:1993");
        assert_eq!(value["password"], "p");
    }

    #[test]
    fn the_welcome_is_a_message() {
        let text = welcome("ann", DateTime::utc(0));
        assert!(text.starts_with("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"));
        assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(text.split("\r\n").all(|line| line.len() <= 78));
    }
}
