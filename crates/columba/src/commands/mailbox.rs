//! `columba mailbox …`

use serde_json::json;

use super::{reach, unexpected};
use crate::admin::{Connection, MailboxInfo, Missing, Reply, Request};
use crate::cli::{Mailbox, Place};
use crate::failure::Failure;
use crate::output::{Output, count, counted, size, table};
use crate::password_entry::confirm;

pub(super) async fn run(place: &Place, command: Mailbox, output: Output) -> Result<(), Failure> {
    let mut connection = reach(place, Missing::Refuse).await?;
    let result = match command {
        Mailbox::List { account } => list(&mut connection, account, output).await,
        Mailbox::Show { account, mailbox } => show(&mut connection, account, mailbox, output).await,
        Mailbox::Create { account, mailbox, special_use } => {
            create(&mut connection, account, mailbox, special_use, output).await
        }
        Mailbox::Delete { account, mailbox, yes } => delete(&mut connection, account, mailbox, yes, output).await,
    };
    connection.close().await;
    result
}

async fn list(connection: &mut Connection, account: String, output: Output) -> Result<(), Failure> {
    connection.begin(&Request::Mailboxes { account }).await?;
    let mut mailboxes: Vec<MailboxInfo> = Vec::new();
    loop {
        match connection.reader.reply().await? {
            Reply::Mailboxes(more) if more.is_empty() => break,
            Reply::Mailboxes(more) => mailboxes.extend(more),
            _ => return Err(unexpected()),
        }
    }
    let mut rows = vec![["MAILBOX", "MESSAGES", "UNSEEN", "SIZE", "USE", "SUBSCRIBED"].map(String::from).to_vec()];
    for mailbox in &mailboxes {
        rows.push(vec![
            mailbox.name.clone(),
            count(mailbox.messages.into()),
            count(mailbox.unseen.into()),
            size(mailbox.bytes),
            mailbox.special_uses.join(" "),
            if mailbox.subscribed { "yes" } else { "no" }.to_owned(),
        ]);
    }
    output.print(&json!({ "mailboxes": mailboxes }), &table(&rows, &[1, 2, 3]));
    Ok(())
}

async fn ask(connection: &mut Connection, request: Request) -> Result<MailboxInfo, Failure> {
    match connection.ask(&request).await? {
        Reply::Mailbox(mailbox) => Ok(mailbox),
        _ => Err(unexpected()),
    }
}

async fn show(connection: &mut Connection, account: String, name: String, output: Output) -> Result<(), Failure> {
    let mailbox = ask(connection, Request::Mailbox { account, mailbox: name }).await?;
    let rows = [
        ["Name", &mailbox.name],
        ["Messages", &format!("{}, {} unseen", count(mailbox.messages.into()), count(mailbox.unseen.into()))],
        ["Size", &size(mailbox.bytes)],
        ["Use", &mailbox.special_uses.join(" ")],
        ["Subscribed", if mailbox.subscribed { "yes" } else { "no" }],
        ["Keywords", &mailbox.keywords.join(" ")],
        ["UIDVALIDITY", &mailbox.uid_validity.to_string()],
        ["UIDNEXT", &mailbox.uid_next.to_string()],
        ["HIGHESTMODSEQ", &mailbox.highest_modseq.to_string()],
        ["MAILBOXID", &mailbox.id],
    ];
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
    output.print(&mailbox, &table(&rows, &[]));
    Ok(())
}

async fn create(
    connection: &mut Connection,
    account: String,
    name: String,
    special_use: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    // As people write it, `sent`, and as the protocol does, `\Sent`.
    let special_use = special_use.map(|text| format!("\\{}", text.trim_start_matches('\\')));
    let made = ask(connection, Request::CreateMailbox { account, mailbox: name, special_use }).await?;
    let uses = match made.special_uses.is_empty() {
        true => String::new(),
        false => format!(" for {}", made.special_uses.join(" ")),
    };
    output.print(&made, &format!("Made the mailbox {}{uses}.", made.name));
    Ok(())
}

async fn delete(
    connection: &mut Connection,
    account: String,
    name: String,
    yes: bool,
    output: Output,
) -> Result<(), Failure> {
    let mailbox = ask(connection, Request::Mailbox { account: account.clone(), mailbox: name.clone() }).await?;
    let messages = counted(mailbox.messages.into(), "message", "messages");
    confirm(&format!("Delete the mailbox {} of {account} and its {messages}", mailbox.name), yes)?;
    match connection.ask(&Request::DeleteMailbox { account, mailbox: name }).await? {
        Reply::Done => {
            let text = format!("Deleted the mailbox {} and its {messages}.", mailbox.name);
            output.print(&json!({ "deleted": mailbox.name }), &text);
            Ok(())
        }
        _ => Err(unexpected()),
    }
}
