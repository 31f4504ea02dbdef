//! One address and port, looked at from connect to logout: what is there, as facts. What the facts mean is said in
//! `judge`. Every connection is bounded in octets and time; none logs in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::certificate::{Chain, read_chain, unix_now};
use super::connect::{State, connect};
use super::conversation::{Broken, Conversation, Patience, Status};
use super::greeting::{self, Greeting, IdField};
use super::hello::{Reply, Version};
use super::probes;
use super::shown::Shown;
use super::starttls::Injection;
use super::target::Security;
use super::tls::{Agreed, Belief, Handshake, Roots, TlsFailure, handshake};

/// How long a port may be silent before it is taken for one that wants TLS first, where that is not known.
const TLS_GUESS: Duration = Duration::from_millis(1500);

/// What is looked at, and how.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) address: SocketAddr,
    /// `None`: it is found out.
    pub(crate) security: Option<Security>,
    /// What the certificate has to be for.
    pub(crate) name: ServerName<'static>,
    pub(crate) roots: Arc<Roots>,
    /// For each step.
    pub(crate) step: Duration,
    /// One connection, nothing tried out.
    pub(crate) is_quick: bool,
}

impl Subject {
    /// The name for Server Name Indication; addresses have none (RFC 6066 §3).
    pub(crate) fn dns_name(&self) -> Option<String> {
        match &self.name {
            ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
            _ => None,
        }
    }
}

/// Whether a version of TLS, or something else, is offered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "offered", content = "detail")]
pub(crate) enum Offer {
    /// With the cipher suite.
    Yes(String),
    /// With how it was refused.
    No(String),
    /// With why it could not be told.
    Unknown(String),
}

/// A version and whether it is offered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct VersionOffer {
    pub(crate) version: Version,
    #[serde(flatten)]
    pub(crate) offer: Offer,
}

/// What STARTTLS came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "starttls", content = "detail")]
pub(crate) enum StartTls {
    NotOffered,
    Refused(Shown),
    Taken,
}

/// Everything seen at one address and port.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) security: Option<Security>,
    pub(crate) state: State,
    /// How the state was told.
    pub(crate) how: String,
    pub(crate) connect_milliseconds: f64,
    /// From connecting, or from the end of the handshake, to the greeting.
    pub(crate) greeting_milliseconds: Option<f64>,
    /// Until CAPABILITY was answered: what one exchange takes.
    pub(crate) answer_milliseconds: Option<f64>,
    pub(crate) greeting: Option<Shown>,
    #[serde(skip)]
    pub(crate) greeting_kind: Option<Greeting>,
    /// What speaks there, where it is not IMAP.
    pub(crate) service: Option<&'static str>,
    pub(crate) software: Option<Shown>,
    pub(crate) tells_version: bool,
    pub(crate) id: Vec<IdField>,
    pub(crate) capabilities_before_tls: Option<Vec<Shown>>,
    pub(crate) capabilities: Option<Vec<Shown>>,
    pub(crate) starttls: Option<StartTls>,
    pub(crate) injection: Option<Injection>,
    pub(crate) tls: Option<Agreed>,
    pub(crate) tls_failure: Option<String>,
    #[serde(skip)]
    pub(crate) is_not_tls: bool,
    pub(crate) versions: Vec<VersionOffer>,
    /// Whether cipher suites are offered that nobody should use.
    pub(crate) weak_cipher: Option<Offer>,
    pub(crate) certificate: Option<Chain>,
    /// Why the conversation ended early.
    pub(crate) broken: Option<String>,
    #[serde(skip)]
    pub(crate) is_silent: bool,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, security: Option<Security>) -> Self {
        Self {
            address,
            security,
            state: State::default(),
            how: String::new(),
            connect_milliseconds: 0.0,
            greeting_milliseconds: None,
            answer_milliseconds: None,
            greeting: None,
            greeting_kind: None,
            service: None,
            software: None,
            tells_version: false,
            id: Vec::new(),
            capabilities_before_tls: None,
            capabilities: None,
            starttls: None,
            injection: None,
            tls: None,
            tls_failure: None,
            is_not_tls: false,
            versions: Vec::new(),
            weak_cipher: None,
            certificate: None,
            broken: None,
            is_silent: false,
        }
    }

    /// Whether it greets as an IMAP server that lets people in.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.greeting_kind, Some(Greeting::Ok | Greeting::Preauth))
    }

    fn break_off(&mut self, broken: &Broken) {
        self.broken = Some(broken.words());
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Looks at one address and port.
pub(crate) async fn examine(subject: Subject) -> Endpoint {
    let patience = Patience::new(subject.step);
    let mut seen = Endpoint::new(subject.address, subject.security);
    let connected = connect(subject.address, patience.next()).await;
    (seen.state, seen.how) = (connected.state, connected.how);
    seen.connect_milliseconds = milliseconds(connected.took);
    let Some(stream) = connected.stream else { return seen };
    match subject.security {
        Some(Security::Tls) => look_within_tls(&subject, stream, &mut seen, patience).await,
        Some(Security::StartTls | Security::Plain) => look_in_plain(&subject, stream, &mut seen, patience).await,
        None => find_out(&subject, stream, &mut seen, patience).await,
    }
    if !subject.is_quick {
        probes::run(&subject, &mut seen).await;
    }
    seen
}

/// A port of which nothing is known: who greets has STARTTLS or nothing, who waits may want TLS.
async fn find_out(subject: &Subject, stream: TcpStream, seen: &mut Endpoint, patience: Patience) {
    let wait = patience.at_most(TLS_GUESS).next();
    if tokio::time::timeout(wait, stream.readable()).await.is_ok() {
        seen.security = Some(Security::StartTls);
        return look_in_plain(subject, stream, seen, patience).await;
    }
    seen.security = Some(Security::Tls);
    look_within_tls(subject, stream, seen, patience).await;
    if seen.tls.is_none() {
        // No TLS either, so it is silent as it was before.
        seen.security = None;
        seen.is_silent = !seen.is_not_tls;
        seen.broken = Some("it accepts, and says nothing".into());
    }
}

async fn look_within_tls(subject: &Subject, stream: TcpStream, seen: &mut Endpoint, patience: Patience) {
    match shake(subject, stream, seen, patience).await {
        Some(stream) => {
            let mut talk = Conversation::new(stream, patience);
            if greet(&mut talk, seen).await {
                ask_and_leave(&mut talk, seen).await;
            }
        }
        None if seen.is_not_tls => {
            // What does it speak? A new connection, and listening.
            if let Some(stream) = connect(subject.address, patience.next()).await.stream {
                identify(&mut Conversation::new(stream, patience.at_most(TLS_GUESS)), seen).await;
            }
        }
        None => {}
    }
}

async fn look_in_plain(subject: &Subject, stream: TcpStream, seen: &mut Endpoint, patience: Patience) {
    let mut talk = Conversation::new(stream, patience);
    if !greet(&mut talk, seen).await {
        return;
    }
    let before = ask_capabilities(&mut talk, seen).await;
    let offers = before.as_deref().is_some_and(|all| greeting::has(all, "STARTTLS"));
    seen.capabilities_before_tls = before;
    if seen.security == Some(Security::Plain) || !offers {
        seen.starttls = (!offers).then_some(StartTls::NotOffered);
        seen.capabilities = seen.capabilities_before_tls.clone();
        return finish(&mut talk, seen).await;
    }
    match talk.command("c1", "STARTTLS").await {
        Ok(answer) if answer.status == Status::Ok => seen.starttls = Some(StartTls::Taken),
        Ok(answer) => {
            seen.starttls = Some(StartTls::Refused(Shown::octets(&answer.text)));
            return;
        }
        Err(broken) => {
            seen.starttls = Some(StartTls::Refused(Shown::text(&broken.words())));
            return;
        }
    }
    // RFC 9051 §11.1: what came behind the answer, before TLS, is thrown away.
    let (stream, _) = talk.into_parts();
    if let Some(stream) = shake(subject, stream, seen, patience).await {
        ask_and_leave(&mut Conversation::new(stream, patience), seen).await;
    }
}

async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    subject: &Subject,
    stream: S,
    seen: &mut Endpoint,
    patience: Patience,
) -> Option<impl AsyncRead + AsyncWrite + Unpin + use<S>> {
    match handshake(stream, &subject.name, &subject.roots, Belief::Look, patience.next()).await {
        Ok(Handshake { stream, agreed, chain }) => {
            seen.tls = Some(agreed);
            take_chain(subject, &chain, seen);
            Some(stream)
        }
        Err(failure) => {
            seen.is_not_tls = failure == TlsFailure::NotTls;
            seen.tls_failure = Some(failure.words());
            None
        }
    }
}

fn take_chain(subject: &Subject, chain: &[CertificateDer<'_>], seen: &mut Endpoint) {
    seen.certificate = Some(read_chain(chain, &subject.name, &subject.roots, unix_now()));
}

/// The certificate that an old version showed, where no handshake could be finished.
pub(crate) fn take_old_chain(subject: &Subject, reply: &Reply, seen: &mut Endpoint) {
    if let (None, Reply::Taken { certificates, .. }) = (&seen.certificate, reply)
        && !certificates.is_empty()
    {
        let chain: Vec<_> = certificates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        take_chain(subject, &chain, seen);
    }
}

/// Reads the greeting; whether an IMAP server goes on talking.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut Conversation<S>, seen: &mut Endpoint) -> bool {
    let started = Instant::now();
    let line = match talk.line().await {
        Ok(line) => line,
        Err(broken) => {
            seen.break_off(&broken);
            seen.is_silent = broken == Broken::Silent;
            identify(talk, seen).await;
            return false;
        }
    };
    seen.greeting_milliseconds = Some(milliseconds(started.elapsed()));
    seen.greeting = Some(Shown::octets(&line));
    let kind = greeting::greeting(&line);
    seen.greeting_kind = Some(kind);
    if kind == Greeting::NotImap {
        seen.service = greeting::service(&line);
    }
    matches!(kind, Greeting::Ok | Greeting::Preauth)
}

/// Guesses what a server is that did not greet: some speak when spoken to.
async fn identify<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut Conversation<S>, seen: &mut Endpoint) {
    talk.patience = Patience::new(TLS_GUESS);
    let mut said = talk.scrap().await;
    if said.is_empty() && talk.send(b"c0 NOOP\r\n\r\n").await.is_ok() {
        said = talk.scrap().await;
    }
    if !said.is_empty() {
        seen.service = greeting::service(&said);
        let first = said.split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or_default();
        seen.greeting = Some(Shown::octets(first));
    }
}

/// The server's capabilities; `None` when it doesn't tell them.
async fn ask_capabilities<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &mut Conversation<S>,
    seen: &mut Endpoint,
) -> Option<Vec<Shown>> {
    let started = Instant::now();
    match talk.command("c0", "CAPABILITY").await {
        Ok(answer) => {
            seen.answer_milliseconds = Some(milliseconds(started.elapsed()));
            answer.untagged.iter().find_map(|line| greeting::capabilities(line))
        }
        Err(broken) => {
            seen.break_off(&broken);
            None
        }
    }
}

async fn ask_and_leave<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut Conversation<S>, seen: &mut Endpoint) {
    seen.capabilities = ask_capabilities(talk, seen).await;
    finish(talk, seen).await;
}

/// ID and LOGOUT.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut Conversation<S>, seen: &mut Endpoint) {
    if seen.capabilities.as_deref().is_some_and(|all| greeting::has(all, "ID"))
        && let Ok(answer) = talk.command("c2", "ID (\"name\" \"columba check\")").await
    {
        seen.id = answer.untagged.iter().find_map(|line| greeting::id(line)).unwrap_or_default();
    }
    let _ = talk.command("c3", "LOGOUT").await;
    let greeting = seen.greeting.clone().unwrap_or_default();
    seen.software = greeting::software(&greeting, &seen.id);
    seen.tells_version = greeting::tells_version(&greeting, &seen.id);
}
