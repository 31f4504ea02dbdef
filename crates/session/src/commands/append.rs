//! APPEND (RFC 9051 §6.3.12): the message's octets go to the store as they arrive.

use std::sync::Arc;

use bytes::Bytes;
use columba_store::{AccountStore, Mailbox, StoreError};
use columba_types::DateTime;
use columba_wire::{AppendHead, AppendMessage, AppendNext, Code, Frame, LiteralHead, parse_append_next};

use super::copy::{no_target, open_target};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::reply::{Done, Failure, Outcome};

/// Takes the message that `literal` announces. Everything that can be refused is refused before the client is asked
/// to send it.
pub(crate) async fn append(context: &mut Context<'_, '_>, head: AppendHead, literal: LiteralHead) -> Outcome {
    let (mail, mailbox) = match admit(context, &head, literal).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            context.channel.framer.refuse();
            return Err(failure);
        }
    };
    context.channel.framer.stream();
    if literal.synchronizing {
        context.printer().continuation("Send the message");
    }
    let mut delivery = Delivery::begin(&mail);
    // A store that fails half-way is told once the client has sent everything, so that both stay in step.
    let mut taken: Result<(), StoreError> = Ok(());
    loop {
        match context.channel.frame().await? {
            Frame::Data(chunk) if taken.is_ok() => taken = delivery.write(Bytes::from(chunk)).await,
            Frame::DataEnd => break,
            Frame::Refused(refusal) => return Err(Failure::bad(refusal.reason.to_string())),
            _ => {}
        }
    }
    end_of_command(context, &head.message).await?;
    taken?;
    let AppendMessage { flags, date, .. } = head.message;
    let now = DateTime::utc(context.services.store.now_millis().div_euclid(1000));
    let message = delivery.finish(flags, date.unwrap_or(now)).await?;
    let appended = mailbox.append(vec![message]).await.map_err(no_target)?;
    context.own.arrived(mailbox.id(), &appended.uids);
    Ok(Done::with(Code::AppendUid { validity: appended.uid_validity, uids: appended.uids }, "Appended"))
}

/// Where the message goes, if it may.
async fn admit(
    context: &mut Context<'_, '_>,
    head: &AppendHead,
    literal: LiteralHead,
) -> Result<(Arc<AccountStore>, Arc<Mailbox>), Failure> {
    let most = context.services.settings.message_bytes;
    if literal.size > most {
        return Err(Failure::no(Code::TooBig, format!("A message has at most {most} octets here")));
    }
    if literal.size == 0 {
        // RFC 3502 §6.3.11 makes an empty literal the way to cancel; an empty message is no use either.
        return Err(Failure::no(Code::Cannot, "An empty message cannot be kept"));
    }
    let name = context.mailbox_name(&head.mailbox)?;
    let mailbox = open_target(context, &name).await?;
    Ok((context.mail()?, mailbox))
}

/// What follows the literal must be the end of the command.
async fn end_of_command(context: &mut Context<'_, '_>, message: &AppendMessage) -> Result<(), Failure> {
    loop {
        match context.channel.frame().await? {
            Frame::Command(tail) => {
                return match parse_append_next(&tail, message) {
                    Ok(AppendNext::End) => Ok(()),
                    Ok(AppendNext::Message(_)) => Err(one_at_a_time()),
                    Err(error) => Err(Failure::bad(error.text)),
                };
            }
            Frame::Literal(_) => {
                context.channel.framer.refuse();
                return Err(one_at_a_time());
            }
            Frame::Refused(refusal) => return Err(Failure::bad(refusal.reason.to_string())),
            Frame::Data(_) | Frame::DataEnd => {}
        }
    }
}

fn one_at_a_time() -> Failure {
    // MULTIAPPEND is not announced.
    Failure::bad("APPEND takes one message at a time here")
}
