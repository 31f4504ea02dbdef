//! LMTP (RFC 2033): how the mail server that faces the world hands messages over. One connection is one conversation:
//! commands in order, one transaction at a time, one reply per recipient once the message is durable.
//!
//! What is decided here, and why:
//! - Return-Path, Delivered-To and Received go on top, older Return-Path fields of the header go (RFC 5321 §4.4); every other
//!   octet stays as it came.
//! - Two recipients that come to the same mailbox get one copy and two replies.
//! - Nobody is asked for a password: whoever reaches the socket may deliver.

mod address;
mod command;
mod deliver;
mod framer;
mod header;
mod reply;
mod spool;
mod trace;
mod transaction;
mod wire;

use std::net::IpAddr;

use columba_session::Stop;
use columba_types::limits::{LMTP_ERRORS, LMTP_RECIPIENTS};
use futures_util::future::BoxFuture;
use tracing::debug;

use crate::accept::Shared;
use crate::registry::Place;
use crate::transport::Transport;
use command::{Command, Mail};
use framer::Event;
use reply::Reply;
use transaction::Transaction;
use wire::{Ended, Wire};

/// What a client beyond the limits is told.
pub(crate) fn refusal(words: &'static str) -> Vec<u8> {
    let mut out = Vec::new();
    Reply::new(421, "4.3.2", words).print(&mut out);
    out
}

/// Serves one connection to its end. Boxed, and made outside of any `async fn`: it is large, and most connections, which
/// are IMAP's, should hold no room for it.
pub(crate) fn serve<'s>(
    shared: &'s Shared,
    place: &'s Place,
    transport: Transport,
    offers_tls: bool,
    client_address: Option<IpAddr>,
) -> BoxFuture<'s, ()> {
    let wire = Wire::new(transport, place.stop.clone());
    let conversation = Conversation {
        shared,
        place,
        client_address,
        offers_tls,
        client_name: None,
        transaction: None,
        errors: 0,
        transactions: 0,
    };
    Box::pin(conversation.run(wire))
}

/// One connection and what was said on it.
struct Conversation<'s> {
    shared: &'s Shared,
    place: &'s Place,
    client_address: Option<IpAddr>,
    offers_tls: bool,
    /// Said with LHLO.
    client_name: Option<String>,
    transaction: Option<Transaction>,
    errors: u32,
    transactions: u64,
}

/// What to do after a command.
enum Next {
    Continue,
    StartTls,
    Close,
}

impl Conversation<'_> {
    async fn run(mut self, mut wire: Wire) {
        let greeting = format!("{} LMTP Columba ready", self.shared.config.host_name);
        wire.reply(&Reply::new(220, "", greeting));
        loop {
            match self.step(&mut wire).await {
                Ok(Next::Continue) => {}
                Ok(Next::Close) => return wire.close().await,
                Ok(Next::StartTls) => {
                    let Some(config) = self.shared.tls.config() else { return };
                    if wire.flush().await.is_err() {
                        return;
                    }
                    match wire.start_tls(config).await {
                        Ok(secured) => wire = secured,
                        Err(error) => {
                            self.shared.registry.count_tls_failure();
                            return debug!(connection = self.place.id, %error, "no TLS came about");
                        }
                    }
                    // RFC 3207 §4.2: all that was said before is forgotten.
                    (self.client_name, self.transaction) = (None, None);
                }
                Err(ended) => {
                    debug!(connection = self.place.id, reason = ?ended, "LMTP connection ends");
                    if let Some(farewell) = farewell(&ended) {
                        wire.reply(&farewell);
                    }
                    return wire.close().await;
                }
            }
        }
    }

    async fn step(&mut self, wire: &mut Wire) -> Result<Next, Ended> {
        let reply = match wire.event().await? {
            Event::Line(line) => match command::parse(&line) {
                Ok(command) => match self.command(wire, command).await? {
                    Answer::Reply(reply) => reply,
                    Answer::Given => return Ok(Next::Continue),
                    Answer::Last(reply, next) => {
                        wire.reply(&reply);
                        return Ok(next);
                    }
                },
                Err(reply) => reply,
            },
            Event::LineTooLong => Reply::new(500, "5.5.2", "The line is too long"),
            // The framer was not told to expect a body.
            Event::Body(_) | Event::BodyEnd => return Ok(Next::Continue),
        };
        wire.reply(&reply);
        if !reply.is_mistake() {
            return Ok(Next::Continue);
        }
        self.errors += 1;
        if self.errors < LMTP_ERRORS {
            return Ok(Next::Continue);
        }
        wire.reply(&Reply::new(421, "4.7.0", "Too many errors"));
        Ok(Next::Close)
    }

    async fn command(&mut self, wire: &mut Wire, command: Command) -> Result<Answer, Ended> {
        Ok(Answer::Reply(match command {
            Command::Lhlo(name) => self.lhlo(name, wire.is_tls()),
            // RFC 2033 §4.1: 500 is recommended.
            Command::Helo => Reply::new(500, "5.5.1", "This is LMTP, not SMTP: say LHLO"),
            Command::StartTls if !self.may_start_tls(wire) => Reply::new(502, "5.5.1", "TLS is not offered here"),
            Command::StartTls => return Ok(Answer::Last(Reply::new(220, "2.0.0", "Begin TLS"), Next::StartTls)),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(address) => self.rcpt(address).await,
            Command::Data => return self.data(wire).await,
            Command::Bdat { octets, last } => return self.bdat(wire, octets, last).await,
            Command::Rset => {
                self.transaction = None;
                Reply::new(250, "2.0.0", "Reset")
            }
            Command::Noop => Reply::new(250, "2.0.0", "OK"),
            // RFC 5321 §3.5.3: 252 says that nothing is told about users.
            Command::Vrfy => Reply::new(252, "2.0.0", "Try to deliver to it"),
            Command::Help => help(),
            Command::Quit => return Ok(Answer::Last(Reply::new(221, "2.0.0", "Goodbye"), Next::Close)),
        }))
    }

    fn may_start_tls(&self, wire: &Wire) -> bool {
        self.offers_tls && !wire.is_tls() && self.shared.tls.config().is_some()
    }

    fn lhlo(&mut self, name: String, is_tls: bool) -> Reply {
        self.client_name = Some(name);
        // RFC 5321 §4.1.4: a second greeting is a RSET.
        self.transaction = None;
        let mut lines = vec![self.shared.config.host_name.clone().into()];
        lines.extend(["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING"].map(Into::into));
        if self.offers_tls && !is_tls && self.shared.tls.config().is_some() {
            lines.push("STARTTLS".into());
        }
        lines.push(format!("SIZE {}", self.shared.config.message_bytes).into());
        Reply { code: 250, status: "", lines }
    }

    fn mail(&mut self, mail: Mail) -> Reply {
        let Some(client_name) = self.client_name.clone() else {
            return Reply::new(503, "5.5.1", "Say LHLO first");
        };
        if self.transaction.is_some() {
            return Reply::new(503, "5.5.1", "There is a transaction already");
        }
        if mail.size.is_some_and(|size| size > self.shared.config.message_bytes) {
            return deliver::too_big();
        }
        self.transactions += 1;
        let id = format!("{:x}.{}", self.place.id, self.transactions);
        self.transaction = Some(Transaction::new(mail, client_name, id));
        Reply::new(250, "2.1.0", "Sender taken")
    }

    async fn rcpt(&mut self, address: address::Mailbox) -> Reply {
        let Some(transaction) = &mut self.transaction else {
            return Reply::new(503, "5.5.1", "Say MAIL first");
        };
        if transaction.has_body() {
            return Reply::new(503, "5.5.1", "The message has begun already");
        }
        if !address.is_ascii() && !transaction.utf8() {
            return command::needs_utf8();
        }
        if transaction.recipients.len() >= LMTP_RECIPIENTS {
            // RFC 5321 §4.5.3.1.10: 452, and the client sends the rest in another transaction.
            return Reply::new(452, "4.5.3", "Too many recipients in one transaction");
        }
        match deliver::find(&self.shared.services.store, &address).await {
            Ok(recipient) => {
                transaction.recipients.push(recipient);
                Reply::new(250, "2.1.5", "Recipient taken")
            }
            Err(reply) => reply,
        }
    }

    async fn data(&mut self, wire: &mut Wire) -> Result<Answer, Ended> {
        let reply = match &self.transaction {
            None => Reply::new(503, "5.5.1", "Say MAIL first"),
            // RFC 2033 §4.2: 503 without a successful RCPT.
            Some(transaction) if transaction.recipients.is_empty() => {
                Reply::new(503, "5.5.1", "No recipient was taken")
            }
            // RFC 3030 §3: DATA and BDAT do not mix.
            Some(transaction) if transaction.has_body() => Reply::new(503, "5.5.1", "The message came with BDAT"),
            Some(_) => {
                wire.reply(&Reply::new(354, "", "Go on, end with a dot alone"));
                wire.framer.begin_data();
                self.body(wire).await?;
                return self.complete(wire).await;
            }
        };
        Ok(Answer::Reply(reply))
    }

    async fn bdat(&mut self, wire: &mut Wire, octets: u64, last: bool) -> Result<Answer, Ended> {
        wire.framer.begin_chunk(octets);
        // RFC 3030 §2: the octets follow, whatever is thought of the command.
        self.body(wire).await?;
        let Some(transaction) = &mut self.transaction else {
            return Ok(Answer::Reply(Reply::new(503, "5.5.1", "Say MAIL first")));
        };
        if last {
            // RFC 2033 §4.3: one reply per recipient, and none without recipients.
            return self.complete(wire).await;
        }
        Ok(Answer::Reply(match transaction.failure() {
            Some(failure) => failure.clone(),
            None if transaction.recipients.is_empty() => Reply::new(503, "5.5.1", "No recipient was taken"),
            None => Reply::new(250, "2.0.0", format!("{octets} octets taken")),
        }))
    }

    /// Takes all of a message or chunk; what is wrong with it is told when it is over.
    async fn body(&mut self, wire: &mut Wire) -> Result<(), Ended> {
        if let Some(transaction) = &mut self.transaction {
            transaction.begin_body(&self.shared.config.spool);
        }
        loop {
            match wire.event().await? {
                Event::Body(octets) => {
                    if let Some(transaction) = &mut self.transaction {
                        transaction.take(&octets, self.shared.config.message_bytes).await;
                    }
                }
                Event::BodyEnd => return Ok(()),
                Event::Line(_) | Event::LineTooLong => return Err(Ended::Gone),
            }
        }
    }

    /// Delivers the message, one reply per recipient in the order of RCPT (RFC 2033 §4.2).
    async fn complete(&mut self, wire: &mut Wire) -> Result<Answer, Ended> {
        if let Some(transaction) = self.transaction.take() {
            transaction.complete(self.shared, self.client_address, wire).await?;
        }
        Ok(Answer::Given)
    }
}

/// How a command is answered.
enum Answer {
    Reply(Reply),
    /// Already, by as many replies as were due.
    Given,
    /// The last of this conversation, or of its part without TLS.
    Last(Reply, Next),
}

fn farewell(ended: &Ended) -> Option<Reply> {
    match ended {
        Ended::Gone => None,
        Ended::Silent => Some(Reply::new(421, "4.4.2", "You were silent for too long")),
        Ended::Stopped(Stop::Shutdown) => Some(Reply::new(421, "4.3.2", "The server is being restarted")),
        Ended::Stopped(Stop::Kicked) => Some(Reply::new(421, "4.3.2", "An administrator ended this connection")),
    }
}

fn help() -> Reply {
    let lines = ["Commands: LHLO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT", "See RFC 2033 and RFC 5321"];
    Reply { code: 214, status: "2.0.0", lines: lines.map(Into::into).to_vec() }
}
