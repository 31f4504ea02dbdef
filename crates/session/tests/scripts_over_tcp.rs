//! Every script in `tests/scripts`, over TCP against the server crate on the memory engine. What a socket cannot show
//! (the clock, the end of the server, protection by TLS) is passed over here; `scripts.rs` plays it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use columba_server::{Address, Config, ListenerConfig, Protocol, Running, Server, TlsMode};
use columba_sim::script::{Ground, MailSide, Outside, Peer, Refusal, SocketWire, Variant, Wire, main as play_all};
use tokio::runtime::Runtime;

fn main() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let ground = move || {
        let ground =
            ServerGround { mail: MailSide::new()?, runtime: runtime.clone(), running: None, limits: (None, None) };
        Ok(Box::new(ground) as Box<dyn Ground>)
    };
    let variant = Variant { name: "over TCP", ground: Box::new(ground) };
    std::process::exit(play_all(&tests.join("scripts"), &tests.join("messages"), &[variant], 4));
}

/// A server on loopback, started when the first client wants to connect.
struct ServerGround {
    mail: MailSide,
    runtime: Arc<Runtime>,
    /// With the address of the usual listener, and of one that offers X-GM-EXT-1.
    running: Option<(Running, [std::net::SocketAddr; 2])>,
    /// Messages of one command, and of one COPY or APPEND.
    limits: (Option<u32>, Option<u32>),
}

impl ServerGround {
    fn addresses(&mut self) -> Result<[std::net::SocketAddr; 2], Refusal> {
        if let Some((_, addresses)) = &self.running {
            return Ok(*addresses);
        }
        let address: Address = "127.0.0.1:0".parse()?;
        let usual = ListenerConfig::new(Protocol::Imap, address, TlsMode::None);
        let labels = ListenerConfig { x_gm_ext_1: true, ..usual.clone() };
        let config = Config {
            listeners: vec![usual, labels],
            plaintext_networks: vec!["127.0.0.0/8".parse()?],
            messages_per_command: self.limits.0,
            messages_per_copy: self.limits.1,
            ..Config::default()
        };
        let store = self.mail.store().clone();
        let (running, addresses) = self.runtime.block_on(async {
            let bound = Server::bind(config, Vec::new())?;
            let addresses: Vec<Address> = bound.addresses().into_iter().map(|(_, address)| address).collect();
            Ok::<_, Refusal>((bound.start(store)?, addresses))
        })?;
        let [Address::Tcp(usual), Address::Tcp(labels)] = addresses[..] else {
            return Err(Refusal::Failed("not two TCP addresses".into()));
        };
        self.running = Some((running, [usual, labels]));
        Ok([usual, labels])
    }
}

impl Ground for ServerGround {
    fn outside(&mut self, what: &Outside, octets: &[u8]) -> Result<(), Refusal> {
        match what {
            // Nobody knows when the server has noticed that a client is gone.
            Outside::ConnectionsPerAccount(_) => Err(Refusal::Cannot("connections are counted in memory only")),
            Outside::Hide { .. } => Err(Refusal::Cannot("hiding is played in memory only")),
            Outside::BatchSize(_) => Err(Refusal::Cannot("the size of batches is a matter of the session")),
            Outside::Disk { .. } => Err(Refusal::Cannot("a disk hangs in memory only, where time stands still")),
            Outside::MessageLimit { any, saving } => {
                self.limits = (Some(*any), *saving);
                Ok(())
            }
            other => self.mail.outside(other, octets),
        }
    }

    fn connect(&mut self, peer: Peer) -> Result<Box<dyn Wire>, Refusal> {
        match peer {
            Peer::Trusted => Ok(Box::new(SocketWire::connect(self.addresses()?[0])?)),
            Peer::Labels => Ok(Box::new(SocketWire::connect(self.addresses()?[1])?)),
            _ => Err(Refusal::Cannot("protection is played in memory only")),
        }
    }

    fn advance(&mut self, _by: Duration) -> Result<(), Refusal> {
        Err(Refusal::Cannot("the clock can be moved in memory only"))
    }

    fn finish(&mut self) -> Result<(), String> {
        if let Some((running, _)) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
        self.mail.verify()
    }
}
