//! What is tried out on connections of their own, one after the other: old versions of TLS, weak cipher suites, and a
//! command behind STARTTLS.

use super::conversation::Patience;
use super::endpoint::{Endpoint, Offer, StartTls, Subject, VersionOffer, take_old_chain};
use super::hello::{self, Reply, Suites, Version};
use super::starttls::{inject, ready_for_tls};
use super::target::Security;

/// Tries out what there is to be tried.
pub(crate) async fn run(subject: &Subject, seen: &mut Endpoint) {
    let security = match (seen.security, &seen.starttls) {
        (Some(Security::Tls), _) if !seen.is_not_tls => Security::Tls,
        (Some(Security::StartTls), Some(StartTls::Taken)) => Security::StartTls,
        _ => return,
    };
    let patience = Patience::new(subject.step);
    if security == Security::StartTls {
        seen.injection = Some(inject(subject, patience).await);
    }
    for version in [Version::Tls10, Version::Tls11, Version::Tls12] {
        let offer = match ask(subject, security, version, Suites::All, patience).await {
            Ok(reply) => {
                take_old_chain(subject, &reply, seen);
                offer(reply, version)
            }
            Err(why) => Offer::Unknown(why),
        };
        seen.versions.push(VersionOffer { version, offer });
    }
    let newest = match &seen.tls {
        Some(agreed) if agreed.version == Version::Tls13 => Offer::Yes(agreed.cipher.clone()),
        // RFC 8446 §4.1.3: who has 1.3 takes it when it is asked for, and it was.
        Some(agreed) => Offer::No(format!("it takes {}", agreed.version.name())),
        None => Offer::Unknown("no handshake was finished".into()),
    };
    seen.versions.push(VersionOffer { version: Version::Tls13, offer: newest });
    // Weak suites go with the newest version that has them.
    let old = seen.versions.iter().rev().find(|v| v.version != Version::Tls13 && matches!(v.offer, Offer::Yes(_)));
    if let Some(version) = old.map(|old| old.version) {
        seen.weak_cipher = Some(match ask(subject, security, version, Suites::Weak, patience).await {
            Ok(reply) => offer(reply, version),
            Err(why) => Offer::Unknown(why),
        });
    }
}

async fn ask(
    subject: &Subject,
    security: Security,
    version: Version,
    suites: Suites,
    patience: Patience,
) -> Result<Reply, String> {
    match ready_for_tls(subject, security, patience).await {
        Ok(mut stream) => Ok(hello::ask(&mut stream, version, suites, subject.dns_name().as_deref(), patience).await),
        Err(broken) => Err(broken.words()),
    }
}

fn offer(reply: Reply, version: Version) -> Offer {
    let taken = reply.takes(version);
    match reply {
        Reply::Taken { suite, .. } if taken => Offer::Yes(suite),
        Reply::Taken { .. } => Offer::No("it takes another version".into()),
        Reply::Refused(how) => Offer::No(how),
        Reply::Unclear(why) => Offer::Unknown(why),
    }
}
