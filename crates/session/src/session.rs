//! The life of one connection: greeting, one command after the other, last words. Commands run in the order they were
//! sent, each answered before the next begins, so pipelining needs no rule of its own (RFC 9051 §5.5).

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use columba_types::limits;
use columba_wire::{
    AppendHead, AppendPlace, Code, Command, CommandBody, Frame, FrameLimits, Framer, LiteralHead, ParseError, Printer,
    Refusal, RefusalReason,
};
use columba_wire::{Numbering, Status, Tag, parse_append_head, parse_command};
use futures_util::future::BoxFuture;
use tracing::{debug, info, warn};

use crate::capability;
use crate::channel::{Buffers, Channel, Compression, Ended};
use crate::commands;
use crate::context::Context;
use crate::link::{Link, Stop};
use crate::news::{tell, tell_between};
use crate::notify::Own;
use crate::progress::Progress;
use crate::reply::{Failure, Outcome, print_tagged};
use crate::services::{Peer, Security, Services};
use crate::state::{Login, State, Told};
use crate::sync::Sync;
use crate::table::{CommandSpec, Expunges, PhaseKind, name_of, spec};
use crate::waiting::{Woken, wait};

/// One client's session. It outlives the link it runs on when TLS takes over.
#[derive(Debug)]
pub struct Session {
    services: Arc<Services>,
    peer: Peer,
    /// Where the connection comes from, before any proxy said otherwise.
    met_at: Option<IpAddr>,
    state: State,
    framer: Framer,
    buffers: Buffers,
    compression: Option<Box<Compression>>,
    greeted: bool,
}

/// How a session leaves its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Over: the link is to be closed.
    Closed,
    /// The client has been told to begin TLS: do the handshake, call [`Session::tls_started`], and run again.
    StartTls,
}

/// What to do after a frame was dealt with.
enum Next {
    Continue,
    StartTls,
    Close,
}

impl Session {
    /// A session that has said nothing yet.
    pub fn new(services: Arc<Services>, peer: Peer) -> Self {
        let framer = Framer::new(FrameLimits::UNAUTHENTICATED);
        let (state, buffers) = (State::default(), Buffers::default());
        let met_at = peer.address;
        Self { services, peer, met_at, state, framer, buffers, compression: None, greeted: false }
    }

    /// TLS has taken over. Nothing that came before it counts (RFC 9051 §6.2.1).
    pub fn tls_started(&mut self) {
        self.peer.security = Security::Tls;
        if let Some(met_at) = self.met_at.filter(|met_at| self.peer.address != Some(*met_at)) {
            // The proxy says it again. Should there be too many from where it is, that is told when the next one comes.
            self.peer.address = Some(met_at);
            _ = self.services.gate.found_at(self.peer.connection, met_at);
        }
        self.state = State { stranger_since: self.state.stranger_since, ..State::default() };
        self.framer = Framer::new(FrameLimits::UNAUTHENTICATED);
        self.buffers = Buffers::default();
        self.compression = None;
    }

    /// The account that is logged in, for the list of connections.
    pub fn account_name(&self) -> Option<&str> {
        self.state.login.as_ref().map(|login| login.account.name.as_str())
    }

    /// Talks with the client until the end.
    pub async fn run(&mut self, link: &mut dyn Link) -> End {
        let authenticated = self.state.login.is_some();
        let (framer, buffers, compression) = (&mut self.framer, &mut self.buffers, &mut self.compression);
        let mut channel = Channel::new(link, framer, buffers, compression, authenticated, self.state.stranger_since);
        let mut turn = Turn { services: &self.services, peer: &mut self.peer, state: &mut self.state };
        if !self.greeted {
            self.greeted = true;
            turn.greet(&mut channel);
        }
        let ended = loop {
            let frame = match turn.is_notified() {
                false => channel.frame().await.map(Some),
                true => turn.boxed_frame_or_news(&mut channel).await,
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    _ = channel.flush().await;
                    return End::Closed;
                }
                Err(ended) => break ended,
            };
            match turn.boxed_frame(&mut channel, frame).await {
                Ok(Next::Continue) => {}
                Ok(Next::StartTls) => {
                    channel.discard_input();
                    match channel.flush().await {
                        Ok(()) => return End::StartTls,
                        Err(ended) => break ended,
                    }
                }
                Ok(Next::Close) => {
                    _ = channel.flush().await;
                    return End::Closed;
                }
                Err(ended) => break ended,
            }
        };
        turn.farewell(&mut channel, &ended).await;
        self.state = State::default();
        End::Closed
    }
}

/// The parts of a session that a command works on, while the channel has the rest.
struct Turn<'s> {
    services: &'s Arc<Services>,
    peer: &'s mut Peer,
    state: &'s mut State,
}

impl Turn<'_> {
    fn greet(&mut self, channel: &mut Channel<'_>) {
        let code = Code::Capability(capability::line(&self.services.settings, self.peer, self.state));
        let text = format!("{} ready", self.services.settings.server_name);
        channel.printer(self.state.enabled.print_mode()).untagged(Status::Ok, Some(&code), &text);
    }

    /// Last words to a client that is still there.
    async fn farewell(&mut self, channel: &mut Channel<'_>, ended: &Ended) {
        let (code, text) = match ended {
            Ended::Eof => return debug!(connection = self.peer.connection, "the client closed the connection"),
            Ended::Io(error) => return debug!(connection = self.peer.connection, %error, "the connection broke"),
            Ended::Silent => (None, "You were silent for too long"),
            Ended::Bomb => (None, "What you compress is far more than any command is"),
            Ended::Stopped(Stop::Shutdown) => (Some(Code::Unavailable), "The server is being restarted"),
            Ended::Stopped(Stop::Kicked) => (Some(Code::ContactAdmin), "Your administrator ended this connection"),
        };
        channel.printer(self.state.enabled.print_mode()).bye(code.as_ref(), text);
        _ = channel.flush().await;
    }

    /// Whether the client is to be told of changes while it gives no command.
    fn is_notified(&self) -> bool {
        self.state.login.as_ref().is_some_and(|login| login.is_notified())
    }

    /// In a box, so that those who only wait hold no room for it.
    fn boxed_frame_or_news<'t>(
        &'t mut self,
        channel: &'t mut Channel<'_>,
    ) -> BoxFuture<'t, Result<Option<Frame>, Ended>> {
        Box::pin(self.frame_or_news(channel))
    }

    /// The next frame; until it comes the client is told what NOTIFY asked for (RFC 5465 §3.1). `None` when the connection
    /// is to be closed.
    async fn frame_or_news(&mut self, channel: &mut Channel<'_>) -> Result<Option<Frame>, Ended> {
        let deadline = channel.elapsed() + limits::IDLE_AUTHENTICATED;
        let mut woken = Woken::Changes;
        loop {
            if let Some(frame) = channel.frame_at_hand() {
                return Ok(Some(frame));
            }
            if !channel.framer.is_idle() {
                // Nothing is told in the middle of a command: its rest is not far.
                return channel.frame().await.map(Some);
            }
            match woken {
                Woken::Octets => {}
                Woken::KeepAlive => {
                    channel.printer(self.state.enabled.print_mode()).untagged(Status::Ok, None, "Still here");
                }
                Woken::Changes => match tell_between(&mut self.context(channel, None)).await {
                    Ok(()) => {}
                    Err(Failure::Ended(ended)) => return Err(ended),
                    Err(Failure::Bye(code, text)) => return self.bye(channel, code, &text).map(|_| None),
                    // Settled by `tell`.
                    Err(Failure::MailboxGone) => {}
                    // It is tried again with the next change or command.
                    Err(Failure::No(_, why) | Failure::Bad(_, why)) => {
                        warn!(connection = self.peer.connection, %why, "changes could not be told");
                    }
                },
            }
            channel.flush().await?;
            let watch = self.state.login.as_deref_mut().and_then(Login::watch);
            woken = wait(channel, watch, deadline).await?;
        }
    }

    /// Deals with a frame in a box of its own, so that a connection which waits for its next command holds no room for
    /// running one. Not an async function: that would keep the room for the box's content after all, and IDLE that of
    /// everything a frame may be besides a command.
    fn boxed_frame<'t>(&'t mut self, channel: &'t mut Channel<'_>, frame: Frame) -> BoxFuture<'t, Result<Next, Ended>> {
        match frame {
            // Some clients send an empty line after a literal or DONE.
            Frame::Command(octets) if octets.is_empty() => Box::pin(ready(Ok(Next::Continue))),
            Frame::Command(octets) => match parse_command(&octets, self.state.enabled.parse_mode()) {
                Ok(Command { tag, body }) => Box::pin(self.execute(channel, tag, body, None)),
                Err(error) => Box::pin(self.unparsed(channel, error)),
            },
            Frame::Literal(literal) => Box::pin(self.literal(channel, literal)),
            Frame::Refused(refusal) => Box::pin(self.refused(channel, refusal)),
            // Streamed literals are read where they were asked for.
            Frame::Data(_) | Frame::DataEnd => Box::pin(ready(Ok(Next::Continue))),
        }
    }

    /// Runs a command, of which a literal of octets to be appended may still be to come.
    async fn execute(
        &mut self,
        channel: &mut Channel<'_>,
        tag: Tag,
        body: CommandBody,
        literal: Option<(LiteralHead, AppendPlace)>,
    ) -> Result<Next, Ended> {
        let (name, numbering) = name_of(&body);
        // RFC 7162 §3.2.10.2: nothing vanishes while message numbers are searched for, be it by UID SEARCH.
        let by_number = matches!(&body, CommandBody::Search(search) if search.key.has_sequence_numbers());
        let mut context = self.context(channel, Some(&tag));
        context.literal = literal;
        let outcome = match spec(name) {
            None => Err(Failure::bad("Unknown command")),
            Some(spec) => match admitted(spec, numbering, &mut context) {
                Err(failure) => Err(failure),
                Ok(()) => {
                    let outcome = match context.open_selected().await {
                        Ok(()) => {
                            context.note_left();
                            commands::run(&mut context, &tag, body).await
                        }
                        Err(failure) => Err(failure),
                    };
                    let expunges = match spec.expunges {
                        Expunges::Always => true,
                        Expunges::Never => false,
                        Expunges::UidForm => numbering == Numbering::Uid && !by_number,
                    };
                    let uid = numbering == Numbering::Uid;
                    // In a box: IDLE waits before it comes here, and should hold no room for it.
                    Box::pin(settle(&mut context, outcome, Sync { expunges, uid, flags: true, ends_command: true }))
                        .await
                }
            },
        };
        if literal.is_some() && outcome.is_err() {
            // Where the command failed before all its octets came. It does nothing where they did.
            channel.framer.refuse();
        }
        let logged_out = name == "LOGOUT";
        let done = outcome.is_ok();
        let next = self.answer(channel, &tag, outcome).await?;
        match name {
            // RFC 4978 §3, RFC 8437 §4.1: right behind the tagged OK.
            "COMPRESS" if done => channel.begin_compression(&self.services.compressors).await?,
            "UNAUTHENTICATE" if done => channel.end_compression().await?,
            _ => {}
        }
        Ok(match next {
            Next::Continue if logged_out => Next::Close,
            Next::Continue if name == "STARTTLS" && done => Next::StartTls,
            next => next,
        })
    }

    /// A literal in the middle of a command: a message to be appended, or a part of the command itself.
    async fn literal(&mut self, channel: &mut Channel<'_>, literal: LiteralHead) -> Result<Next, Ended> {
        if self.state.login.is_some() {
            match parse_append_head(channel.framer.head(), self.state.enabled.parse_mode()) {
                Some(Ok(AppendHead { tag, append, place })) => {
                    let body = CommandBody::Append(append);
                    return self.execute(channel, tag, body, Some((literal, place))).await;
                }
                Some(Err(error)) => {
                    channel.framer.refuse();
                    return self.unparsed(channel, error).await;
                }
                None => {}
            }
        }
        if channel.framer.accept() && literal.synchronizing {
            channel.printer(self.state.enabled.print_mode()).continuation("OK");
        }
        Ok(Next::Continue)
    }

    async fn refused(&mut self, channel: &mut Channel<'_>, refusal: Refusal) -> Result<Next, Ended> {
        let code = match refusal.reason {
            RefusalReason::CommandTooBig | RefusalReason::LiteralSize => Some(Code::TooBig),
            _ => None,
        };
        let text = refusal.reason.to_string();
        match (&refusal.tag, refusal.reason) {
            (Some(tag), reason) if reason != RefusalReason::Endless => {
                self.answer(channel, tag, Err(Failure::Bad(code, text.into()))).await
            }
            _ => self.bye(channel, code, &text),
        }
    }

    async fn unparsed(&mut self, channel: &mut Channel<'_>, error: ParseError) -> Result<Next, Ended> {
        debug!(connection = self.peer.connection, error = error.text, "not a command");
        match &error.tag {
            Some(tag) => self.answer(channel, tag, Err(Failure::bad(error.text))).await,
            None => {
                let mut printer = channel.printer(self.state.enabled.print_mode());
                printer.untagged(Status::Bad, None, &error.text);
                self.count_bad(channel)
            }
        }
    }

    /// The one place that writes tagged answers.
    async fn answer(&mut self, channel: &mut Channel<'_>, tag: &Tag, outcome: Outcome) -> Result<Next, Ended> {
        let mut printer: Printer<'_> = channel.printer(self.state.enabled.print_mode());
        print_tagged(&mut printer, tag, &outcome);
        match outcome {
            Err(Failure::No(..)) if self.state.login_failures >= limits::LOGIN_FAILURES => {
                self.bye(channel, None, "Too many failed logins")
            }
            Ok(_) | Err(Failure::No(..) | Failure::MailboxGone) => {
                self.state.bad_in_a_row = 0;
                channel.relieve().await?;
                Ok(Next::Continue)
            }
            Err(Failure::Bad(..)) => self.count_bad(channel),
            Err(Failure::Bye(code, text)) => self.bye(channel, code, &text),
            Err(Failure::Ended(ended)) => Err(ended),
        }
    }

    fn count_bad(&mut self, channel: &mut Channel<'_>) -> Result<Next, Ended> {
        self.state.bad_in_a_row += 1;
        let most = match self.state.phase() {
            PhaseKind::NotAuthenticated => limits::BAD_COMMANDS_UNAUTHENTICATED,
            _ => limits::BAD_COMMANDS_IN_A_ROW,
        };
        if self.state.bad_in_a_row < most {
            return Ok(Next::Continue);
        }
        self.bye(channel, None, "Too many commands that are none")
    }

    fn bye(&mut self, channel: &mut Channel<'_>, code: Option<Code>, text: &str) -> Result<Next, Ended> {
        info!(connection = self.peer.connection, text, "connection ended by the server");
        channel.printer(self.state.enabled.print_mode()).bye(code.as_ref(), text);
        Ok(Next::Close)
    }

    /// What a command works with; without a tag it is none, but a look at what is new.
    fn context<'t, 'c>(&'t mut self, channel: &'t mut Channel<'c>, tag: Option<&Tag>) -> Context<'t, 'c> {
        let Turn { services, peer, state } = self;
        let progress = Progress::begin(tag, channel);
        let (told, own) = (Told::default(), Own::default());
        Context { services, peer, state, channel, told, progress, own, left: None, literal: None }
    }
}

/// Whether the command may be given now.
fn admitted(spec: &CommandSpec, numbering: Numbering, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let phase = context.state.phase();
    if !spec.phases.contains(&phase) {
        // The client may have sent it before CLOSED could reach it.
        if spec.phases == [PhaseKind::Selected] && context.state.login.as_deref().is_some_and(|login| login.deselected)
        {
            return Err(Failure::no(Code::NonExistent, DELETED));
        }
        return Err(Failure::bad(match phase {
            PhaseKind::NotAuthenticated => format!("{}: log in first", spec.name),
            PhaseKind::Authenticated if spec.phases == [PhaseKind::NotAuthenticated] => {
                format!("{}: you are logged in already", spec.name)
            }
            PhaseKind::Authenticated => format!("{}: select a mailbox first", spec.name),
            PhaseKind::Selected => format!("{}: not while a mailbox is selected", spec.name),
        }));
    }
    if spec.sequence_numbers && numbering == Numbering::Seq && context.state.enabled.uid_only {
        // RFC 9586 §3.2: whatever its arguments.
        let text = format!("{}: UIDONLY is enabled, use UID {}", spec.name, spec.name);
        return Err(Failure::Bad(Some(Code::UidRequired), text.into()));
    }
    if spec.writes && context.selected()?.read_only {
        // RFC 9051 §6.3.3: nothing in an examined mailbox may change.
        return Err(Failure::No(Some(Code::ReadOnly), "The mailbox was opened with EXAMINE, read-only".into()));
    }
    Ok(())
}

/// Why a command about messages is refused whose mailbox another session deleted.
const DELETED: &str = "The selected mailbox was deleted";

/// Tells what has changed meanwhile, before the tagged answer, and ends a session whose mailbox is gone.
async fn settle(context: &mut Context<'_, '_>, outcome: Outcome, how: Sync) -> Outcome {
    if matches!(outcome, Err(Failure::Bye(..) | Failure::Ended(_))) {
        return outcome;
    }
    let told = std::mem::take(&mut context.told);
    tell(context, how, &told).await?;
    let gone = |failure| match failure {
        // RFC 9051 §7.1 CLOSED has been told.
        Failure::MailboxGone => Failure::no(Code::NonExistent, DELETED),
        failure => failure,
    };
    let outcome = outcome.map_err(gone);
    match context.selected() {
        Ok(selected) => outcome.map(|done| done.told_up_to(selected.complete())),
        Err(_) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a waiting connection holds besides what the client was told: everything larger lives in boxes while it is at
    /// work.
    #[test]
    fn a_waiting_session_is_small() {
        fn size<T>(_: impl FnOnce(&'static mut Session, &'static mut dyn Link) -> T) -> usize {
            size_of::<T>()
        }
        let run = size(|session, link| session.run(link));
        assert!(run <= 640 && size_of::<Session>() <= 360, "{run}, {}", size_of::<Session>());
    }

    /// The server moves sessions between threads.
    #[test]
    fn a_running_session_can_be_sent() {
        fn check<T: Send>(_: impl FnOnce(&'static mut Session, &'static mut dyn Link) -> T) {}
        check(|session, link| session.run(link));
    }
}
