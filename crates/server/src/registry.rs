//! Every connection there is: how many in all, of an address, of an account; and the way to end one from outside.
//! What is spoken on them is others' matter.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use columba_session::{AccountFull, Gate, Pass, Stop, Unwelcome};
use columba_types::AccountId;
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::config::{ListenerConfig, Protocol};
use crate::network::counted_as;

/// The word to end, on its way to one connection.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    said: AtomicU8,
    waker: AtomicWaker,
}

impl StopSignal {
    const SHUTDOWN: u8 = 1;
    const KICKED: u8 = 2;

    fn say(&self, stop: Stop) {
        let said = match stop {
            Stop::Shutdown => Self::SHUTDOWN,
            Stop::Kicked => Self::KICKED,
        };
        // The first word counts.
        _ = self.said.compare_exchange(0, said, Ordering::Release, Ordering::Relaxed);
        self.waker.wake();
    }

    fn said(&self) -> Option<Stop> {
        match self.said.load(Ordering::Acquire) {
            0 => None,
            Self::SHUTDOWN => Some(Stop::Shutdown),
            _ => Some(Stop::Kicked),
        }
    }

    /// Ready once the connection has to end. One task at a time may wait.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Stop> {
        if let Some(stop) = self.said() {
            return Poll::Ready(stop);
        }
        self.waker.register(cx.waker());
        // Said between looking and registering.
        self.said().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What is known of one connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionInfo {
    /// The number used in logs.
    pub id: u64,
    /// What is spoken.
    pub protocol: Protocol,
    /// Where it comes from; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// Who is logged in.
    pub account: Option<AccountId>,
    /// Seconds since it began.
    pub age_secs: u64,
}

/// Numbers since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Connections taken.
    pub accepted: u64,
    /// Connections refused for a limit.
    pub refused: u64,
    /// TLS handshakes that came to nothing.
    pub tls_failures: u64,
    /// Panics caught in connections: bugs.
    pub bugs: u64,
    /// Messages taken by LMTP, counted by recipient.
    pub delivered: u64,
}

#[derive(Debug, Default)]
struct Numbers {
    accepted: AtomicU64,
    refused: AtomicU64,
    tls_failures: AtomicU64,
    bugs: AtomicU64,
    delivered: AtomicU64,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) per_address: usize,
    pub(crate) per_account: usize,
}

/// Why a connection is refused before it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    Server,
    Address,
    /// It is no matter of number: nobody is served there.
    Network,
}

impl Full {
    /// In plain words, for the person behind the client.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Server => "The server has as many connections as it can take, try again later",
            Self::Network => "Clients from your network are not served here",
            Self::Address => "There are too many connections from your address, close some of them",
        }
    }
}

#[derive(Debug)]
struct Entry {
    protocol: Protocol,
    address: Option<IpAddr>,
    /// Where it is counted, if it is.
    counted: Option<IpAddr>,
    /// Who is served on its listener.
    listener: Arc<ListenerConfig>,
    account: Option<AccountId>,
    begun: Instant,
    stop: Arc<StopSignal>,
    task: Arc<OnceLock<AbortHandle>>,
}

#[derive(Debug, Default)]
struct Tables {
    connections: HashMap<u64, Entry>,
    addresses: HashMap<IpAddr, usize>,
    accounts: HashMap<AccountId, usize>,
    next: u64,
    /// Set by shutdown: what comes later is told at once.
    closing: bool,
}

/// Every connection of the server.
#[derive(Debug)]
pub(crate) struct Registry {
    limits: Limits,
    tables: Mutex<Tables>,
    empty: Notify,
    numbers: Numbers,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    pub(crate) id: u64,
    pub(crate) stop: Arc<StopSignal>,
    task: Arc<OnceLock<AbortHandle>>,
}

impl Registry {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, tables: Mutex::default(), empty: Notify::new(), numbers: Numbers::default() })
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection.
    pub(crate) fn admit(
        self: &Arc<Self>,
        listener: &Arc<ListenerConfig>,
        address: Option<IpAddr>,
    ) -> Result<Place, Full> {
        let counted = counted(listener, address);
        let mut tables = self.tables();
        let full = match tables.connections.len() >= self.limits.connections {
            true => Some(Full::Server),
            false => self.full_for(&tables, listener, address),
        };
        if let Some(full) = full {
            self.numbers.refused.fetch_add(1, Ordering::Relaxed);
            return Err(full);
        }
        self.numbers.accepted.fetch_add(1, Ordering::Relaxed);
        tables.next += 1;
        let id = tables.next;
        let (stop, task) = (Arc::new(StopSignal::default()), Arc::new(OnceLock::new()));
        if tables.closing {
            stop.say(Stop::Shutdown);
        }
        let entry = Entry {
            protocol: listener.protocol,
            address,
            counted,
            listener: Arc::clone(listener),
            account: None,
            begun: Instant::now(),
            stop: Arc::clone(&stop),
            task: Arc::clone(&task),
        };
        tables.connections.insert(id, entry);
        if let Some(address) = counted {
            *tables.addresses.entry(address).or_default() += 1;
        }
        Ok(Place { registry: Arc::clone(self), id, stop, task })
    }

    /// Why one more from there cannot be served on that listener.
    fn full_for(&self, tables: &Tables, listener: &ListenerConfig, address: Option<IpAddr>) -> Option<Full> {
        if !listener.networks.admit(address) {
            return Some(Full::Network);
        }
        let there = counted(listener, address).and_then(|address| tables.addresses.get(&address).copied());
        there.is_some_and(|there| there >= self.limits.per_address).then_some(Full::Address)
    }

    /// Where the client of a connection really is, as a proxy says it that is trusted.
    pub(crate) fn found_at(&self, connection: u64, address: IpAddr) -> Result<(), Full> {
        let mut tables = self.tables();
        let Some(listener) = tables.connections.get(&connection).map(|entry| Arc::clone(&entry.listener)) else {
            return Ok(());
        };
        let full = self.full_for(&tables, &listener, Some(address));
        let counted = counted(&listener, Some(address)).filter(|_| full.is_none());
        let before = tables.connections.get_mut(&connection).and_then(|entry| {
            entry.address = Some(address);
            std::mem::replace(&mut entry.counted, counted)
        });
        if let Some(before) = before {
            count_down(&mut tables.addresses, before);
        }
        if let Some(counted) = counted {
            *tables.addresses.entry(counted).or_default() += 1;
        }
        match full {
            None => Ok(()),
            Some(full) => {
                self.numbers.refused.fetch_add(1, Ordering::Relaxed);
                Err(full)
            }
        }
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionInfo> {
        let tables = self.tables();
        let info = |(id, entry): (&u64, &Entry)| ConnectionInfo {
            id: *id,
            protocol: entry.protocol,
            address: entry.address,
            account: entry.account,
            age_secs: entry.begun.elapsed().as_secs(),
        };
        let mut list: Vec<_> = tables.connections.iter().map(info).collect();
        drop(tables);
        list.sort_unstable_by_key(|connection| connection.id);
        list
    }

    /// Ends the connections of an account; how many.
    pub(crate) fn kick_account(&self, account: AccountId) -> usize {
        self.kick(|_, entry| entry.account == Some(account))
    }

    /// Ends one connection; whether it was there.
    pub(crate) fn kick_connection(&self, id: u64) -> bool {
        self.kick(|there, _| there == id) > 0
    }

    fn kick(&self, whom: impl Fn(u64, &Entry) -> bool) -> usize {
        let tables = self.tables();
        let chosen = tables.connections.iter().filter(|(id, entry)| whom(**id, entry));
        chosen.map(|(_, entry)| entry.stop.say(Stop::Kicked)).count()
    }

    /// Tells every connection, also those to come, that the server stops.
    pub(crate) fn stop_all(&self) {
        let mut tables = self.tables();
        tables.closing = true;
        tables.connections.values().for_each(|entry| entry.stop.say(Stop::Shutdown));
    }

    /// Cuts off what did not end by itself; how many.
    pub(crate) fn abort_all(&self) -> usize {
        let tables = self.tables();
        tables.connections.values().filter_map(|entry| entry.task.get()).map(AbortHandle::abort).count()
    }

    /// Returns once no connection is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            if self.tables().connections.is_empty() {
                return;
            }
            empty.await;
        }
    }

    pub(crate) fn count_tls_failure(&self) {
        self.numbers.tls_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_bug(&self) {
        self.numbers.bugs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_delivered(&self) {
        self.numbers.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> Counters {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Counters {
            accepted: of(&self.numbers.accepted),
            refused: of(&self.numbers.refused),
            tls_failures: of(&self.numbers.tls_failures),
            bugs: of(&self.numbers.bugs),
            delivered: of(&self.numbers.delivered),
        }
    }
}

impl Place {
    /// Says which task serves the connection, so that it can be cut off at shutdown.
    pub(crate) fn served_by(task: &OnceLock<AbortHandle>, handle: AbortHandle) {
        _ = task.set(handle);
    }

    /// Where [`Place::served_by`] writes.
    pub(crate) fn task(&self) -> Arc<OnceLock<AbortHandle>> {
        Arc::clone(&self.task)
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tables = self.registry.tables();
        let counted = tables.connections.remove(&self.id).and_then(|entry| entry.counted);
        if let Some(address) = counted {
            count_down(&mut tables.addresses, address);
        }
        if tables.connections.is_empty() {
            self.registry.empty.notify_waiters();
        }
    }
}

/// Where a connection counts. The mail server in front of LMTP speaks for everybody.
fn counted(listener: &ListenerConfig, address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|_| listener.protocol == Protocol::Imap).and_then(counted_as)
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The gate through which logins go.
#[derive(Debug)]
pub(crate) struct AccountGate(pub(crate) Arc<Registry>);

/// One login of one account; dropping it counts it out.
#[derive(Debug)]
struct LoggedIn {
    registry: Arc<Registry>,
    connection: u64,
    account: AccountId,
}

impl Gate for AccountGate {
    fn enter(&self, connection: u64, account: AccountId) -> Result<Pass, AccountFull> {
        let registry = &self.0;
        let mut tables = registry.tables();
        let there = tables.accounts.entry(account).or_default();
        if *there >= registry.limits.per_account {
            return Err(AccountFull { limit: registry.limits.per_account });
        }
        *there += 1;
        if let Some(entry) = tables.connections.get_mut(&connection) {
            entry.account = Some(account);
        }
        Ok(Box::new(LoggedIn { registry: Arc::clone(registry), connection, account }))
    }

    fn found_at(&self, connection: u64, address: IpAddr) -> Result<(), Unwelcome> {
        self.0.found_at(connection, address).map_err(|_| Unwelcome)
    }
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        let mut tables = self.registry.tables();
        count_down(&mut tables.accounts, self.account);
        if let Some(entry) = tables.connections.get_mut(&self.connection) {
            entry.account = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    const LIMITS: Limits = Limits { connections: 5, per_address: 2, per_account: 2 };

    fn listener(protocol: Protocol) -> Arc<ListenerConfig> {
        let address = "127.0.0.1:0".parse().unwrap();
        Arc::new(ListenerConfig::new(protocol, address, crate::TlsMode::None))
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn stopped(place: &Place) -> Poll<Stop> {
        place.stop.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_address_has_its_fill_and_gets_places_back() {
        let registry = Registry::new(LIMITS);
        let admit = |text| registry.admit(&listener(Protocol::Imap), address(text));
        let first = admit("2001:db8::1").unwrap();
        let _second = admit("2001:db8::2").unwrap();
        assert_eq!(admit("2001:db8::3").unwrap_err(), Full::Address);
        let _other_network = admit("2001:db8:0:1::3").unwrap();
        drop(first);
        assert!(admit("2001:db8::3").is_ok());
        assert_eq!(registry.counters(), Counters { accepted: 4, refused: 1, ..Counters::default() });
    }

    #[test]
    fn this_machine_and_the_mail_server_are_not_counted_by_address() {
        let registry = Registry::new(LIMITS);
        let _imap: Vec<_> =
            (0..3).map(|_| registry.admit(&listener(Protocol::Imap), address("127.0.0.1")).unwrap()).collect();
        let _lmtp: Vec<_> =
            (0..2).map(|_| registry.admit(&listener(Protocol::Lmtp), address("192.0.2.1")).unwrap()).collect();
        assert_eq!(registry.admit(&listener(Protocol::Imap), None).unwrap_err(), Full::Server);
    }

    #[test]
    fn an_account_has_its_fill_and_gets_places_back() {
        let registry = Registry::new(LIMITS);
        let gate = AccountGate(Arc::clone(&registry));
        let place = registry.admit(&listener(Protocol::Imap), None).unwrap();
        let first = gate.enter(place.id, AccountId(7)).unwrap();
        let _second = gate.enter(99, AccountId(7)).unwrap();
        assert_eq!(gate.enter(99, AccountId(7)).unwrap_err().limit, 2);
        assert!(gate.enter(99, AccountId(8)).is_ok());
        assert_eq!(registry.connections()[0].account, Some(AccountId(7)));
        drop(first);
        assert_eq!(registry.connections()[0].account, None);
        assert!(gate.enter(99, AccountId(7)).is_ok());
        assert_eq!(registry.tables().accounts.len(), 1);
    }

    #[test]
    fn who_comes_through_a_proxy_counts_where_they_are() {
        let registry = Registry::new(LIMITS);
        let ip = |text| address(text).unwrap();
        let through = || registry.admit(&listener(Protocol::Imap), address("192.0.2.1")).unwrap();
        let places = [through(), through()];
        assert!(registry.admit(&listener(Protocol::Imap), address("192.0.2.1")).is_err());
        registry.found_at(places[0].id, ip("203.0.113.1")).unwrap();
        registry.found_at(places[1].id, ip("203.0.113.1")).unwrap();
        let third = through();
        assert_eq!(registry.found_at(third.id, ip("203.0.113.1")).unwrap_err(), Full::Address);
        assert_eq!(registry.connections()[0].address, address("203.0.113.1"));
        drop((places, third));
        assert!(registry.tables().addresses.is_empty());
    }

    #[test]
    fn a_network_that_is_denied_is_refused_directly_and_through_a_proxy() {
        let registry = Registry::new(LIMITS);
        let networks = crate::Networks { allow: Vec::new(), deny: vec!["203.0.113.0/24".parse().unwrap()] };
        let listener = Arc::new(ListenerConfig { networks, ..(*listener(Protocol::Imap)).clone() });
        assert_eq!(registry.admit(&listener, address("203.0.113.9")).unwrap_err(), Full::Network);
        let place = registry.admit(&listener, address("192.0.2.1")).unwrap();
        assert_eq!(registry.found_at(place.id, address("203.0.113.9").unwrap()).unwrap_err(), Full::Network);
        assert_eq!(registry.counters().refused, 2);
    }

    #[test]
    fn only_the_connections_of_the_account_are_ended() {
        let registry = Registry::new(LIMITS);
        let gate = AccountGate(Arc::clone(&registry));
        let (ann, bob) = (
            registry.admit(&listener(Protocol::Imap), None).unwrap(),
            registry.admit(&listener(Protocol::Imap), None).unwrap(),
        );
        let _pass = gate.enter(ann.id, AccountId(1)).unwrap();
        assert_eq!(registry.kick_account(AccountId(1)), 1);
        assert_eq!(stopped(&ann), Poll::Ready(Stop::Kicked));
        assert_eq!(stopped(&bob), Poll::Pending);
        assert!(registry.kick_connection(bob.id));
        assert!(!registry.kick_connection(99));
        assert_eq!(stopped(&bob), Poll::Ready(Stop::Kicked));
    }

    #[test]
    fn a_stop_reaches_those_who_are_there_and_those_who_come() {
        let registry = Registry::new(LIMITS);
        let there = registry.admit(&listener(Protocol::Imap), None).unwrap();
        registry.stop_all();
        let late = registry.admit(&listener(Protocol::Imap), None).unwrap();
        assert_eq!(stopped(&there), Poll::Ready(Stop::Shutdown));
        assert_eq!(stopped(&late), Poll::Ready(Stop::Shutdown));
    }

    #[tokio::test]
    async fn says_when_the_last_one_has_left() {
        let registry = Registry::new(LIMITS);
        registry.emptied().await;
        let place = registry.admit(&listener(Protocol::Imap), None).unwrap();
        let waiting = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.emptied().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(place);
        waiting.await.unwrap();
    }
}
