//! One file per command, found by its name. What they share is the context; when they may run says the command table.

mod append;
mod authenticate;
mod catenate;
mod close;
mod compress;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
mod fetch;
mod get_metadata;
mod id;
mod idle;
mod intake;
mod list;
mod login;
mod lsub;
mod r#move;
mod namespace;
mod notify;
mod rename;
mod replace;
mod search;
mod select;
mod set_metadata;
mod status;
mod store;
mod store_labels;
mod subscribe;
mod uid_batches;
mod unauthenticate;

pub(crate) use fetch::fetch_new;
pub(crate) use list::list_line_of;

use std::future::ready;

use columba_wire::{CommandBody, Tag};
use futures_util::future::BoxFuture;

use crate::capability;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::services::Security;

/// Runs a command that the table admits. Each in a box of its own size: a connection that idles holds no room for the
/// largest of them.
pub(crate) fn run<'r>(context: &'r mut Context<'_, '_>, tag: &'r Tag, body: CommandBody) -> BoxFuture<'r, Outcome> {
    match body {
        CommandBody::Capability => Box::pin(ready(capability(context))),
        CommandBody::Noop | CommandBody::Check => Box::pin(ready(Ok(Done::new("Done")))),
        CommandBody::Logout => Box::pin(ready(logout(context))),
        CommandBody::Id(fields) => Box::pin(ready(id::id(context, fields))),
        CommandBody::StartTls => Box::pin(ready(start_tls(context))),
        CommandBody::Authenticate { mechanism, initial } => {
            Box::pin(authenticate::authenticate(context, mechanism, initial))
        }
        CommandBody::Login { user, password } => Box::pin(login::login(context, user, password)),
        CommandBody::Enable(names) => Box::pin(ready(enable::enable(context, &names))),
        CommandBody::Select { mailbox, read_only, parameters } => {
            Box::pin(select::select(context, mailbox, read_only, parameters))
        }
        CommandBody::Compress(mechanism) => Box::pin(ready(compress::compress(context, &mechanism))),
        CommandBody::Unauthenticate => Box::pin(ready(unauthenticate::unauthenticate(context))),
        CommandBody::Create { mailbox, special_use } => Box::pin(create::create(context, mailbox, special_use)),
        CommandBody::Delete { mailbox } => Box::pin(delete::delete(context, mailbox)),
        CommandBody::Rename { from, to } => Box::pin(rename::rename(context, from, to)),
        CommandBody::Append(append) => match append.replaced {
            None => Box::pin(append::append(context, append)),
            Some((numbering, number)) => Box::pin(replace::replace(context, numbering, number, append)),
        },
        CommandBody::Subscribe { mailbox } => Box::pin(subscribe::subscribe(context, mailbox, true)),
        CommandBody::Unsubscribe { mailbox } => Box::pin(subscribe::subscribe(context, mailbox, false)),
        CommandBody::List(list) => Box::pin(list::list(context, list)),
        CommandBody::Lsub { reference, pattern } => Box::pin(lsub::lsub(context, reference, pattern)),
        CommandBody::Namespace => Box::pin(ready(namespace::namespace(context))),
        CommandBody::Status { mailbox, items } => Box::pin(status::status(context, mailbox, items)),
        CommandBody::GetMetadata { mailbox, options, entries } => {
            Box::pin(get_metadata::get_metadata(context, mailbox, options, entries))
        }
        CommandBody::SetMetadata { mailbox, entries } => {
            Box::pin(set_metadata::set_metadata(context, mailbox, entries))
        }
        CommandBody::Idle => Box::pin(idle::idle(context)),
        CommandBody::Notify(set) => Box::pin(notify::notify(context, set)),
        CommandBody::Close => Box::pin(close::close(context)),
        CommandBody::Unselect => Box::pin(ready(close::unselect(context))),
        CommandBody::Expunge { uids } => Box::pin(expunge::expunge(context, uids)),
        CommandBody::Search(search) => Box::pin(search::search(context, tag, search)),
        CommandBody::Fetch { numbering, set, items, modifiers } => {
            Box::pin(fetch::fetch(context, numbering, set, items, modifiers))
        }
        CommandBody::Store { numbering, set, unchanged_since, action, silent, flags } => {
            Box::pin(store::store(context, numbering, set, store::Change { unchanged_since, action, silent, flags }))
        }
        CommandBody::StoreLabels { numbering, set, action, silent, labels } => {
            let change = store_labels::Change { action, silent, labels };
            Box::pin(store_labels::store_labels(context, numbering, set, change))
        }
        CommandBody::Copy { numbering, set, mailbox } => Box::pin(copy::copy(context, numbering, set, mailbox)),
        CommandBody::Move { numbering, set, mailbox } => Box::pin(r#move::r#move(context, numbering, set, mailbox)),
        CommandBody::UidBatches { size, batches } => {
            Box::pin(ready(uid_batches::uid_batches(context, tag, size, batches)))
        }
    }
}

/// RFC 9051 §6.1.1
fn capability(context: &mut Context<'_, '_>) -> Outcome {
    let names = capability::names(&context.services.settings, context.peer, context.state);
    context.printer().capability(names.iter().map(AsRef::as_ref));
    Ok(Done::new("That is what this server can do"))
}

/// RFC 9051 §6.1.3: BYE comes before the tagged OK.
fn logout(context: &mut Context<'_, '_>) -> Outcome {
    context.printer().bye(None, "Good bye");
    context.state.login = None;
    Ok(Done::new("Logged out"))
}

/// RFC 9051 §6.2.1
fn start_tls(context: &mut Context<'_, '_>) -> Outcome {
    match context.peer.security {
        Security::StartTlsOffered => Ok(Done::new("Begin TLS now")),
        Security::Tls => Err(Failure::bad("STARTTLS: this connection is protected by TLS already")),
        Security::Plain => Err(Failure::bad("STARTTLS: this server has no TLS here")),
    }
}
