//! STARTTLS as an attacker would use it: a command sent behind it in the same packet, before TLS, must not be answered
//! within TLS (RFC 9051 §11.1, CVE-2011-0411). Also the way through STARTTLS to where a handshake begins.

use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::net::TcpStream;

use super::connect::connect;
use super::conversation::{Broken, Conversation, Patience, Status};
use super::endpoint::Subject;
use super::greeting::{Greeting, greeting};
use super::target::Security;
use super::tls::{Belief, Handshake, Roots, handshake};

/// What became of the command behind STARTTLS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "injection", content = "detail")]
pub(crate) enum Injection {
    /// It was answered within TLS.
    Answered,
    /// It was not, and how.
    Safe(String),
    Untested(String),
}

/// A connection on which a handshake may begin: at once, or after STARTTLS.
pub(crate) async fn ready_for_tls(
    subject: &Subject,
    security: Security,
    patience: Patience,
) -> Result<TcpStream, Broken> {
    let connected = connect(subject.address, patience.next()).await;
    let stream = connected.stream.ok_or_else(|| Broken::Failed(super::shown::Shown::text(&connected.how)))?;
    if security == Security::Tls {
        return Ok(stream);
    }
    let mut talk = Conversation::new(stream, patience);
    talk.line().await?;
    match talk.command("c1", "STARTTLS").await?.status {
        Status::Ok => Ok(talk.into_parts().0),
        _ => Err(Broken::Failed(super::shown::Shown::text("STARTTLS was refused"))),
    }
}

/// Tries it.
pub(crate) async fn inject(subject: &Subject, patience: Patience) -> Injection {
    let connected = connect(subject.address, patience.next()).await;
    match connected.stream {
        Some(stream) => try_injection(stream, &subject.name, &subject.roots, patience).await,
        None => Injection::Untested(connected.how),
    }
}

async fn try_injection(stream: TcpStream, name: &ServerName<'static>, roots: &Roots, patience: Patience) -> Injection {
    let mut talk = Conversation::new(stream, patience);
    match talk.line().await {
        Ok(line) if greeting(&line) == Greeting::Ok => {}
        Ok(_) => return Injection::Untested("the greeting was another one this time".into()),
        Err(broken) => return Injection::Untested(broken.words()),
    }
    // One write, so one packet.
    let sent = talk.send(b"c1 STARTTLS\r\nc2 NOOP\r\n").await;
    let answer = match sent {
        Ok(()) => talk.answer("c1").await,
        Err(broken) => Err(broken),
    };
    match answer {
        Ok(answer) if answer.status == Status::Ok => {}
        Ok(_) => return Injection::Safe("it refuses STARTTLS with something behind it".into()),
        Err(Broken::Closed) => return Injection::Safe("it closes the connection".into()),
        Err(broken) => return Injection::Untested(broken.words()),
    }
    let (stream, behind) = talk.into_parts();
    if !behind.is_empty() {
        return Injection::Safe("it answers in the clear, not within TLS".into());
    }
    let Ok(Handshake { stream, .. }) = handshake(stream, name, roots, Belief::Look, patience.next()).await else {
        return Injection::Safe("it takes the command for a broken handshake".into());
    };
    let mut talk = Conversation::new(stream, patience);
    match talk.command("c3", "NOOP").await {
        Ok(answer) if answer.untagged.iter().any(|line| line.starts_with(b"c2 ")) => Injection::Answered,
        Ok(_) => Injection::Safe("it throws the command away".into()),
        Err(Broken::Closed | Broken::Failed(_)) => Injection::Safe("it closes the connection".into()),
        Err(broken) => Injection::Untested(broken.words()),
    }
}
