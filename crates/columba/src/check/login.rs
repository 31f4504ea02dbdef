//! A login as a client does it, step by step, so that the one that fails can be named. The password goes only where the
//! certificate is good, unless it was said otherwise; INBOX is opened read-only.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use columba_auth::Secret;
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::connect::{State, connect};
use super::conversation::{Answer, Conversation, Patience, Status};
use super::endpoint::milliseconds;
use super::findings::{Code, Finding};
use super::greeting::{self, Greeting};
use super::shown::Shown;
use super::target::Security;
use super::tls::{Belief, Roots, handshake};

/// What a login needs.
pub(crate) struct Attempt<'a> {
    /// Where it may be tried, best first.
    pub(crate) places: Vec<(SocketAddr, Security)>,
    pub(crate) name: ServerName<'static>,
    pub(crate) roots: &'a Roots,
    pub(crate) belief: Belief,
    pub(crate) account: &'a str,
    pub(crate) password: &'a Secret,
    /// For each step.
    pub(crate) step: Duration,
}

/// The steps in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    Resolve,
    Connect,
    Tls,
    Greeting,
    Capability,
    Mechanism,
    Login,
    Select,
}

impl Step {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Greeting => "greeting",
            Self::Capability => "capability",
            Self::Mechanism => "mechanism",
            Self::Login => "login",
            Self::Select => "select INBOX",
        }
    }
}

/// One step that was taken.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    pub(crate) is_ok: bool,
    pub(crate) what: Shown,
    pub(crate) milliseconds: f64,
}

/// All steps; the last one has failed, or all have worked.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Login {
    pub(crate) place: Option<SocketAddr>,
    pub(crate) steps: Vec<Taken>,
}

/// That a step failed and nothing follows.
struct Stopped;

impl Login {
    /// Notes how a step went, and whether to go on.
    pub(crate) fn took(&mut self, step: Step, started: Instant, went: Result<String, String>) -> bool {
        let (is_ok, what) = match went {
            Ok(what) => (true, what),
            Err(why) => (false, why),
        };
        let milliseconds = milliseconds(started.elapsed());
        self.steps.push(Taken { step, is_ok, what: Shown::text(&what), milliseconds });
        is_ok
    }

    fn step<T>(&mut self, step: Step, started: Instant, went: Result<(T, String), String>) -> Result<T, Stopped> {
        match went {
            Ok((value, what)) => {
                self.took(step, started, Ok(what));
                Ok(value)
            }
            Err(why) => {
                self.took(step, started, Err(why));
                Err(Stopped)
            }
        }
    }

    pub(crate) fn finding(&self, account: &str) -> Finding {
        let place = self.place.map(|place| place.to_string()).unwrap_or_default();
        let account = Shown::text(account);
        match self.steps.iter().find(|taken| !taken.is_ok) {
            None => {
                let total: f64 = self.steps.iter().map(|taken| taken.milliseconds).sum();
                Finding::new(Code::LoginWorks, place, format!("{account} can log in; it took {total:.0} ms"))
            }
            Some(failed) => {
                let what = format!("{account} cannot log in, for the step \"{}\": {}", failed.step.name(), failed.what);
                Finding::new(Code::LoginFailed, place, what)
            }
        }
    }
}

impl Attempt<'_> {
    /// Tries it.
    pub(crate) async fn run(&self, login: &mut Login) {
        let patience = Patience::new(self.step);
        let Ok((stream, security)) = self.connect(login, patience).await else { return };
        // Which step failed is written down.
        let _ = match security {
            Security::Tls => self.begin_tls(login, stream, patience).await,
            Security::StartTls => self.begin_starttls(login, stream, patience).await,
            Security::Plain => self.greet(login, Conversation::new(stream, patience)).await,
        };
    }

    async fn connect(&self, login: &mut Login, patience: Patience) -> Result<(TcpStream, Security), Stopped> {
        let started = Instant::now();
        let mut tried = Vec::new();
        for (address, security) in &self.places {
            let connected = connect(*address, patience.next()).await;
            match connected.stream {
                Some(stream) => {
                    login.place = Some(*address);
                    let went = Ok(((stream, *security), format!("{address}, {}", security.name())));
                    return login.step(Step::Connect, started, went);
                }
                None => tried.push(format!("{address} is {}", state_words(connected.state))),
            }
        }
        login.step(Step::Connect, started, Err(tried.join(", ")))
    }

    async fn begin_tls(&self, login: &mut Login, stream: TcpStream, patience: Patience) -> Result<(), Stopped> {
        let stream = self.shake(login, stream, patience).await?;
        self.greet(login, Conversation::new(stream, patience)).await
    }

    async fn begin_starttls(&self, login: &mut Login, stream: TcpStream, patience: Patience) -> Result<(), Stopped> {
        let mut talk = Conversation::new(stream, patience);
        read_greeting(login, &mut talk).await?;
        let started = Instant::now();
        let went = match talk.command("c1", "STARTTLS").await {
            Ok(answer) if answer.status == Status::Ok => Ok(()),
            Ok(answer) => Err(format!("STARTTLS was refused: {}", Shown::octets(&answer.text))),
            Err(broken) => Err(format!("STARTTLS: {}", broken.words())),
        };
        if let Err(why) = went {
            return login.step(Step::Tls, started, Err(why));
        }
        let stream = self.shake(login, talk.into_parts().0, patience).await?;
        self.authenticate(login, Conversation::new(stream, patience)).await
    }

    async fn shake(
        &self,
        login: &mut Login,
        stream: TcpStream,
        patience: Patience,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Stopped> {
        let started = Instant::now();
        let shaken = handshake(stream, &self.name, self.roots, self.belief, patience.next()).await;
        let went = shaken.map(|done| (done.stream, format!("{}, {}", done.agreed.version.name(), done.agreed.cipher)));
        login.step(Step::Tls, started, went.map_err(|failure| failure.words()))
    }

    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        login: &mut Login,
        mut talk: Conversation<S>,
    ) -> Result<(), Stopped> {
        read_greeting(login, &mut talk).await?;
        self.authenticate(login, talk).await
    }

    async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        login: &mut Login,
        mut talk: Conversation<S>,
    ) -> Result<(), Stopped> {
        let started = Instant::now();
        let went = match talk.command("c2", "CAPABILITY").await {
            Ok(answer) => match answer.untagged.iter().find_map(|line| greeting::capabilities(line)) {
                Some(all) => Ok((all.clone(), format!("{} capabilities", all.len()))),
                None => Err(format!("the server tells none: {}", Shown::octets(&answer.text))),
            },
            Err(broken) => Err(broken.words()),
        };
        let capabilities = login.step(Step::Capability, started, went)?;
        let way = login.step(Step::Mechanism, Instant::now(), way(&capabilities))?;
        let started = Instant::now();
        let went = match self.say(&mut talk, way).await {
            Ok(answer) if answer.status == Status::Ok => Ok(((), format!("as {}", self.account))),
            Ok(answer) => Err(refusal(&answer)),
            Err(why) => Err(why),
        };
        login.step(Step::Login, started, went)?;
        let started = Instant::now();
        let went = match talk.command("c5", "EXAMINE INBOX").await {
            Ok(answer) if answer.status == Status::Ok => Ok(((), exists(&answer))),
            Ok(answer) => Err(format!("INBOX cannot be opened: {}", Shown::octets(&answer.text))),
            Err(broken) => Err(broken.words()),
        };
        login.step(Step::Select, started, went)?;
        let _ = talk.command("c6", "LOGOUT").await;
        Ok(())
    }

    /// Sends name and password.
    async fn say<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        talk: &mut Conversation<S>,
        way: Way,
    ) -> Result<Answer, String> {
        let password = self.password.octets();
        let message = [b"\0", self.account.as_bytes(), b"\0", password].concat();
        let encoded = STANDARD.encode(message);
        let pieces = match way {
            // RFC 9051 §6.2.2: with SASL-IR the first message comes along.
            Way::PlainAtOnce => vec![format!("c4 AUTHENTICATE PLAIN {encoded}\r\n").into_bytes()],
            Way::Plain => vec![b"c4 AUTHENTICATE PLAIN\r\n".to_vec(), format!("{encoded}\r\n").into_bytes()],
            // Literals hold any name and password.
            Way::Login => vec![
                format!("c4 LOGIN {{{}}}\r\n", self.account.len()).into_bytes(),
                format!("{} {{{}}}\r\n", self.account, password.len()).into_bytes(),
                [password, b"\r\n"].concat(),
            ],
        };
        let mut last = Err("the server was not asked".into());
        for piece in pieces {
            talk.send(&piece).await.map_err(|broken| broken.words())?;
            let answer = talk.answer("c4").await.map_err(|broken| broken.words())?;
            if !(answer.status == Status::Other && answer.text.starts_with(b"+")) {
                return Ok(answer);
            }
            last = Err("the server goes on asking".into());
        }
        last
    }
}

const fn state_words(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Closed => "closed (refused)",
        State::Filtered => "filtered (no answer)",
        State::Unreachable => "out of reach",
    }
}

async fn read_greeting<S: AsyncRead + AsyncWrite + Unpin>(
    login: &mut Login,
    talk: &mut Conversation<S>,
) -> Result<(), Stopped> {
    let started = Instant::now();
    let went = match talk.line().await {
        Ok(line) => match greeting::greeting(&line) {
            Greeting::Ok => Ok(((), Shown::octets(&line).to_string())),
            _ => Err(format!("that is no greeting to log in after: {}", Shown::octets(&line))),
        },
        Err(broken) => Err(broken.words()),
    };
    login.step(Step::Greeting, started, went)
}

/// How name and password are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    PlainAtOnce,
    Plain,
    Login,
}

fn way(capabilities: &[Shown]) -> Result<(Way, String), String> {
    let has = |name| greeting::has(capabilities, name);
    match (has("AUTH=PLAIN"), has("SASL-IR"), has("LOGINDISABLED")) {
        (true, true, _) => Ok((Way::PlainAtOnce, "AUTHENTICATE PLAIN".into())),
        (true, false, _) => Ok((Way::Plain, "AUTHENTICATE PLAIN".into())),
        (false, _, false) => Ok((Way::Login, "LOGIN".into())),
        (false, _, true) => {
            let offered = greeting::mechanisms(capabilities).join(", ");
            let offered = if offered.is_empty() { "nothing".into() } else { offered };
            Err(format!("the server offers {offered}; this check speaks PLAIN and LOGIN"))
        }
    }
}

/// What a refusal says (RFC 5530).
fn refusal(answer: &Answer) -> String {
    let meaning = match answer.code().as_deref() {
        Some("AUTHENTICATIONFAILED") => "name or password is wrong, or the account may not log in",
        Some("AUTHORIZATIONFAILED") => "the password is right, and this name may not be used with it",
        Some("EXPIRED") => "the password has expired",
        Some("PRIVACYREQUIRED") => "not without TLS",
        Some("UNAVAILABLE") => "the server cannot reach what knows the passwords",
        Some("CONTACTADMIN") => "the account is blocked; its administrator knows why",
        Some("LIMIT" | "INUSE") => "too many connections",
        _ => "refused",
    };
    format!("{meaning}: {}", Shown::octets(&answer.text))
}

/// What EXAMINE said of how many there are.
fn exists(answer: &Answer) -> String {
    let count = answer.untagged.iter().find_map(|line| {
        let text = std::str::from_utf8(line).ok()?;
        text.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse::<u32>().ok()
    });
    count.map_or_else(|| "opened".into(), |count| crate::output::counted(u64::from(count), "message", "messages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_follows_from_the_capabilities() {
        let way = |line: &[u8]| way(&greeting::capabilities(line).unwrap()).map(|(way, _)| way);
        assert_eq!(way(b"* CAPABILITY AUTH=PLAIN SASL-IR"), Ok(Way::PlainAtOnce));
        assert_eq!(way(b"* CAPABILITY AUTH=PLAIN LOGINDISABLED"), Ok(Way::Plain));
        assert_eq!(way(b"* CAPABILITY IMAP4rev1"), Ok(Way::Login));
        let none = way(b"* CAPABILITY LOGINDISABLED AUTH=GSSAPI").unwrap_err();
        assert!(none.contains("offers GSSAPI"), "{none}");
    }
}
