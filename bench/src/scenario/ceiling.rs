//! What the generator itself can do: the same client against a stub that has its answers ready, and a plain copy over loopback.
//! No server is faster than this here; where a server comes near it, the generator is what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use tokio::io::AsyncReadExt;

use super::Scenario;
use crate::Failure;
use crate::client::Door;
use crate::mail::Shape;
use crate::stage::{Stage, by_octets, literal};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "ceiling",
    about: "the load generator against a stub with canned answers: no server can seem faster",
    run: |stage| Box::pin(ceiling(stage)),
}];

/// What the rows of the generator have instead of a server's name.
const GENERATOR: &str = "generator";
/// Messages in the stub's answers about flags, and in those with bodies.
const FLAGS: u64 = 100_000;
const BODIES: u64 = 1_000;

async fn ceiling(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let mut flags = Vec::new();
    for number in 1..=FLAGS {
        write!(flags, "* {number} FETCH (UID {number} FLAGS (\\Seen \\Answered))\r\n")?;
    }
    let mut bodies = Vec::new();
    for number in 0..BODIES {
        let message = stage.mail.message(Shape::Real, number).octets;
        write!(bodies, "* {} FETCH (BODY[] {{{}}}\r\n", number + 1, message.len())?;
        bodies.extend_from_slice(&message);
        bodies.extend_from_slice(b")\r\n");
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let door = Door::plain(listener.local_addr()?);
    let stub = thread::spawn(move || serve(&listener, &flags, &bodies));
    let mut client = door.connect(0).await?;
    let fetches = [("flags", "FETCH 1:* (UID FLAGS)", FLAGS), ("bodies", "FETCH 1:* BODY.PEEK[]", BODIES)];
    for (variant, command, messages) in fetches {
        if stage.wants(variant) {
            let work = async || client.ask(command).await?.has_fetches(messages);
            let row = stage.repeat(variant, "messages", messages, work).await?;
            add(stage, if variant == "bodies" { by_octets(row) } else { row });
        }
    }
    if stage.wants("append") {
        let mut append = b"APPEND INBOX".to_vec();
        literal(&mut append, &stage.mail.message(Shape::Sized(4096), 0));
        let work = async || {
            client.say(&append).await?;
            client.answer().await?.or_failure("APPEND")
        };
        let row = stage.repeat("append", "messages", 1, work).await?;
        add(stage, row);
    }
    drop(client);
    stub.join().map_err(|_| "the stub failed")??;
    Ok(())
}

/// The server's numbers have no meaning here.
fn add(stage: &mut Stage<'_>, mut row: crate::record::Row) {
    row.peer = GENERATOR.to_owned();
    (row.cpu_micros_per_operation, row.peak_pss, row.written) = (0.0, 0, 0);
    stage.add(row);
}

/// Serves one connection until it ends.
fn serve(listener: &TcpListener, flags: &[u8], bodies: &[u8]) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.write_all(b"* OK ready\r\n")?;
    let mut input = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let tag = line.split(' ').next().unwrap_or_default();
        if let Some(length) =
            line.trim_end().strip_suffix("+}").and_then(|line| line.rsplit_once('{')?.1.parse::<u64>().ok())
        {
            std::io::copy(&mut input.by_ref().take(length + 2), &mut std::io::sink())?;
        } else if line.contains("FLAGS") {
            stream.write_all(flags)?;
        } else if line.contains("BODY") {
            stream.write_all(bodies)?;
        }
        stream.write_all(format!("{tag} OK done\r\n").as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// Millions of octets a second that one thread writes to a socket in pieces of 64 KB and another reads.
pub(super) async fn loopback(octets: u64) -> Result<f64, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let writer = thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let piece = vec![b'x'; 64 * 1024];
        let mut left = octets;
        while left > 0 {
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            stream.write_all(piece.get(..length).unwrap_or_default())?;
            left -= length as u64;
        }
        Ok(())
    });
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    let (mut room, mut read) = (vec![0; 256 * 1024], 0);
    let begun = Instant::now();
    loop {
        let length = stream.read(&mut room).await?;
        if length == 0 {
            break;
        }
        read += length as u64;
    }
    let seconds = begun.elapsed().as_secs_f64();
    writer.join().map_err(|_| "the writer failed")??;
    if read != octets {
        return Err("loopback lost octets".into());
    }
    Ok(octets as f64 / 1e6 / seconds)
}
