//! Sessions in this process on the memory engine, polled by hand until every one of them waits for its client. Only
//! then is "nothing more was said" true, and no test has to sleep for it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use columba_auth::PasswordChecker;
use columba_session::{
    AccountFull, ClientPattern, Compressors, End, Gate, Hiding, Pass, Peer as SessionPeer, Security, Services, Session,
    Settings, Stop,
};
use columba_store::Store;
use columba_types::{AccountId, limits};

use super::ground::{Ground, Received, Refusal, Wire};
use super::mail::MailSide;
use super::parse::{Outside, Peer};
use crate::link::{ClientEnd, LinkOptions, connect};

/// How long something in this process may take before it counts as stuck. Passwords are checked on other threads.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to look for something from another thread when a server says nothing though it should.
const SECOND_LOOK: Duration = Duration::from_millis(300);

/// Sessions on one memory store.
pub struct MemoryGround {
    world: Rc<RefCell<World>>,
    mail: MailSide,
    services: Arc<Services>,
    gate: Arc<CountingGate>,
    options: LinkOptions,
    connections: u64,
}

impl std::fmt::Debug for MemoryGround {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryGround").field("options", &self.options).finish_non_exhaustive()
    }
}

impl MemoryGround {
    /// An empty store with the account `bob`.
    ///
    /// # Errors
    /// In words.
    pub fn new(options: LinkOptions) -> Result<Self, String> {
        Ok(Self::on(MailSide::new()?, options))
    }

    /// On a store that is there already.
    pub fn on(mail: MailSide, options: LinkOptions) -> Self {
        let gate = Arc::new(CountingGate::default());
        let services = Arc::new(Services {
            store: mail.store().clone(),
            passwords: PasswordChecker::default(),
            gate: gate.clone(),
            settings: Settings::default(),
            compressors: Compressors::default(),
        });
        let world = Rc::new(RefCell::new(World::default()));
        Self { world, mail, services, gate, options, connections: 0 }
    }

    /// From now on pages that want packs get them, whenever all sessions wait.
    #[must_use]
    pub fn packing(self) -> Self {
        let store = self.store().clone();
        let life = async move {
            loop {
                store.packs_wanted().await;
                // One that a full disk or a damaged message prevents is prevented, and readers do without.
                _ = store.pack_next().await;
            }
        };
        self.world.borrow_mut().packer = Some(Packer { life: Box::pin(life), flag: Arc::default() });
        self
    }

    /// The store, for looking at it from outside.
    pub fn store(&self) -> &Store {
        self.mail.store()
    }
}

impl Ground for MemoryGround {
    fn outside(&mut self, what: &Outside, octets: &[u8]) -> Result<(), Refusal> {
        if let Outside::ConnectionsPerAccount(limit) = what {
            self.gate.limit.store(*limit, Ordering::Relaxed);
        }
        if let Outside::MessageLimit { any, saving } = what {
            let services = Arc::get_mut(&mut self.services).ok_or("message-limit comes before the first connection")?;
            services.settings.message_limit = Some(*any);
            services.settings.save_limit = *saving;
        }
        if let Outside::BatchSize(least) = what {
            let services = Arc::get_mut(&mut self.services).ok_or("batch-size comes before the first connection")?;
            services.settings.batch_messages = *least;
        }
        if let Outside::Hide { capability, account, client } = what {
            let services = Arc::get_mut(&mut self.services).ok_or("hide comes before the first connection")?;
            let client = client.clone().map(|name| ClientPattern { name: Some(name), ..ClientPattern::default() });
            services.settings.hiding.push(Hiding {
                capabilities: vec![capability.clone()],
                accounts: account.iter().cloned().collect(),
                networks: Vec::new(),
                clients: client.into_iter().collect(),
            });
        }
        if let Outside::Disk { hangs } = what {
            self.world.borrow_mut().disk_hangs = *hangs;
        }
        self.mail.outside(what, octets)
    }

    fn connect(&mut self, peer: Peer) -> Result<Box<dyn Wire>, Refusal> {
        self.connections += 1;
        let (security, plaintext_allowed) = match peer {
            Peer::Trusted | Peer::Labels => (Security::Plain, true),
            Peer::Plain => (Security::Plain, false),
            Peer::StartTls => (Security::StartTlsOffered, false),
            Peer::Tls => (Security::Tls, false),
        };
        let x_gm_ext_1 = peer == Peer::Labels;
        let peer = SessionPeer {
            connection: self.connections,
            address: None,
            security,
            plaintext_allowed,
            x_gm_ext_1,
            id_trusted: false,
        };
        let (end, mut link) = connect(self.mail.clock(), self.options);
        let mut session = Session::new(self.services.clone(), peer);
        let client = end.clone();
        let life = async move {
            // TLS itself is left out; what matters is what the session does around it.
            while session.run(&mut link).await == End::StartTls {
                client.discard_unread();
                session.tls_started();
            }
        };
        let task = Task { life: Some(Box::pin(life)), flag: Arc::new(Flagged::default()), end: end.clone() };
        self.world.borrow_mut().tasks.push(task);
        Ok(Box::new(MemoryWire { world: self.world.clone(), end }))
    }

    fn advance(&mut self, by: Duration) -> Result<(), Refusal> {
        self.mail.clock().advance(by);
        self.world.borrow().tasks.iter().for_each(|task| task.end.clock_moved());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        self.world.borrow_mut().settle()?;
        if let Some(number) = self.world.borrow().tasks.iter().position(|task| task.life.is_some()) {
            return Err(format!("session {} goes on after its client is gone", number + 1));
        }
        if self.gate.held.load(Ordering::Relaxed) != 0 {
            return Err("a session that is over still counts as logged in".into());
        }
        self.mail.verify()
    }
}

/// Counts who is logged in; one account is enough for scripts.
#[derive(Debug)]
struct CountingGate {
    limit: AtomicUsize,
    held: Arc<AtomicUsize>,
}

impl Default for CountingGate {
    fn default() -> Self {
        Self { limit: AtomicUsize::new(limits::CONNECTIONS_PER_ACCOUNT), held: Arc::default() }
    }
}

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate for CountingGate {
    fn enter(&self, _connection: u64, _account: AccountId) -> Result<Pass, AccountFull> {
        let limit = self.limit.load(Ordering::Relaxed);
        if self.held.fetch_add(1, Ordering::Relaxed) >= limit {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Err(AccountFull { limit });
        }
        Ok(Box::new(Held(self.held.clone())))
    }
}

#[derive(Default)]
struct World {
    tasks: Vec<Task>,
    packer: Option<Packer>,
    disk_hangs: bool,
}

struct Task {
    life: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    flag: Arc<Flagged>,
    end: ClientEnd,
}

/// What the server does in the background.
struct Packer {
    life: Pin<Box<dyn Future<Output = ()> + Send>>,
    flag: Arc<Flagged>,
}

impl Packer {
    /// Polls it if it wants to be; whether it did.
    fn turn(&mut self) -> bool {
        if !self.flag.woken.swap(false, Ordering::Acquire) {
            return false;
        }
        let waker = Waker::from(self.flag.clone());
        _ = self.life.as_mut().poll(&mut Context::from_waker(&waker));
        true
    }
}

/// Says that a task wants to be polled.
struct Flagged {
    woken: AtomicBool,
    thread: Thread,
}

impl Default for Flagged {
    fn default() -> Self {
        Self { woken: AtomicBool::new(true), thread: std::thread::current() }
    }
}

impl Wake for Flagged {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Task {
    /// Polls it if it wants to be; whether it did.
    fn turn(&mut self) -> bool {
        let Some(life) = &mut self.life else { return false };
        if !self.flag.woken.swap(false, Ordering::Acquire) {
            return false;
        }
        self.end.before_poll();
        let waker = Waker::from(self.flag.clone());
        if life.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.life = None;
        }
        true
    }

    /// Whether it waits for nothing but its client.
    fn at_rest(&self) -> bool {
        let (waits, unread) = self.end.waits();
        self.life.is_none() || waits.for_room || (waits.for_octets && !unread)
    }
}

impl World {
    /// Polls all sessions until each waits for its client, or for a disk that hangs.
    fn settle(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let mut turned = false;
            for task in &mut self.tasks {
                turned |= task.turn();
            }
            if turned || self.packer.as_mut().is_some_and(Packer::turn) {
                continue;
            }
            if self.disk_hangs {
                return Ok(());
            }
            let Some(busy) = self.tasks.iter().position(|task| !task.at_rest()) else { return Ok(()) };
            if begun.elapsed() > PATIENCE {
                return Err(format!("session {} neither answers nor waits for its client", busy + 1));
            }
            std::thread::park_timeout(PATIENCE);
        }
    }
}

struct MemoryWire {
    world: Rc<RefCell<World>>,
    end: ClientEnd,
}

impl MemoryWire {
    fn look(&self) -> Received {
        // A small pipe is emptied again and again until the server has nothing more to put into it.
        let mut all = Vec::new();
        loop {
            if let Err(why) = self.world.borrow_mut().settle() {
                return Received::Stuck(why);
            }
            let octets = self.end.take();
            if octets.is_empty() {
                break;
            }
            all.extend(octets);
        }
        match all.is_empty() {
            false => Received::Octets(all),
            true if self.end.server_closed() => Received::Closed,
            true => Received::Idle,
        }
    }
}

impl Wire for MemoryWire {
    fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        self.end.send(octets).map_err(|e| e.to_string())
    }

    fn receive(&mut self, wait: bool) -> Received {
        let first = self.look();
        if !wait || first != Received::Idle {
            return first;
        }
        let begun = Instant::now();
        while begun.elapsed() < SECOND_LOOK {
            std::thread::park_timeout(SECOND_LOOK);
            let again = self.look();
            if again != Received::Idle {
                return again;
            }
        }
        Received::Idle
    }

    fn close(&mut self) {
        self.end.close();
    }

    fn stop(&mut self, kicked: bool) -> Result<(), Refusal> {
        self.end.stop(if kicked { Stop::Kicked } else { Stop::Shutdown });
        Ok(())
    }
}

/// Runs a future of the store to its end on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let flag = Arc::new(Flagged::default());
    let waker = Waker::from(flag.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !flag.woken.swap(false, Ordering::Acquire) {
            std::thread::park_timeout(PATIENCE);
        }
    }
}
