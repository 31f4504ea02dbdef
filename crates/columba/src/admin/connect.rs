//! The asking side: finds the server of a data directory, or opens its store where no server runs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use columba_confine::{User, give_to};
use columba_session::delivery::HEADERS;
use columba_store::{Options, Store, SystemClock};
use columba_store_sqlite::{Claim, OpenError, SqliteOptions};
use columba_types::AccountId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::execute::{Barring, execute};
use super::{Frame, Greeting, PROTOCOL, Reply, Request, SOCKET_NAME, frame};
use crate::config::Config;
use crate::failure::Failure;

/// How long a data directory may be in somebody's hands without an answer: a server that starts or stops, or another
/// command.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Octets on their way between the two sides within one process.
const PIPE_BYTES: usize = 512 * 1024;

/// What to do about a data directory that is not there yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// Make it.
    Make,
    /// Say so.
    Refuse,
}

/// A conversation with whoever has the store.
pub(crate) struct Connection {
    pub(crate) reader: FrameReader,
    pub(crate) writer: FrameWriter,
    greeting: Greeting,
    /// The executing side, where it is in this process.
    local: Option<JoinHandle<io::Result<()>>>,
}

/// The half that hears.
pub(crate) struct FrameReader(Box<dyn AsyncRead + Send + Unpin>);

/// The half that speaks.
pub(crate) struct FrameWriter(BufWriter<Box<dyn AsyncWrite + Send + Unpin>>);

impl FrameReader {
    /// The next thing that was said, or octets.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Failure> {
        frame::read(&mut self.0)
            .await
            .map_err(|error| broken(&error))?
            .ok_or_else(|| broken(&io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")))
    }

    /// The next answer; a refusal is a failure.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Failure> {
        match self.frame().await?.parse().map_err(|error| broken(&error))? {
            Reply::Failed { reason, hint } => Err(Failure { what: reason, hint }),
            reply => Ok(reply),
        }
    }
}

impl FrameWriter {
    /// Says something.
    pub(crate) async fn say(&mut self, said: &impl serde::Serialize) -> Result<(), Failure> {
        frame::write_json(&mut self.0, said).await.map_err(|error| broken(&error))
    }

    /// Octets of a message; none at its end.
    pub(crate) async fn octets(&mut self, octets: &[u8]) -> Result<(), Failure> {
        frame::write_octets(&mut self.0, octets).await.map_err(|error| broken(&error))
    }

    /// Sends off all that was said.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().await.map_err(|error| broken(&error))
    }
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(format!("the server went away in the middle: {error}"))
        .hint("what it had confirmed is done, the rest is not; see the server's log, then try again")
}

impl Connection {
    /// Asks, and waits for one answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.begin(request).await?;
        self.reader.reply().await
    }

    /// Asks something that takes a longer conversation.
    pub(crate) async fn begin(&mut self, request: &Request) -> Result<(), Failure> {
        self.writer.say(request).await?;
        self.writer.flush().await
    }

    /// Ends the conversation. A store that was opened for it is closed.
    pub(crate) async fn close(self) {
        let Self { reader, writer, local, .. } = self;
        drop((reader, writer));
        if let Some(local) = local {
            // It ends because nobody speaks to it any more; whatever failed has been told already.
            let _ = local.await;
        }
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        local: Option<JoinHandle<io::Result<()>>>,
    ) -> Result<Self, Failure> {
        let (reader, writer) = tokio::io::split(stream);
        let mut reader = FrameReader(Box::new(BufReader::with_capacity(256 * 1024, reader)));
        let writer = FrameWriter(BufWriter::with_capacity(256 * 1024, Box::new(writer)));
        let greeting: Greeting = reader.frame().await?.parse().map_err(|error| broken(&error))?;
        Ok(Self { reader, writer, greeting, local })
    }

    /// The conversation, if both sides speak the same version.
    fn of_this_version(self) -> Result<Self, Failure> {
        let Greeting { columba, protocol } = &self.greeting;
        if *protocol == PROTOCOL {
            return Ok(self);
        }
        let what = format!("the server is Columba {columba}, and this is {}", env!("CARGO_PKG_VERSION"));
        Err(Failure::new(what).hint("restart the server, or use the command of its version"))
    }
}

/// Connects to whoever has the store of that configuration: a server, or this process.
///
/// # Errors
/// When somebody has it and does not answer, or it cannot be opened.
pub(crate) async fn connect(config: &Config, missing: Missing) -> Result<Connection, Failure> {
    if missing == Missing::Refuse && !config.data.join("format").exists() {
        let what = format!("there is no Columba data in {}", config.data.display());
        return Err(
            Failure::new(what).hint("check --data or --config; `columba serve` and `columba account add` make it")
        );
    }
    let started = Instant::now();
    loop {
        if let Ok(stream) = UnixStream::connect(config.data.join(SOCKET_NAME)).await {
            match Connection::over(stream, None).await {
                // A server that stops may close what it has accepted; then the store will be free.
                Err(_) if started.elapsed() < PATIENCE => {}
                connection => return connection?.of_this_version(),
            }
        } else {
            match claimed(config) {
                Ok(claim) => return local(open_store(config, claim).await?, config).await,
                Err(ClaimFailure::InUse(_)) if started.elapsed() < PATIENCE => {}
                Err(ClaimFailure::InUse(what)) => {
                    let hint = "it does not answer commands: another command at work, or a server that starts or stops; \
                                wait for it, or end it";
                    return Err(Failure::new(what).hint(hint));
                }
                Err(ClaimFailure::Other(failure)) => return Err(failure),
            }
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

async fn local(store: Store, config: &Config) -> Result<Connection, Failure> {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let data = config.data.clone();
    let executing = tokio::spawn(async move {
        let barring: Arc<dyn Barring> = Arc::new(Nobody);
        let executed = execute(&store, &barring, theirs).await;
        drop(store);
        // What root made in it would else be closed to the server.
        match User::owner_of(&data) {
            Ok(Some(owner)) if User::may_change() => executed.and(give_to(&owner, &data).map(drop)),
            _ => executed,
        }
    });
    Connection::over(ours, Some(executing)).await
}

/// Where no server runs, nobody is connected.
struct Nobody;

impl Barring for Nobody {
    fn bar(&self, _account: AccountId) {}
}

/// Why a data directory was not claimed.
#[derive(Debug)]
enum ClaimFailure {
    /// Somebody has it.
    InUse(String),
    Other(Failure),
}

fn claimed(config: &Config) -> Result<Claim, ClaimFailure> {
    columba_store_sqlite::claim(&config.data, config.store.shards).map_err(|error| match error {
        OpenError::InUse { .. } => ClaimFailure::InUse(error.to_string()),
        error => ClaimFailure::Other(cannot_open(&config.data, &error)),
    })
}

/// Claims the data directory of that configuration for a server; this process has it alone then.
pub(crate) fn claim(config: &Config) -> Result<Claim, Failure> {
    claimed(config).map_err(|failure| match failure {
        ClaimFailure::InUse(what) => {
            Failure::new(what).hint("is it serving already? end that one, or choose another --data")
        }
        ClaimFailure::Other(failure) => failure,
    })
}

/// Opens the store of a data directory that was claimed.
pub(crate) async fn open_store(config: &Config, claim: Claim) -> Result<Store, Failure> {
    let opened = tokio::task::spawn_blocking(move || claim.open(SqliteOptions::default()));
    let opened = match opened.await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Err(cannot_open(&config.data, &error)),
        Err(error) => return Err(cannot_open(&config.data, &error)),
    };
    let first_mailboxes = config.mailboxes.0.iter().map(|(special_use, name)| (name.clone(), *special_use)).collect();
    let (keep_expunged, headers) = (config.store.keep_expunged, Some(HEADERS));
    let options = Options { keep_expunged, first_mailboxes, headers, ..Options::default() };
    let store = Store::open(opened.engine, opened.blobs, Arc::new(SystemClock), options).await;
    store.map_err(|error| cannot_open(&config.data, &error))
}

fn cannot_open(data: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("the data directory {} cannot be opened: {error}", data.display()))
        .hint("check that it is Columba's own, and that this user may read and write it")
}
