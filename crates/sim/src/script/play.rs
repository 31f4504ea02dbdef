//! Plays a script on a ground: sends, compares, and insists that nothing else is said. Knows no server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::compressed::Compressed;
use super::ground::{Ground, Received, Refusal, Wire};
use super::parse::{self, Action, Mode, Octets, Outside, Peer, Script, Step};
use super::response::{self, Response};
use super::shape;
use super::text::{self, Hole, Names, Sym};

/// How a script ended that did not go well.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Line of the script.
    pub line: usize,
    /// What happened, with what was expected and what was got.
    pub message: String,
    /// What came instead, when that was a response: for re-blessing that line.
    pub got: Option<String>,
    /// The conversation up to there.
    pub transcript: String,
}

/// How a script ended.
#[derive(Debug)]
pub enum Outcome {
    /// As written.
    Passed,
    /// The ground cannot do what the script needs.
    PassedOver(&'static str),
    /// Otherwise.
    Failed(Box<Failure>),
}

/// Plays the script in one mode.
pub fn play(script: &Script, mode: Mode, ground: &mut dyn Ground) -> Outcome {
    let mut player =
        Player { ground, mode, names: Names::new(), connections: BTreeMap::new(), said: String::new(), got: None };
    match player.play(&script.steps) {
        Ok(()) => Outcome::Passed,
        Err((_, Refusal::Cannot(what))) => Outcome::PassedOver(what),
        Err((line, Refusal::Failed(message))) => {
            Outcome::Failed(Box::new(Failure { line, message, got: player.got, transcript: player.said }))
        }
    }
}

struct Player<'a> {
    ground: &'a mut dyn Ground,
    mode: Mode,
    names: Names,
    connections: BTreeMap<String, Connection>,
    said: String,
    got: Option<String>,
}

struct Connection {
    wire: Box<dyn Wire>,
    compressed: Option<Compressed>,
    unread: Vec<u8>,
    closed: bool,
    /// Whether UTF-8 may stand outside of literals.
    utf8: bool,
    macros: u32,
}

impl Connection {
    fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        match &mut self.compressed {
            Some(compressed) => self.wire.send(&compressed.compress(octets)?),
            None => self.wire.send(octets),
        }
    }

    fn compress(&mut self) -> Result<(), String> {
        let mut compressed = Compressed::new();
        self.unread = compressed.decompress(&std::mem::take(&mut self.unread))?;
        self.compressed = Some(compressed);
        Ok(())
    }

    fn receive(&mut self, wait: bool) -> Received {
        loop {
            let received = self.wire.receive(wait);
            let (Received::Octets(octets), Some(compressed)) = (&received, &mut self.compressed) else {
                return received;
            };
            match compressed.decompress(octets) {
                // A block has begun; the rest of it is on its way.
                Ok(octets) if octets.is_empty() => {}
                Ok(octets) => return Received::Octets(octets),
                Err(why) => return Received::Stuck(why),
            }
        }
    }
}

impl Player<'_> {
    fn play(&mut self, steps: &[Step]) -> Result<(), (usize, Refusal)> {
        let steps: Vec<&Step> = steps.iter().filter(|s| s.only.is_none_or(|mode| mode == self.mode)).collect();
        let mut at = 0;
        let mut sent_on = None;
        while let Some(step) = steps.get(at) {
            let expects =
                matches!(step.action, Action::Expect { .. } | Action::ExpectUnordered(_) | Action::ExpectClosed);
            let pipelines = matches!(step.action, Action::Send(_) | Action::SendRaw(_) | Action::Plain)
                && sent_on.as_deref() == Some(step.connection.as_str());
            // What came behind the answer to COMPRESS is compressed already.
            let in_step = pipelines || matches!(step.action, Action::Compress);
            if !expects && !in_step {
                self.nothing_more().map_err(|e| (step.line, e))?;
            }
            let group = match step.action {
                Action::ExpectUnordered(_) => steps[at..].iter().take_while(|s| same_group(step, s)).count(),
                _ => 1,
            };
            let done = if group > 1 { self.expect_unordered(&steps[at..at + group]) } else { self.step(step) };
            done.map_err(|e| (step.line, e))?;
            sent_on = matches!(step.action, Action::Send(_) | Action::SendRaw(_) | Action::Plain)
                .then(|| step.connection.clone());
            at += group;
        }
        let last = steps.last().map_or(0, |s| s.line);
        self.nothing_more().map_err(|e| (last, e))?;
        for connection in self.connections.values_mut() {
            connection.wire.close();
        }
        self.connections.clear();
        self.ground.finish().map_err(|e| (last, Refusal::Failed(format!("after the last step: {e}"))))
    }

    fn step(&mut self, step: &Step) -> Result<(), Refusal> {
        let name = step.connection.as_str();
        match &step.action {
            Action::Define { name, octets } => {
                self.names.insert(name.clone(), octets.clone());
            }
            Action::Outside(what) => self.outside(what)?,
            Action::Connect(peer) => self.connect(name, *peer)?,
            Action::Login { account } => self.login(name, account)?,
            Action::Select { mailbox, read_only } => {
                let command = if *read_only { "EXAMINE" } else { "SELECT" };
                let quoted = mailbox.replace('\\', "\\\\").replace('"', "\\\"");
                self.command(name, &format!("{command} \"{quoted}\""))?;
            }
            Action::Send(line) => self.send_line(name, line)?,
            Action::SendRaw(octets) => {
                self.note(name, "C!", octets);
                self.connection(name)?.wire.send(octets)?;
            }
            Action::Compress => self.connection(name)?.compress()?,
            Action::Plain => {
                if let Some(compressed) = &mut self.connection(name)?.compressed {
                    compressed.end_outgoing();
                }
            }
            Action::Disconnect => {
                self.connection(name)?.wire.close();
                self.connections.remove(name);
            }
            Action::Expect { pattern, exact } => self.expect(name, pattern, *exact)?,
            Action::ExpectUnordered(pattern) => self.expect(name, pattern, false)?,
            Action::ExpectClosed => self.expect_closed(name)?,
            Action::Clock(by) => self.ground.advance(*by)?,
            Action::Stop { kicked } => self.connection(name)?.wire.stop(*kicked)?,
            Action::Assert { left, relation, right } => self.assert(left, relation, right)?,
        }
        Ok(())
    }

    fn outside(&mut self, what: &Outside) -> Result<(), Refusal> {
        let octets = match what {
            Outside::Message { octets: Octets::Given(octets), .. } => octets.clone(),
            Outside::Message { octets: Octets::Named(name), .. } => text::named(name, &self.names)?,
            _ => Vec::new(),
        };
        self.ground.outside(what, &octets)
    }

    fn connect(&mut self, name: &str, peer: Peer) -> Result<(), Refusal> {
        let wire = self.ground.connect(peer)?;
        let connection =
            Connection { wire, compressed: None, unread: Vec::new(), closed: false, utf8: false, macros: 0 };
        if self.connections.insert(name.to_owned(), connection).is_some() {
            return Err(Refusal::Failed(format!("the connection {name:?} is already there")));
        }
        Ok(())
    }

    fn login(&mut self, name: &str, account: &str) -> Result<(), Refusal> {
        if !self.connections.contains_key(name) {
            self.connect(name, Peer::Trusted)?;
            let greeting = self.response(name)?;
            if !greeting.starts_with(b"* OK ") {
                return Err(Refusal::Failed(format!("the greeting is {}", shown(&greeting))));
            }
        }
        self.command(name, &format!("LOGIN {account} {}", parse::PASSWORD))?;
        match self.mode.capability() {
            Some(capability) => self.command(name, &format!("ENABLE {capability}")),
            None => Ok(()),
        }
    }

    /// A command of which only the success matters.
    fn command(&mut self, name: &str, command: &str) -> Result<(), Refusal> {
        let connection = self.connection(name)?;
        connection.macros += 1;
        let tag = format!("auto{}", connection.macros);
        self.send_line(name, &format!("{tag} {command}"))?;
        loop {
            let response = self.response(name)?;
            if let Some(rest) = response.strip_prefix(format!("{tag} ").as_bytes()) {
                return match rest.starts_with(b"OK ") {
                    true => Ok(()),
                    false => Err(Refusal::Failed(format!("{command}: {}", shown(&response)))),
                };
            }
        }
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, Refusal> {
        self.connections.get_mut(name).ok_or_else(|| Refusal::Failed(format!("there is no connection {name:?}")))
    }

    /// Sends a line with its literals; before the octets of a synchronising one it waits for the server to agree.
    fn send_line(&mut self, name: &str, line: &str) -> Result<(), Refusal> {
        self.note(name, "C:", line.as_bytes());
        let mut octets = Vec::new();
        for sym in text::parse_line(line, &self.names)? {
            match sym {
                Sym::Octet(octet) => octets.push(octet),
                Sym::Hole(Hole::Kept(kept, delta)) => {
                    let value = text::kept(&kept, delta, &self.names);
                    octets.extend(value.ok_or_else(|| format!("nothing is kept as {kept:?}"))?);
                }
                Sym::Hole(_) => return Err(Refusal::Failed("a placeholder in a line to be sent".into())),
                Sym::Literal(literal) => {
                    let (tilde, plus) =
                        (if literal.literal8 { "~" } else { "" }, if literal.non_sync { "+" } else { "" });
                    octets.extend(format!("{tilde}{{{}{plus}}}\r\n", literal.octets.len()).bytes());
                    if !literal.non_sync {
                        self.connection(name)?.send(&octets)?;
                        octets.clear();
                        let answer = self.response(name)?;
                        if !answer.starts_with(b"+ ") {
                            return Err(Refusal::Failed(format!("a literal was not taken: {}", shown(&answer))));
                        }
                    }
                    octets.extend(literal.octets);
                }
            }
        }
        octets.extend_from_slice(b"\r\n");
        Ok(self.connection(name)?.send(&octets)?)
    }

    /// The next response with its literals, without the final CRLF.
    fn response(&mut self, name: &str) -> Result<Vec<u8>, Refusal> {
        loop {
            let connection = self.connection(name)?;
            if let Some(end) = response_end(&connection.unread) {
                let mut response: Vec<u8> = connection.unread.drain(..end).collect();
                let utf8 = connection.utf8;
                self.note(name, "S:", response.strip_suffix(b"\r\n").unwrap_or(&response));
                // RFC 9051 §2.2: lines end with CRLF.
                if !response.ends_with(b"\r\n") {
                    return Err(Refusal::Failed(format!("a line without CRLF: {}", shown(&response))));
                }
                response.truncate(response.len() - 2);
                self.check_octets(name, &response, utf8)?;
                let well_formed =
                    response::parse(&text::received(&response), true).and_then(|response| shape::check(&response));
                return match well_formed {
                    Ok(()) => Ok(response),
                    Err(why) => Err(Refusal::Failed(format!("malformed: {why}\n  got: {}", shown(&response)))),
                };
            }
            match connection.receive(true) {
                Received::Octets(octets) => connection.unread.extend(octets),
                Received::Idle if connection.unread.is_empty() => {
                    return Err(Refusal::Failed("the server says nothing more".into()));
                }
                Received::Idle => {
                    let unread = shown(&connection.unread);
                    return Err(Refusal::Failed(format!("the server stops amid a response: {unread}")));
                }
                Received::Closed => return Err(Refusal::Failed("the server has closed the connection".into())),
                Received::Stuck(why) => return Err(Refusal::Failed(why)),
            }
        }
    }

    /// RFC 9051 §4.3: no 8-bit outside of literals before IMAP4rev2 or UTF8=ACCEPT is enabled.
    fn check_octets(&mut self, name: &str, response: &[u8], utf8: bool) -> Result<(), Refusal> {
        let outside: Vec<u8> = text::received(response)
            .iter()
            .filter_map(|s| if let Sym::Octet(o) = s { Some(*o) } else { None })
            .collect();
        if !utf8 && !outside.is_ascii() {
            return Err(Refusal::Failed(format!("8-bit octets outside of a literal: {}", shown(response))));
        }
        if std::str::from_utf8(&outside).is_err() {
            return Err(Refusal::Failed(format!("invalid UTF-8 outside of a literal: {}", shown(response))));
        }
        let enabled = response.starts_with(b"* ENABLED");
        if enabled && outside.split(|o| *o == b' ').any(|word| word == b"IMAP4rev2" || word == b"UTF8=ACCEPT") {
            self.connection(name)?.utf8 = true;
        }
        Ok(())
    }

    fn expect(&mut self, name: &str, pattern: &str, exact: bool) -> Result<(), Refusal> {
        let failed = |what: String| Refusal::Failed(format!("{what}\n  expected: {pattern}"));
        let syms = text::parse_line(pattern, &self.names)?;
        let got = self.response(name).map_err(|e| match e {
            Refusal::Failed(what) => failed(what),
            cannot => cannot,
        })?;
        let agrees = if exact {
            Ok(text::matches(&flattened(&syms), &got, false, &mut self.names))
        } else {
            let expected = response::parse(&syms, false)?;
            response::parse(&text::received(&got), true).map(|got| response::agrees(&expected, &got, &mut self.names))
        };
        match agrees {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.got = Some(as_script(&got));
                Err(failed(format!("got: {}", shown(&got))))
            }
            Err(why) => Err(failed(format!("malformed: {why}\n  got: {}", shown(&got)))),
        }
    }

    fn expect_unordered(&mut self, steps: &[&Step]) -> Result<(), Refusal> {
        let mut open: Vec<(String, Response)> = Vec::new();
        for step in steps {
            if let Action::ExpectUnordered(pattern) = &step.action {
                open.push((pattern.clone(), response::parse(&text::parse_line(pattern, &self.names)?, false)?));
            }
        }
        while !open.is_empty() {
            let wanted = || open.iter().map(|(pattern, _)| format!("\n  expected: {pattern}")).collect::<String>();
            let failed = |what: String| Refusal::Failed(format!("{what}{}", wanted()));
            let got = self.response(&steps[0].connection).map_err(|e| match e {
                Refusal::Failed(what) => failed(what),
                cannot => cannot,
            })?;
            let received = response::parse(&text::received(&got), true)
                .map_err(|why| failed(format!("malformed: {why}\n  got: {}", shown(&got))))?;
            let mut names = self.names.clone();
            let found = open.iter().position(|(_, expected)| {
                names.clone_from(&self.names);
                response::agrees(expected, &received, &mut names)
            });
            match found {
                Some(at) => {
                    self.names = names;
                    open.remove(at);
                }
                None => return Err(failed(format!("got: {}", shown(&got)))),
            }
        }
        Ok(())
    }

    fn expect_closed(&mut self, name: &str) -> Result<(), Refusal> {
        let connection = self.connection(name)?;
        if connection.unread.is_empty() {
            match connection.receive(true) {
                Received::Closed => {
                    connection.closed = true;
                    return Ok(());
                }
                Received::Octets(octets) => connection.unread.extend(octets),
                Received::Idle | Received::Stuck(_) => return Err(Refusal::Failed("the connection stays open".into())),
            }
        }
        Err(Refusal::Failed(format!("more is said before the end: {}", shown(&connection.unread))))
    }

    /// Nothing was said that the script does not know of, on any connection.
    fn nothing_more(&mut self) -> Result<(), Refusal> {
        for (name, connection) in &mut self.connections {
            let label = if name.is_empty() { String::new() } else { format!(" on {name}") };
            if connection.unread.is_empty() && !connection.closed {
                match connection.receive(false) {
                    Received::Octets(octets) => connection.unread.extend(octets),
                    Received::Idle => {}
                    Received::Closed => {
                        return Err(Refusal::Failed(format!("the server has closed the connection{label}")));
                    }
                    Received::Stuck(why) => return Err(Refusal::Failed(why)),
                }
            }
            if !connection.unread.is_empty() {
                let end = response_end(&connection.unread).unwrap_or(connection.unread.len());
                let unread = shown(&connection.unread[..end]);
                return Err(Refusal::Failed(format!("not expected{label}\n  got: {unread}")));
            }
        }
        Ok(())
    }

    fn assert(&mut self, left: &str, relation: &str, right: &str) -> Result<(), Refusal> {
        let octets = |text: &str| -> Result<Vec<u8>, String> {
            let syms = text::parse_line(text, &self.names)?;
            let mut octets = Vec::new();
            for sym in syms {
                match sym {
                    Sym::Octet(octet) => octets.push(octet),
                    Sym::Hole(Hole::Kept(name, delta)) => {
                        octets.extend(
                            text::kept(&name, delta, &self.names)
                                .ok_or_else(|| format!("nothing is kept as {name:?}"))?,
                        );
                    }
                    _ => return Err("only ${name}, numbers and words can be compared".into()),
                }
            }
            Ok(octets)
        };
        let number = |octets: &[u8]| -> Result<i64, String> {
            String::from_utf8_lossy(octets).parse().map_err(|_| format!("{} is no number", shown(octets)))
        };
        let (left, right) = (octets(left)?, octets(right)?);
        let holds = match relation {
            "<" => number(&left)? < number(&right)?,
            ">" => number(&left)? > number(&right)?,
            "!=" => left != right,
            _ => left == right,
        };
        let said = format!("{} {relation} {} does not hold", shown(&left), shown(&right));
        if holds { Ok(()) } else { Err(Refusal::Failed(said)) }
    }

    fn note(&mut self, name: &str, side: &str, octets: &[u8]) {
        let space = if name.is_empty() { "" } else { " " };
        let _ = writeln!(self.said, "    {name}{space}{side} {}", shown(octets));
    }
}

fn same_group(first: &Step, other: &Step) -> bool {
    matches!(other.action, Action::ExpectUnordered(_)) && other.connection == first.connection
}

/// Literals as the octets they are on the wire.
fn flattened(syms: &[Sym]) -> Vec<Sym> {
    let mut flat = Vec::with_capacity(syms.len());
    for sym in syms {
        match sym {
            Sym::Literal(literal) => {
                let tilde = if literal.literal8 { "~" } else { "" };
                let head = format!("{tilde}{{{}}}\r\n", literal.octets.len());
                flat.extend(head.bytes().chain(literal.octets.iter().copied()).map(Sym::Octet));
            }
            other => flat.push(other.clone()),
        }
    }
    flat
}

/// Where the first response ends, its final line end included; `None` while it is not all there.
pub(crate) fn response_end(octets: &[u8]) -> Option<usize> {
    let mut line_from = 0;
    loop {
        let end = line_from + octets.get(line_from..)?.iter().position(|o| *o == b'\n')? + 1;
        let line = octets[line_from..end].strip_suffix(b"\r\n").unwrap_or(&octets[line_from..end]);
        match announced(line) {
            Some(size) => line_from = end.checked_add(size)?,
            None => return (end <= octets.len()).then_some(end),
        }
    }
}

/// The size of the literal that a line announces at its end.
fn announced(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|o| *o == b'{')?;
    let digits = &inside[open + 1..];
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// For people: what cannot be printed as escapes, long texts cut.
fn shown(octets: &[u8]) -> String {
    const LONGEST: usize = 2000;
    let cut = &octets[..octets.len().min(LONGEST)];
    let mut text = String::new();
    for chunk in cut.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|octet| text.push_str(&format!("\\x{octet:02x}")));
    }
    if octets.len() > LONGEST { format!("{text}… ({} octets)", octets.len()) } else { text }
}

/// A response the way a script writes it.
pub(crate) fn as_script(response: &[u8]) -> String {
    let mut line = String::new();
    let mut plain = Vec::new();
    for sym in text::received(response) {
        match sym {
            Sym::Octet(octet) => plain.push(octet),
            Sym::Literal(literal) => {
                line.push_str(&String::from_utf8_lossy(&std::mem::take(&mut plain)));
                let mut inside = String::new();
                for octet in literal.octets {
                    match octet {
                        b'\r' => inside.push_str("\\r"),
                        b'\n' => inside.push_str("\\n"),
                        b'"' | b'\\' => inside.extend(['\\', octet as char]),
                        32..=126 => inside.push(octet as char),
                        other => inside.push_str(&format!("\\x{other:02x}")),
                    }
                }
                let tilde = if literal.literal8 { "~" } else { "" };
                line.push_str(&format!("{tilde}{{\"{inside}\"}}"));
            }
            Sym::Hole(_) => {}
        }
    }
    line + &String::from_utf8_lossy(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_after_its_literals() {
        assert_eq!(response_end(b"* OK x\r\n* b"), Some(8));
        assert_eq!(response_end(b"* 1 FETCH (A {3}\r\n\r\nx B {1}\r\n))\r\nz"), Some(33));
        assert_eq!(response_end(b"* 1 FETCH (A {30}\r\n\r\nx)\r\n"), None);
    }

    #[test]
    fn a_response_is_written_as_a_script_would() {
        assert_eq!(as_script(b"* 1 FETCH (A {4}\r\na\r\n\xff)"), "* 1 FETCH (A {\"a\\r\\n\\xff\"})");
    }
}
