//! One IMAP connection: a session on a link, and the change to TLS between two runs of it.

use columba_session::{End, Peer, Security, Session};
use columba_types::limits;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::debug;

use crate::Network;
use crate::accept::{Client, Shared};
use crate::config::{ListenerConfig, TlsMode};
use crate::link::SocketLink;
use crate::registry::Place;
use crate::transport::Transport;

/// Serves it to its end.
pub(crate) async fn serve(
    shared: &Shared,
    place: &Place,
    transport: Transport,
    listener: &ListenerConfig,
    client: Client,
) {
    let peer = peer(shared, place, &transport, listener, client);
    let mut session = Box::new(Session::new(shared.services.clone(), peer));
    let mut link = SocketLink::new(transport, place.stop.clone(), Instant::now());
    loop {
        match run(&mut session, &mut link).await {
            End::Closed => return link.transport.close().await,
            End::StartTls => {}
        }
        // The session has thrown away what came before (RFC 9051 §6.2.1), and so does this: the transport goes into the
        // handshake with what the socket holds from now on.
        let Some(config) = shared.tls.config() else { return };
        let begun = link.begun();
        match link.transport.secured(config, limits::TLS_HANDSHAKE).await {
            Ok(secured) => link = SocketLink::new(secured, place.stop.clone(), begun),
            Err(error) => {
                shared.registry.count_tls_failure();
                return debug!(connection = place.id, %error, "no TLS came about");
            }
        }
        session.tls_started();
    }
}

/// The session's run as one boxed future. Its lifetimes are named here, because the compiler cannot see within a task that
/// it may move between threads.
fn run<'a>(session: &'a mut Session, link: &'a mut SocketLink) -> BoxFuture<'a, End> {
    Box::pin(session.run(link))
}

fn peer(shared: &Shared, place: &Place, transport: &Transport, listener: &ListenerConfig, client: Client) -> Peer {
    let security = match transport {
        Transport::Tls(_) => Security::Tls,
        // Without a certificate a STARTTLS would only fail.
        Transport::Plain(_) if listener.tls == TlsMode::StartTls && shared.tls.config().is_some() => {
            Security::StartTlsOffered
        }
        Transport::Plain(_) => Security::Plain,
    };
    let among = |networks: &[Network], address| networks.iter().any(|network| network.contains(address));
    let trusted = |address| among(&shared.config.plaintext_networks, address);
    // What goes over a Unix socket does not leave the machine. What a proxy took off by TLS went in the clear behind it alone.
    Peer {
        connection: place.id,
        address: client.address,
        security,
        plaintext_allowed: client.address.is_none_or(trusted) || client.tls_at_proxy,
        x_gm_ext_1: listener.x_gm_ext_1,
        id_trusted: client.peer.is_some_and(|peer| among(&listener.id_networks, peer)),
    }
}
