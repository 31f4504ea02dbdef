//! One IMAP connection: a session on a link, and the change to TLS between two runs of it.

use columba_session::{End, Peer, Security, Session};
use columba_types::limits;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::debug;

use crate::accept::Shared;
use crate::link::SocketLink;
use crate::registry::Place;
use crate::transport::Transport;

/// What its listener offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered {
    pub(crate) starttls: bool,
    pub(crate) x_gm_ext_1: bool,
}

/// Serves it to its end.
pub(crate) async fn serve(shared: &Shared, place: &Place, transport: Transport, offered: Offered) {
    let mut session = Box::new(Session::new(shared.services.clone(), peer(shared, place, &transport, offered)));
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

fn peer(shared: &Shared, place: &Place, transport: &Transport, offered: Offered) -> Peer {
    let address = transport.peer_address();
    let security = match transport {
        Transport::Tls(_) => Security::Tls,
        // Without a certificate a STARTTLS would only fail.
        Transport::Plain(_) if offered.starttls && shared.tls.config().is_some() => Security::StartTlsOffered,
        Transport::Plain(_) => Security::Plain,
    };
    let trusted = |address| shared.config.plaintext_networks.iter().any(|network| network.contains(address));
    // What goes over a Unix socket does not leave the machine.
    Peer {
        connection: place.id,
        address,
        security,
        plaintext_allowed: address.is_none_or(trusted),
        x_gm_ext_1: offered.x_gm_ext_1,
    }
}
