//! The messages of APPEND and REPLACE on their way in: literals as the client sends them, and what URLs name. It knows
//! their octets and their limits, and not what becomes of them.

use std::sync::Arc;

use bytes::Bytes;
use columba_store::{AccountStore, NewMessage, StoreError};
use columba_types::{DateTime, Flag, limits};
use columba_wire::{AppendPart, AppendPlace, Code, Frame, LiteralHead, parse_append_end, parse_append_next};
use futures_util::future::try_join_all;

use super::catenate;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::reply::Failure;

/// Takes the messages of the running command, of which `parts` was read: their octets are durable then, and nobody's.
pub(super) async fn messages(
    context: &mut Context<'_, '_>,
    mut parts: Vec<AppendPart>,
) -> Result<Vec<NewMessage>, Failure> {
    let mut intake = Intake::new(context)?;
    loop {
        for part in parts {
            match part {
                AppendPart::Begin { flags, date } => intake.begin(flags, date)?,
                AppendPart::Url(url) => intake.copy(context, &url).await?,
                AppendPart::Octets => {}
                AppendPart::End => intake.end(context).await?,
            }
        }
        let Some((literal, place)) = context.literal.take() else { break };
        intake.admit(literal, place)?;
        intake.receive(context, literal).await?;
        parts = next_parts(context, place).await?;
        intake.fault.take().map_or(Ok(()), Err)?;
    }
    intake.make_durable(context).await?;
    Ok(intake.durable)
}

/// What follows a literal, up to the next one or the end of the command.
async fn next_parts(context: &mut Context<'_, '_>, place: AppendPlace) -> Result<Vec<AppendPart>, Failure> {
    let mode = context.state.enabled.parse_mode();
    loop {
        match context.channel.frame().await? {
            Frame::Literal(literal) => match parse_append_next(context.channel.framer.head(), place, mode) {
                Some(Ok((parts, next))) => {
                    context.literal = Some((literal, next));
                    return Ok(parts);
                }
                Some(Err(error)) => return Err(Failure::bad(error.text)),
                None => {
                    if context.channel.framer.accept() && literal.synchronizing {
                        context.printer().continuation("OK");
                    }
                }
            },
            Frame::Command(tail) => {
                return parse_append_end(&tail, place, mode).map_err(|error| Failure::bad(error.text));
            }
            Frame::Refused(refusal) => return Err(Failure::bad(refusal.reason.to_string())),
            Frame::Data(_) | Frame::DataEnd => {}
        }
    }
}

/// A message whose octets are not complete, or not durable.
struct Incoming {
    delivery: Delivery,
    flags: Vec<Flag>,
    date: DateTime,
    octets: u64,
}

struct Intake {
    mail: Arc<AccountStore>,
    /// Octets a message may have.
    most: u64,
    /// Octets that the command may still have.
    left: u64,
    /// Messages there may be, and what more of them are answered with.
    messages: (usize, Code),
    /// INTERNALDATE of messages that come without.
    now: DateTime,
    current: Option<Incoming>,
    /// Complete messages that will share a sync of the disk.
    complete: Vec<Incoming>,
    /// Octets of those, as far as they are in memory.
    in_flight: u64,
    durable: Vec<NewMessage>,
    /// Octets of what is held of `durable`.
    summary_bytes: usize,
    /// Parts of messages so far.
    parts: usize,
    /// What the store said while a literal was coming: told once the client has sent it, so that both stay in step.
    fault: Option<StoreError>,
}

impl Intake {
    fn new(context: &mut Context<'_, '_>) -> Result<Self, Failure> {
        let mail = context.mail()?;
        let settings = &context.services.settings;
        let most = context.login()?.message_bytes(settings);
        let messages = match settings.save_limit.or(settings.message_limit) {
            // RFC 9738 §3: what is all or nothing fails.
            Some(limit) if limit as usize <= limits::APPEND_MESSAGES => {
                (limit as usize, Code::MessageLimit { limit, lowest: None })
            }
            _ => (limits::APPEND_MESSAGES, Code::Limit),
        };
        Ok(Self {
            most,
            left: most.max(limits::APPEND_BYTES),
            messages,
            mail,
            now: DateTime::utc(context.services.store.now_millis().div_euclid(1000)),
            current: None,
            complete: Vec::new(),
            in_flight: 0,
            durable: Vec::new(),
            summary_bytes: 0,
            parts: 0,
            fault: None,
        })
    }

    fn begin(&mut self, flags: Vec<Flag>, date: Option<DateTime>) -> Result<(), Failure> {
        let (most, code) = &self.messages;
        if self.durable.len() + self.complete.len() >= *most {
            return Err(Failure::no(code.clone(), format!("At most {most} messages can be appended at once")));
        }
        let delivery = Delivery::begin(&self.mail);
        self.current = Some(Incoming { delivery, flags, date: date.unwrap_or(self.now), octets: 0 });
        Ok(())
    }

    /// The message that is arriving; the parser has seen to it that there is one.
    fn current(&mut self) -> Result<&mut Incoming, Failure> {
        self.current.as_mut().ok_or_else(|| Failure::no(Code::ServerBug, "There is no message to append to"))
    }

    /// Makes sure that a literal may come.
    fn admit(&mut self, literal: LiteralHead, place: AppendPlace) -> Result<(), Failure> {
        if literal.size == 0 && !place.is_part() {
            // RFC 3502 §6.3.11: an empty literal cancels the command; an empty message is no use either.
            return Err(match self.durable.is_empty() && self.complete.is_empty() {
                true => empty(),
                false => Failure::No(None, "An empty message cancels the command: nothing was appended".into()),
            });
        }
        self.admit_part(literal.size, literal.size)
    }

    /// `cost` is what has to be looked at for the part's octets.
    fn admit_part(&mut self, size: u64, cost: u64) -> Result<(), Failure> {
        self.parts += 1;
        if self.parts > limits::APPEND_PARTS {
            return Err(Failure::no(Code::Limit, format!("One APPEND has at most {} parts", limits::APPEND_PARTS)));
        }
        let most = self.most;
        let current = self.current()?;
        if current.octets.saturating_add(size) > most {
            return Err(Failure::no(Code::TooBig, format!("A message has at most {most} octets here")));
        }
        current.octets += size;
        match self.left.checked_sub(cost) {
            Some(left) => self.left = left,
            None => return Err(Failure::no(Code::TooBig, "That is too much for one command: append it in several")),
        }
        Ok(())
    }

    /// Asks for the literal and takes it.
    async fn receive(&mut self, context: &mut Context<'_, '_>, literal: LiteralHead) -> Result<(), Failure> {
        context.channel.framer.stream();
        if literal.synchronizing {
            context.printer().continuation("Send the octets");
        }
        loop {
            match context.channel.frame().await? {
                Frame::Data(chunk) if self.fault.is_none() => {
                    self.fault = self.current()?.delivery.write(Bytes::from(chunk)).await.err();
                }
                Frame::DataEnd => return Ok(()),
                Frame::Refused(refusal) => return Err(Failure::bad(refusal.reason.to_string())),
                _ => {}
            }
        }
    }

    /// Copies what a URL names. It is read in pieces, so that nothing large is ever held.
    async fn copy(&mut self, context: &mut Context<'_, '_>, url: &[u8]) -> Result<(), Failure> {
        let mut source = catenate::open(context, url).await?;
        self.admit_part(source.left(), source.cost())?;
        let delivery = &mut self.current()?.delivery;
        let copying = async {
            while let Some(chunk) = source.next().await? {
                delivery.write(chunk).await?;
            }
            Ok::<(), StoreError>(())
        };
        Ok(context.working(|| None, copying).await??)
    }

    async fn end(&mut self, context: &mut Context<'_, '_>) -> Result<(), Failure> {
        let Some(message) = self.current.take() else { return Ok(()) };
        if message.octets == 0 {
            return Err(empty());
        }
        self.in_flight += message.octets.min(limits::MESSAGE_IN_MEMORY_BYTES as u64);
        self.complete.push(message);
        if self.in_flight >= limits::APPEND_IN_FLIGHT_BYTES {
            self.make_durable(context).await?;
        }
        Ok(())
    }

    async fn make_durable(&mut self, context: &mut Context<'_, '_>) -> Result<(), Failure> {
        self.in_flight = 0;
        let complete = std::mem::take(&mut self.complete);
        let finish = |message: Incoming| message.delivery.finish(message.flags, message.date);
        let durable = context.working(|| None, try_join_all(complete.into_iter().map(finish))).await??;
        self.summary_bytes += durable.iter().map(|new| new.summary.bytes()).sum::<usize>();
        self.durable.extend(durable);
        // One message has what it has; only many are too much for one commit.
        if self.durable.len() > 1 && self.summary_bytes > limits::APPEND_SUMMARY_BYTES {
            return Err(Failure::no(Code::Limit, "The messages are too much for one command: append them in several"));
        }
        Ok(())
    }
}

fn empty() -> Failure {
    Failure::no(Code::Cannot, "An empty message cannot be kept")
}
