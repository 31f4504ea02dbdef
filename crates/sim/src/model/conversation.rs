//! One connection of a client: lines out, responses in, both kept on record. What they mean is not known here.

use std::collections::VecDeque;

use super::answer::{self, Answer};
use super::record::Record;
use crate::script::play::response_end;
use crate::script::{ACCOUNT, Ground, PASSWORD, Peer, Received, Wire};

/// A connection that is logged in.
pub(super) struct Conversation {
    pub(super) name: String,
    wire: Box<dyn Wire>,
    unread: Vec<u8>,
    /// Whole responses that nobody has looked at, with their place on record.
    responses: VecDeque<(usize, Vec<u8>)>,
    tags: u32,
    /// Over, from whichever side.
    pub(super) gone: bool,
    record: Record,
}

type Done = Result<(), String>;

impl Conversation {
    /// Connects and logs in, which scripts have one step for.
    pub(super) fn open(ground: &mut dyn Ground, name: String, record: Record) -> Result<Self, String> {
        let wire = ground.connect(Peer::Trusted).map_err(|refusal| format!("{refusal:?}"))?;
        record.login(&name);
        let mut talk =
            Self { name, wire, unread: Vec::new(), responses: VecDeque::new(), tags: 0, gone: false, record };
        let greeting = talk.unrecorded()?;
        if !greeting.starts_with(b"* OK ") {
            return Err(format!("the greeting is {}", String::from_utf8_lossy(&greeting)));
        }
        talk.wire.send(format!("auto LOGIN {ACCOUNT} {PASSWORD}\r\n").as_bytes())?;
        loop {
            let response = talk.unrecorded()?;
            if response.starts_with(b"auto OK ") {
                return Ok(talk);
            }
            if !response.starts_with(b"* ") {
                return Err(format!("no login: {}", String::from_utf8_lossy(&response)));
            }
        }
    }

    /// Logs in on a connection that is nobody's any more (RFC 8437).
    pub(super) fn login(&mut self) -> Done {
        let line = format!("LOGIN {ACCOUNT} {PASSWORD}");
        let tag = self.send_line(&line, format!("{line}\r\n").as_bytes())?;
        loop {
            match self.answer()? {
                Answer::Status { tag: Some(said), word, .. } if said == tag && word == "OK" => return Ok(()),
                Answer::Names { .. } => {}
                other => return Err(format!("no login: {other:?}")),
            }
        }
    }

    /// What the server announces. Not asked for in a run, because it would tie its script to that.
    pub(super) fn announced(&mut self) -> Result<Vec<String>, String> {
        self.names("CAPABILITY", "CAPABILITY")
    }

    /// The names in the one response to a command that gives names.
    pub(super) fn names(&mut self, command: &str, what: &str) -> Result<Vec<String>, String> {
        let tag = self.send_line(command, format!("{command}\r\n").as_bytes())?;
        let mut found = Vec::new();
        loop {
            match self.answer()? {
                Answer::Names { what: said, names } if said == what => found.extend(names),
                Answer::Status { tag: Some(said), word, .. } if said == tag && word == "OK" => return Ok(found),
                other => return Err(format!("{command}: {other:?}")),
            }
        }
    }

    /// Sends a command, given as a script has it and as it goes over the wire; its tag.
    pub(super) fn send_line(&mut self, script: &str, wire: &[u8]) -> Result<String, String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.record.sent(&self.name, format!("{tag} {script}"));
        self.wire.send(&[tag.as_bytes(), b" ", wire].concat())?;
        Ok(tag)
    }

    /// Sends what goes on with a command.
    pub(super) fn send_continued(&mut self, line: &str) -> Done {
        self.record.sent(&self.name, line.into());
        self.wire.send(format!("{line}\r\n").as_bytes())
    }

    /// Closes without a word.
    pub(super) fn disconnect(&mut self) {
        if !self.gone {
            self.record.disconnected(&self.name);
            self.wire.close();
            self.gone = true;
        }
    }

    /// The connection must be closed after BYE.
    pub(super) fn ended(&mut self) -> Done {
        self.gone = true;
        match self.wire.receive(true) {
            Received::Closed => {
                self.record.closed(&self.name);
                Ok(())
            }
            other => Err(format!("after BYE the server is {other:?}")),
        }
    }

    /// Lets the server do what it can; what it says is put on record, and kept for later.
    pub(super) fn let_it_work(&mut self) -> Done {
        if self.gone {
            return Ok(());
        }
        while let Received::Octets(octets) = self.wire.receive(false) {
            self.unread.extend(octets);
        }
        while let Some(response) = self.whole_response()? {
            self.responses.push_back((self.record.heard(&self.name, &response), response));
        }
        Ok(())
    }

    /// Whether there is a whole response that nobody waited for.
    pub(super) fn has_more(&mut self) -> Result<bool, String> {
        self.let_it_work()?;
        Ok(!self.gone && !self.responses.is_empty())
    }

    fn whole_response(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(end) = response_end(&self.unread) else { return Ok(None) };
        let mut response: Vec<u8> = self.unread.drain(..end).collect();
        if !response.ends_with(b"\r\n") {
            return Err("a line without CRLF".into());
        }
        response.truncate(response.len() - 2);
        Ok(Some(response))
    }

    fn unrecorded(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(response) = self.whole_response()? {
                return Ok(response);
            }
            match self.wire.receive(true) {
                Received::Octets(octets) => self.unread.extend(octets),
                other => return Err(format!("{}: an answer is due, and the server is {other:?}", self.name)),
            }
        }
    }

    /// The next response; it must come.
    pub(super) fn answer(&mut self) -> Result<Answer, String> {
        let (place, response) = match self.responses.pop_front() {
            Some(next) => next,
            None => {
                let response = self.unrecorded()?;
                let first = (self.record.heard(&self.name, &response), response);
                // What came with it was said by now, too.
                while let Some(response) = self.whole_response()? {
                    self.responses.push_back((self.record.heard(&self.name, &response), response));
                }
                first
            }
        };
        self.record.looked_at(place);
        answer::read(&response).map_err(|why| format!("{why}: {}", String::from_utf8_lossy(&response)))
    }
}
