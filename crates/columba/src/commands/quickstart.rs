//! `columba quickstart`: a working server out of nothing, and what to do with it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;

use bytes::Bytes;
use columba_session::delivery::Delivery;
use columba_store::{AccountChange, NewAccount, Store, StoreError};
use columba_types::{DateTime, MailboxName};

use super::account::hashed;
use super::serve::{Serving, bind, has_ipv6};
use crate::admin::open_store;
use crate::certificate;
use crate::cli::{Place, Quickstart};
use crate::config::{Address, Config, Listener, Protocol, TlsFiles, TlsMode};
use crate::failure::Failure;
use crate::guide::{Guide, Reachable, program, welcome};
use crate::output::{Output, print};
use crate::password_entry::{Entered, from_stdin, random};
use crate::place::{QUICKSTART_DATA, absolute};
use crate::privileges::{Ground, Usual};
use crate::runtime::in_runtime;

/// Everything that only root may do comes first, and before any thread is started; then the runtime begins, confined.
pub(super) fn run(place: &Place, options: Quickstart, output: Output) -> Result<(), Failure> {
    if place.config.is_some() {
        let hint = "use `columba serve --config FILE`, or leave --config away";
        return Err(Failure::new("quickstart has no configuration").hint(hint));
    }
    let chosen = if options.password_stdin { Some(from_stdin()?) } else { None };
    let data = absolute(place.data.as_deref().unwrap_or(Path::new(QUICKSTART_DATA)))?;
    let mut config = Config::defaults(data.clone());
    let ground = Ground::claim(&config, Usual::Owner)?;
    let ports = choose_listeners(&mut config, &options);
    let addresses: Vec<IpAddr> = config.listeners.iter().filter_map(|l| tcp(&l.address)).map(|a| a.ip()).collect();
    let made = certificate::find_or_make(&data, &config.host_name, &addresses)?;
    config.tls = Some(TlsFiles::new(made.certificate.clone(), made.key));
    // Before the account: a password must not be made up and then lost because a port is taken.
    let bound = bind(&config, Vec::new())?;
    if let Some(error) = bound.tls_error() {
        return Err(Failure::new(format!("the certificate cannot be used: {error}"))
            .hint(format!("remove {} and start again; a new one is made", data.join("tls").display())));
    }
    let (claim, admin) = ground.settle(&config)?;
    in_runtime(async {
        let store = open_store(&config, claim).await?;
        let account = find_or_make_account(&store, &options, chosen).await?;
        let reachable = Reachable::of(&bound.addresses());
        let serving = Serving::start(bound, store, admin)?;
        let guide = Guide { data, certificate: made.certificate, reachable, account, notes: ports, program: program() };
        match output {
            Output::Text => print(&guide.text()),
            Output::Json => print(&guide.json()),
        }
        serving.until_told().await;
        Ok(())
    })
}

fn tcp(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    }
}

/// The listeners wanted, or the usual ports on this machine alone; what there is to say about them.
fn choose_listeners(config: &mut Config, options: &Quickstart) -> Vec<String> {
    let mut notes = Vec::new();
    let mut listeners = Vec::new();
    let kinds = [(&options.imap, 143, 1143, TlsMode::StartTls), (&options.imaps, 993, 1993, TlsMode::Implicit)];
    for (chosen, usual, other, tls) in kinds {
        let addresses = if chosen.is_empty() { loopback(usual, other, &mut notes) } else { chosen.clone() };
        listeners.extend(addresses.into_iter().map(|address| Listener::new(Protocol::Imap, address, tls)));
    }
    let lmtp = options.lmtp.clone().unwrap_or_else(|| Address::Unix(config.data.join("lmtp")));
    listeners.push(Listener::new(Protocol::Lmtp, lmtp, TlsMode::None));
    config.listeners = listeners;
    notes
}

/// Loopback with the usual port, or another one where that one cannot be had.
fn loopback(usual: u16, other: u16, notes: &mut Vec<String>) -> Vec<Address> {
    let ips: Vec<IpAddr> = if has_ipv6() {
        vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]
    } else {
        vec![IpAddr::from([127, 0, 0, 1])]
    };
    let can_be_had = |port: u16| ips.iter().try_for_each(|ip| TcpListener::bind((*ip, port)).map(drop));
    let port = match can_be_had(usual) {
        Ok(()) => usual,
        Err(error) => {
            let port = if can_be_had(other).is_ok() { other } else { free_port() };
            let why = match error.kind() {
                std::io::ErrorKind::PermissionDenied => "needs root",
                std::io::ErrorKind::AddrInUse => "is taken by another program",
                _ => "cannot be had",
            };
            notes.push(format!("Port {usual} {why}; {port} is used instead."));
            port
        }
    };
    ips.into_iter().map(|ip| Address::Tcp((ip, port).into())).collect()
}

/// A port that is free on loopback just now; 0, so that each address gets one of its own, if even that cannot be told.
fn free_port() -> u16 {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.map_or(0, |address| address.port())
}

/// The account to use.
#[derive(Clone, Debug)]
pub(crate) struct QuickAccount {
    pub(crate) name: String,
    /// The password, if it was made up at this start.
    pub(crate) made_up: Option<String>,
    /// Whether it was made at this start.
    pub(crate) is_new: bool,
}

async fn find_or_make_account(
    store: &Store,
    options: &Quickstart,
    chosen: Option<columba_auth::Secret>,
) -> Result<QuickAccount, Failure> {
    let failed = |error: StoreError| Failure::new(format!("the account cannot be made: {error}"));
    let wanted = options.account.clone().unwrap_or_else(user_name);
    let found = match store.account_named(&wanted).await.map_err(failed)? {
        // Whoever did not say which account is content with the one there is.
        None if options.account.is_none() => store.accounts(None, 1).await.map_err(failed)?.pop(),
        found => found,
    };
    if let Some(account) = found {
        if let Some(password) = chosen {
            let credentials = hashed(&Entered { password, made_up: None }).await?;
            let change = AccountChange { credentials: Some(credentials), ..AccountChange::default() };
            store.update_account(account.id, change).await.map_err(failed)?;
        }
        return Ok(QuickAccount { name: account.name, made_up: None, is_new: false });
    }
    let entered = chosen.map_or_else(random, |password| Entered { password, made_up: None });
    let credentials = hashed(&entered).await?;
    let new = NewAccount { name: wanted.clone(), credentials, disabled: false };
    let account = store.create_account(new).await.map_err(failed)?;
    deliver_welcome(store, &account).await.map_err(failed)?;
    Ok(QuickAccount { name: account.name, made_up: entered.made_up, is_new: true })
}

/// The name of the person at the keyboard, so that mail to the local user arrives.
fn user_name() -> String {
    let name = ["USER", "LOGNAME"].iter().find_map(|key| std::env::var(key).ok()).unwrap_or_default();
    let usable = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if usable { name } else { "columba".into() }
}

async fn deliver_welcome(store: &Store, account: &columba_store::Account) -> Result<(), StoreError> {
    let mail = store.open_account(account.id).await?;
    let id = mail.tree().mailbox(&MailboxName::inbox()).ok_or(StoreError::NotFound)?;
    let inbox = mail.mailbox(id).await?;
    let now = DateTime::utc(account.created_millis.div_euclid(1000));
    let mut delivery = Delivery::begin(&mail);
    delivery.write(Bytes::from(welcome(&account.name, now))).await?;
    let message = delivery.finish(Vec::new(), now).await?;
    inbox.append(vec![message]).await.map(drop)
}
