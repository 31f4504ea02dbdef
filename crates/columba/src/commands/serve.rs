//! `columba serve`, and what it shares with `quickstart`: a bound server, its administration, its signals.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Weak};
use std::time::Instant;

use columba_server::{Address, Bound, HandedSocket, ListenerConfig, Networks, Running, Server, TlsMode};
use columba_store::Store;
use columba_types::{AccountId, limits};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::admin::{AdminSocket, Barring, open_store};
use crate::cli::Place;
use crate::config::{self, Config, Protocol};
use crate::failure::Failure;
use crate::handed;
use crate::output::{Output, print};
use crate::place::configuration;
use crate::privileges::{Ground, Usual};
use crate::runtime::in_runtime;

/// Everything that only root may do comes first, and before any thread is started; then the runtime begins, confined.
pub(super) fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let mut config = configuration(place)?;
    let handed = handed::take(&mut config)?;
    drop_ipv6_defaults(&mut config);
    let ground = Ground::claim(&config, Usual::OwnerOrColumba)?;
    let bound = bind(&config, handed)?;
    if let Some(error) = bound.tls_error() {
        warn!(%error, "the server starts without TLS");
    } else if config.tls.is_none() && config.auth.plaintext_networks.is_empty() {
        warn!("there is no [tls] and no auth.plaintext_networks: nobody can log in but over a Unix socket");
    }
    let (claim, admin) = ground.settle(&config)?;
    in_runtime(async {
        let store = open_store(&config, claim).await?;
        let addresses = bound.addresses();
        let serving = Serving::start(bound, store, admin)?;
        let ready: Vec<String> = addresses.iter().map(|(listener, address)| describe(listener, address)).collect();
        match output {
            Output::Text => print(&format!("Ready: {}", ready.join(", "))),
            Output::Json => {
                print(&json!({ "ready": true, "data": config.data, "listeners": listeners(&addresses) }).to_string())
            }
        }
        serving.until_told().await;
        Ok(())
    })
}

fn describe(listener: &ListenerConfig, address: &Address) -> String {
    let tls = match listener.tls {
        TlsMode::StartTls => " (STARTTLS)",
        TlsMode::Implicit => " (TLS)",
        TlsMode::None => "",
    };
    format!("{} on {address}{tls}", listener.protocol)
}

/// The listeners as a program reads them.
pub(super) fn listeners(addresses: &[(ListenerConfig, Address)]) -> Vec<serde_json::Value> {
    let one = |(listener, address): &(ListenerConfig, Address)| {
        let tls = match listener.tls {
            TlsMode::StartTls => "starttls",
            TlsMode::Implicit => "implicit",
            TlsMode::None => "none",
        };
        let protocol = listener.protocol.to_string().to_lowercase();
        json!({ "protocol": protocol, "address": address.to_string(), "tls": tls })
    };
    addresses.iter().map(one).collect()
}

/// A machine without IPv6 is no reason not to serve, as long as nobody asked for IPv6.
fn drop_ipv6_defaults(config: &mut Config) {
    let by_default =
        Config { tls: config.tls.clone(), ..Config::defaults(config.data.clone()) }.with_default_listeners();
    if config.listeners == by_default.listeners && !has_ipv6() {
        config.listeners.retain(|listener| !matches!(listener.address, config::Address::Tcp(ip) if ip.is_ipv6()));
    }
}

pub(super) fn has_ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

/// Binds every listener.
pub(super) fn bind(config: &Config, handed: Vec<(ListenerConfig, HandedSocket)>) -> Result<Bound, Failure> {
    Server::bind(server_config(config), handed).map_err(|error| {
        Failure::new(error.to_string())
            .hint("choose other addresses, end the other program, or start as root for ports below 1024")
    })
}

fn server_config(config: &Config) -> columba_server::Config {
    let written = |text: &String| Some(text).filter(|text| !text.is_empty()).cloned();
    let tls = config.tls.as_ref().map(config::TlsFiles::for_server);
    columba_server::Config {
        listeners: config.listeners.iter().map(server_listener).collect(),
        tls,
        plaintext_networks: config::for_server(&config.auth.plaintext_networks),
        password_cache: config.auth.password_cache,
        connections_per_account: config.limits.connections_per_account,
        connections_per_address: config.limits.connections_per_address,
        connections: config.limits.connections,
        host_name: config.host_name.clone(),
        message_bytes: config.limits.message_bytes,
        messages_per_command: config.limits.messages_per_command,
        messages_per_copy: config.limits.messages_per_copy,
        admin_contact: written(&config.admin_contact),
        comment: written(&config.comment),
        spool: config.data.join("incoming"),
        hiding: config.clients.rules.iter().chain(&config.hide).map(config::Hide::rule).collect(),
        ..columba_server::Config::default()
    }
}

/// A listener as the server is told of it.
pub(crate) fn server_listener(listener: &config::Listener) -> ListenerConfig {
    ListenerConfig {
        protocol: match listener.protocol {
            Protocol::Imap => columba_server::Protocol::Imap,
            Protocol::Lmtp => columba_server::Protocol::Lmtp,
        },
        address: match &listener.address {
            config::Address::Tcp(address) => Address::Tcp(*address),
            config::Address::Unix(path) => Address::Unix(path.clone()),
        },
        x_gm_ext_1: listener.x_gm_ext_1,
        networks: Networks {
            allow: config::for_server(&listener.networks.allow),
            deny: config::for_server(&listener.networks.deny),
        },
        proxy_networks: config::for_server(&listener.networks.proxy),
        id_networks: config::for_server(&listener.networks.id),
        tls: match listener.tls {
            config::TlsMode::StartTls => TlsMode::StartTls,
            config::TlsMode::Implicit => TlsMode::Implicit,
            config::TlsMode::None => TlsMode::None,
        },
    }
}

/// A server at work, with everything around it.
pub(super) struct Serving {
    running: Arc<Running>,
    tasks: Vec<JoinHandle<()>>,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// Held weakly: a command still at work must not keep the server from shutting down politely.
struct Connections(Weak<Running>);

impl Barring for Connections {
    fn bar(&self, account: AccountId) {
        let Some(running) = self.0.upgrade() else { return };
        let ended = running.kick_account(account);
        info!(%account, ended, "connections of an account end");
    }
}

impl Serving {
    /// Begins to serve.
    pub(super) fn start(bound: Bound, store: Store, admin: AdminSocket) -> Result<Self, Failure> {
        let caught = |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be caught: {error}")));
        let signals = Signals {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
            hang_up: caught(SignalKind::hangup())?,
        };
        let running = bound.start(store.clone());
        let running = running.map_err(|error| Failure::new(format!("the listeners cannot be served: {error}")))?;
        let running = Arc::new(running);
        let barring: Arc<dyn Barring> = Arc::new(Connections(Arc::downgrade(&running)));
        let background = [tokio::spawn(reclaim(store.clone())), tokio::spawn(pack(store.clone()))];
        let mut tasks = vec![tokio::spawn(admin.serve(store, barring))];
        tasks.extend(background);
        notify_service_manager("READY=1");
        Ok(Self { running, tasks, signals })
    }

    /// Serves until a signal says to end, then ends politely; a second signal ends it at once.
    pub(super) async fn until_told(mut self) {
        loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                _ = self.signals.hang_up.recv() => self.reload().await,
            }
        }
        info!("shutting down");
        notify_service_manager("STOPPING=1");
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // What was aborted says so; there is nothing to learn from it.
            let _ = task.await;
        }
        let Some(running) = Arc::into_inner(self.running) else {
            return warn!("something still holds the server; its connections are cut off");
        };
        tokio::select! {
            () = running.shutdown() => {}
            _ = self.signals.terminate.recv() => warn!("ended at once"),
            _ = self.signals.interrupt.recv() => warn!("ended at once"),
        }
    }

    async fn reload(&self) {
        match self.running.reload_tls().await {
            Ok(true) => info!("the certificate was read again"),
            Ok(false) => info!("the certificate is the same as before"),
            Err(error) => error!(%error, "the certificate cannot be used; the old one stays"),
        }
    }
}

/// Gives back, now and then, what expunged messages leave behind.
async fn reclaim(store: Store) {
    loop {
        tokio::time::sleep(limits::RECLAIM_INTERVAL).await;
        match store.reclaim().await {
            Ok(reclaimed) if reclaimed.messages > 0 || reclaimed.bytes > 0 => {
                info!(
                    messages = reclaimed.messages,
                    bytes = reclaimed.bytes,
                    "space of expunged messages was given back"
                );
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "space of expunged messages could not be given back"),
        }
    }
}

/// Gives full pages of mailboxes their packs, one after the other, and rests longer the more others have to do.
async fn pack(store: Store) {
    loop {
        store.packs_wanted().await;
        let begun = Instant::now();
        if let Err(error) = store.pack_next().await {
            warn!(%error, "a page of a mailbox goes without packs");
        }
        if store.is_busy() {
            tokio::time::sleep(begun.elapsed() * limits::PACK_REST).await;
        }
    }
}

/// Tells systemd how it goes, where it asked to be told (sd_notify(3)).
fn notify_service_manager(state: &str) {
    use std::os::linux::net::SocketAddrExt;
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let name = std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str());
    let address = match name.strip_prefix(b"@") {
        Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name),
        None => std::os::unix::net::SocketAddr::from_pathname(String::from_utf8_lossy(name).as_ref()),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        warn!(%error, "the service manager cannot be told");
    }
}
