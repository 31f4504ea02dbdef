//! Many clients at once that do different things: phones that come often and read a little, desktops that stay, read headers,
//! file, mark, search and send, and deliveries meanwhile. What each does follows from its number.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Scenario;
use crate::Failure;
use crate::client::{Client, Door};
use crate::mail::{Mail, Shape};
use crate::peer::account;
use crate::stage::{Stage, by_pieces, count, fresh, literal, micros};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "mixed",
    about: "50 clients at once, two phones to each desktop; every command is timed",
    run: |stage| Box::pin(mixed(stage)),
}];

/// Messages in the mailbox of each account, and what one has to be given at most while it works.
const MESSAGES: u64 = 200;

async fn mixed(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let clients = stage.sizes.clients;
    let variant = format!("{clients} clients");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let [mailbox, archive] = [stage.peer.mailbox("mixed"), stage.peer.mailbox("mixed-archive")];
    // A phone and a desktop share an account, as they do with people.
    for number in 0..clients.div_ceil(3) {
        let mut client = stage.enter(number).await?;
        fresh(&mut client, &archive).await?;
        prepare(&mut client, stage.mail, &mailbox, number as u64).await?;
        client.logout().await?;
    }
    let mut letter = format!("APPEND {mailbox}").into_bytes();
    literal(&mut letter, &stage.mail.message(Shape::Sized(6_000), 1));
    let working: Vec<_> = (0..clients)
        .map(|number| Seat {
            door: stage.door(),
            account: account(number / 3),
            mailbox: mailbox.clone(),
            archive: archive.clone(),
            letter: letter.clone(),
            time: stage.sizes.time,
            desktop: number % 3 == 0,
        })
        .map(work)
        .collect();
    let row = stage.crowd(&variant, "commands", 1, working).await?;
    stage.add(row);
    for number in 0..clients.div_ceil(3) {
        let mut client = stage.enter(number).await?;
        client.command(&format!("DELETE {archive}")).await?;
        client.logout().await?;
    }
    Ok(())
}

/// The first messages are there; what a run before has added is taken away.
async fn prepare(client: &mut Client, mail: &Mail, mailbox: &str, account: u64) -> Result<(), Failure> {
    match count(client, mailbox).await? {
        Some(there) if there >= MESSAGES => {
            client.command(&format!("SELECT {mailbox}")).await?;
            by_pieces(client, "STORE {} +FLAGS.SILENT (\\Deleted)", MESSAGES + 1..=there).await?;
            return client.command("CLOSE").await;
        }
        _ => fresh(client, mailbox).await?,
    }
    let mut command = format!("f APPEND {mailbox}").into_bytes();
    for number in 0..MESSAGES {
        literal(&mut command, &mail.message(Shape::Real, account * MESSAGES + number));
    }
    command.extend_from_slice(b"\r\n");
    client.send(&command).await?;
    client.answer().await?.or_failure("APPEND").map(drop)
}

struct Seat {
    door: Result<Door, Failure>,
    account: String,
    mailbox: String,
    archive: String,
    letter: Vec<u8>,
    time: Duration,
    desktop: bool,
}

/// A client that times its commands.
struct Timed {
    client: Client,
    latency: Histogram<u64>,
}

impl Timed {
    async fn ask(&mut self, command: &str) -> Result<u64, Failure> {
        self.say(command.as_bytes()).await
    }

    /// Gives how many messages there are now, if that was told.
    async fn say(&mut self, command: &[u8]) -> Result<u64, Failure> {
        let begun = Instant::now();
        self.client.say(command).await?;
        let answer = self.client.answer().await?.or_failure(&String::from_utf8_lossy(command))?;
        self.latency.record(micros(begun))?;
        Ok(answer.exists.unwrap_or(0))
    }
}

async fn work(seat: Seat) -> Result<Histogram<u64>, Failure> {
    let Seat { door, account, mailbox, archive, letter, time, desktop } = seat;
    let (door, begun) = (door?, Instant::now());
    let mut all = Histogram::new(3)?;
    while begun.elapsed() < time {
        let arrived = Instant::now();
        let mut client = Timed { client: door.enter(0, &account).await?, latency: Histogram::new(3)? };
        client.latency.record(micros(arrived))?;
        let there = client.ask(&format!("SELECT {mailbox}")).await?;
        if desktop {
            // It stays as long as a few phones' visits.
            for turn in 0..10 {
                if begun.elapsed() < time {
                    sit(&mut client, &archive, &letter, turn).await?;
                }
            }
        } else {
            visit(&mut client, there).await?;
        }
        all.add(&client.latency)?;
        client.client.logout().await?;
    }
    Ok(all)
}

/// A phone: what is new, one message, a flag, a moment of IDLE.
async fn visit(client: &mut Timed, there: u64) -> Result<(), Failure> {
    let from = there.saturating_sub(25).max(1);
    client.ask(&format!("FETCH {from}:{there} (UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE)")).await?;
    client.ask(&format!("FETCH {there} (BODY.PEEK[HEADER] BODY.PEEK[1]<0.20000>)")).await?;
    client.ask(&format!("STORE {there} +FLAGS (\\Seen)")).await?;
    client.client.idle().await?;
    client.client.done().await?;
    Ok(())
}

/// A desktop: headers of all, a message whole, a flag, a search, a copy, and sometimes a letter sent.
async fn sit(client: &mut Timed, archive: &str, letter: &[u8], turn: u64) -> Result<(), Failure> {
    let number = turn * 17 % MESSAGES + 1;
    if turn == 0 {
        client
            .ask("UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID References)])")
            .await?;
    }
    client.ask(&format!("FETCH {number} (UID BODY[])")).await?;
    client.ask(&format!("STORE {number} +FLAGS (\\Answered)")).await?;
    client.ask("NOOP").await?;
    match turn % 4 {
        0 => client.ask("UID SEARCH SUBJECT \"project-00\"").await?,
        1 => client.ask(&format!("COPY {number} {archive}")).await?,
        2 => client.say(letter).await?,
        _ => client.ask("UID SEARCH UNSEEN").await?,
    };
    Ok(())
}
