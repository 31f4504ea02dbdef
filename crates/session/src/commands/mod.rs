//! One file per command, found by its name. What they share is the context; when they may run says the command table.

pub(crate) mod append;
mod authenticate;
mod close;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
mod fetch;
mod id;
mod idle;
mod list;
mod login;
mod lsub;
mod r#move;
mod namespace;
mod rename;
mod search;
mod select;
mod status;
mod store;
mod subscribe;

use columba_wire::{CommandBody, Tag};

use crate::capability;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::services::Security;

/// Runs a command that the table admits.
pub(crate) async fn run(context: &mut Context<'_, '_>, tag: &Tag, body: CommandBody) -> Outcome {
    match body {
        CommandBody::Capability => capability(context),
        CommandBody::Noop | CommandBody::Check => Ok(Done::new("Done")),
        CommandBody::Logout => logout(context),
        CommandBody::Id(fields) => id::id(context, fields),
        CommandBody::StartTls => start_tls(context),
        CommandBody::Authenticate { mechanism, initial } => {
            authenticate::authenticate(context, &mechanism, initial).await
        }
        CommandBody::Login { user, password } => login::login(context, &user, password).await,
        CommandBody::Enable(names) => enable::enable(context, &names),
        CommandBody::Select { mailbox, read_only } => select::select(context, &mailbox, read_only).await,
        CommandBody::Create { mailbox, special_use } => create::create(context, &mailbox, special_use).await,
        CommandBody::Delete { mailbox } => delete::delete(context, &mailbox).await,
        CommandBody::Rename { from, to } => rename::rename(context, &from, &to).await,
        CommandBody::Subscribe { mailbox } => subscribe::subscribe(context, &mailbox, true).await,
        CommandBody::Unsubscribe { mailbox } => subscribe::subscribe(context, &mailbox, false).await,
        CommandBody::List(list) => list::list(context, &list).await,
        CommandBody::Lsub { reference, pattern } => lsub::lsub(context, &reference, &pattern).await,
        CommandBody::Namespace => namespace::namespace(context),
        CommandBody::Status { mailbox, items } => status::status(context, &mailbox, &items).await,
        CommandBody::Idle => idle::idle(context).await,
        CommandBody::Close => close::close(context).await,
        CommandBody::Unselect => close::unselect(context),
        CommandBody::Expunge { uids } => expunge::expunge(context, uids).await,
        CommandBody::Search(search) => search::search(context, tag, search).await,
        CommandBody::Fetch { numbering, set, items } => fetch::fetch(context, numbering, &set, &items).await,
        CommandBody::Store { numbering, set, action, silent, flags } => {
            store::store(context, numbering, &set, store::Change { action, silent, flags }).await
        }
        CommandBody::Copy { numbering, set, mailbox } => copy::copy(context, numbering, &set, &mailbox).await,
        CommandBody::Move { numbering, set, mailbox } => r#move::r#move(context, numbering, &set, &mailbox).await,
    }
}

/// RFC 9051 §6.1.1
fn capability(context: &mut Context<'_, '_>) -> Outcome {
    let names = capability::names(context.peer, context.state);
    context.printer().capability(names);
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
