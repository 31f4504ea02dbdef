//! `columba account …`

use std::io::Read;
use std::path::Path;

use columba_auth::{hash_password, passwd_file};
use columba_types::limits::{ADMIN_ACCOUNTS, ADMIN_FRAME_BYTES};
use serde::Serialize;
use serde_json::json;

use super::{reach, unexpected};
use crate::admin::{AccountInfo, AccountToMake, Connection, Missing, Reply, Request};
use crate::cli::{Account, AccountLimits, MessageSize, PasswordFrom, Place};
use crate::failure::Failure;
use crate::output::{Output, counted, moment, size, table};
use crate::password_entry::{Entered, confirm, enter};

pub(super) async fn run(place: &Place, command: Account, output: Output) -> Result<(), Failure> {
    match command {
        Account::Add { name, password, disabled } => add(place, &name, &password, disabled, output).await,
        Account::List => list(place, output).await,
        Account::Show { name } => show(place, name, output).await,
        Account::Passwd { name, password } => passwd(place, name, &password, output).await,
        Account::Disable { name } => set_disabled(place, name, true, output).await,
        Account::Enable { name } => set_disabled(place, name, false, output).await,
        Account::Limit { name, limits } => limit(place, &name, limits, output).await,
        Account::Delete { name, yes } => delete(place, name, yes, output).await,
        Account::Import { file, default_scheme } => import(place, &file, default_scheme.as_deref(), output).await,
    }
}

/// What is printed of an account whose password was set.
#[derive(Serialize)]
struct WithPassword<'a> {
    #[serde(flatten)]
    account: &'a AccountInfo,
    /// The password that was made up, if one was.
    password: Option<&'a str>,
}

async fn add(place: &Place, name: &str, from: &PasswordFrom, disabled: bool, output: Output) -> Result<(), Failure> {
    let mut connection = reach(place, Missing::Make).await?;
    let result = async {
        // Before somebody thinks up a password in vain.
        if let Ok(Reply::Account(_)) = connection.ask(&Request::Account { name: name.to_owned() }).await {
            let hint = format!("`columba account passwd {name}` gives it another password");
            return Err(Failure::new(format!("there is an account {name} already")).hint(hint));
        }
        let entered = enter(name, from)?;
        let credentials = hashed(&entered).await?;
        let account = make_one(&mut connection, AccountToMake { name: name.to_owned(), credentials, disabled }).await?;
        let mut text = format!("Made the account {}.", account.name);
        if let Some(password) = &entered.made_up {
            text.push_str(&format!(" Its password, shown this once: {password}"));
        }
        output.print(&WithPassword { account: &account, password: entered.made_up.as_deref() }, &text);
        Ok(())
    }
    .await;
    connection.close().await;
    result
}

/// Makes one account.
pub(super) async fn make_one(connection: &mut Connection, account: AccountToMake) -> Result<AccountInfo, Failure> {
    let name = account.name.clone();
    match connection.ask(&Request::CreateAccounts { accounts: vec![account] }).await? {
        Reply::Created(mut made) => match made.pop() {
            Some(Ok(account)) => Ok(account),
            Some(Err(reason)) => Err(Failure::new(format!("the account {name} was not made: {reason}"))),
            None => Err(unexpected()),
        },
        _ => Err(unexpected()),
    }
}

/// The credentials of a password. Hashing takes a while and is nobody else's to wait for.
pub(super) async fn hashed(entered: &Entered) -> Result<Vec<String>, Failure> {
    let password = entered.password.clone();
    let hashed = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    hashed.map_err(|_| Failure::new("the password could not be hashed: the system gives no random numbers"))
}

async fn list(place: &Place, output: Output) -> Result<(), Failure> {
    let mut connection = reach(place, Missing::Refuse).await?;
    let accounts = all(&mut connection).await;
    connection.close().await;
    let accounts = accounts?;
    let mut rows = vec![["NAME", "STATE", "MADE", "PASSWORD"].map(String::from).to_vec()];
    rows.extend(
        accounts.iter().map(|a| vec![a.name.clone(), state(a).into(), moment(a.created), a.schemes.join(", ")]),
    );
    let text = if accounts.is_empty() {
        "There is no account yet. `columba account add NAME` makes one.".to_owned()
    } else {
        table(&rows, &[])
    };
    output.print(&json!({ "accounts": accounts }), &text);
    Ok(())
}

async fn all(connection: &mut Connection) -> Result<Vec<AccountInfo>, Failure> {
    let mut accounts: Vec<AccountInfo> = Vec::new();
    loop {
        let after = accounts.last().map(|account| account.name.clone());
        match connection.ask(&Request::Accounts { after }).await? {
            Reply::Accounts(more) if more.is_empty() => return Ok(accounts),
            Reply::Accounts(more) => accounts.extend(more),
            _ => return Err(unexpected()),
        }
    }
}

fn state(account: &AccountInfo) -> &'static str {
    if account.disabled { "disabled" } else { "enabled" }
}

/// Asks something that is answered with the account.
async fn ask_for_account(place: &Place, request: Request) -> Result<AccountInfo, Failure> {
    let mut connection = reach(place, Missing::Refuse).await?;
    let reply = connection.ask(&request).await;
    connection.close().await;
    match reply? {
        Reply::Account(account) => Ok(account),
        _ => Err(unexpected()),
    }
}

async fn show(place: &Place, name: String, output: Output) -> Result<(), Failure> {
    let account = ask_for_account(place, Request::Account { name }).await?;
    let usage = account.usage.unwrap_or_default();
    let rows = [
        ["Name".to_owned(), account.name.clone()],
        ["State".to_owned(), state(&account).to_owned()],
        ["Made".to_owned(), moment(account.created)],
        ["Password".to_owned(), account.schemes.join(", ")],
        ["Largest message".to_owned(), account.message_bytes.map_or("as the server's".to_owned(), size)],
        ["Used".to_owned(), from_where(&account)],
        ["Mailboxes".to_owned(), usage.mailboxes.to_string()],
        ["Messages".to_owned(), format!("{}, {}", crate::output::count(usage.messages), size(usage.bytes))],
        ["Id".to_owned(), account.id.clone()],
    ];
    output.print(&account, &table(&rows.map(Vec::from), &[]));
    Ok(())
}

async fn passwd(place: &Place, name: String, from: &PasswordFrom, output: Output) -> Result<(), Failure> {
    let mut connection = reach(place, Missing::Refuse).await?;
    let result = async {
        connection.ask(&Request::Account { name: name.clone() }).await?;
        let entered = enter(&name, from)?;
        let credentials = hashed(&entered).await?;
        let reply = connection.ask(&Request::SetCredentials { name: name.clone(), credentials }).await?;
        let Reply::Account(account) = reply else { return Err(unexpected()) };
        let mut text = format!("Changed the password of {}.", account.name);
        if let Some(password) = &entered.made_up {
            text.push_str(&format!(" The new one, shown this once: {password}"));
        }
        output.print(&WithPassword { account: &account, password: entered.made_up.as_deref() }, &text);
        Ok(())
    }
    .await;
    connection.close().await;
    result
}

async fn set_disabled(place: &Place, name: String, disabled: bool, output: Output) -> Result<(), Failure> {
    let account = ask_for_account(place, Request::SetDisabled { name, disabled }).await?;
    let text = match disabled {
        true => format!("Disabled {}: nobody can log in to it, and its mail stays.", account.name),
        false => format!("Enabled {}.", account.name),
    };
    output.print(&account, &text);
    Ok(())
}

async fn limit(place: &Place, name: &str, limits: AccountLimits, output: Output) -> Result<(), Failure> {
    let name = || name.to_owned();
    let mut account = None;
    if let Some(MessageSize(message_bytes)) = limits.message_size {
        account = Some(ask_for_account(place, Request::SetMessageBytes { name: name(), message_bytes }).await?);
    }
    let (allow, deny) = (limits.networks.map(|list| list.0), limits.deny_networks.map(|list| list.0));
    if allow.is_some() || deny.is_some() {
        account = Some(ask_for_account(place, Request::SetNetworks { name: name(), allow, deny }).await?);
    }
    // The command line asks for one of them at least.
    let Some(account) = account else { return Err(Failure::new("there is nothing to set")) };
    let size = match account.message_bytes {
        Some(octets) => format!("{} takes messages of at most {}", account.name, size(octets)),
        None => format!("{} takes messages as large as the server does", account.name),
    };
    output.print(&account, &format!("{size}, and can be used {}.", from_where(&account)));
    Ok(())
}

/// `from 10.0.0.0/8, not from 10.9.0.0/16`.
fn from_where(account: &AccountInfo) -> String {
    let mut text = match account.allow_networks.as_slice() {
        [] => "from anywhere".to_owned(),
        networks => format!("from {} alone", networks.join(", ")),
    };
    if !account.deny_networks.is_empty() {
        text.push_str(&format!(", not from {}", account.deny_networks.join(", ")));
    }
    text
}

async fn delete(place: &Place, name: String, yes: bool, output: Output) -> Result<(), Failure> {
    let account = ask_for_account(place, Request::Account { name: name.clone() }).await?;
    let usage = account.usage.unwrap_or_default();
    let has = counted(usage.messages, "message", "messages");
    confirm(&format!("Delete the account {} and all its mail ({has})", account.name), yes)?;
    let account = ask_for_account(place, Request::DeleteAccount { name }).await?;
    output.print(&json!({ "deleted": account.name }), &format!("Deleted the account {} and its {has}.", account.name));
    Ok(())
}

/// A line or account that was not imported.
#[derive(Serialize)]
struct Left {
    line: usize,
    reason: String,
}

async fn import(place: &Place, file: &Path, default_scheme: Option<&str>, output: Output) -> Result<(), Failure> {
    let text = read(file)?;
    let parsed = passwd_file::parse(&text, default_scheme)
        .map_err(|error| Failure::new(format!("--default-scheme: {error}")).hint("nothing was imported"))?;
    let mut left: Vec<Left> =
        parsed.bad_lines.iter().map(|bad| Left { line: bad.line, reason: bad.reason.to_string() }).collect();
    // Nothing to do is no reason to make a data directory.
    let mut made = 0;
    if !parsed.entries.is_empty() {
        let accounts = hash_all(parsed.entries).await?;
        let mut connection = reach(place, Missing::Make).await?;
        let result = make_all(&mut connection, accounts, &mut left).await;
        connection.close().await;
        made = result?;
    }
    left.sort_by_key(|left| left.line);
    let mut text = format!("Made {}.", counted(made, "account", "accounts"));
    for left in &left {
        text.push_str(&format!("\nline {}: {}", left.line, left.reason));
    }
    output.print(&json!({ "made": made, "not_made": left }), &text);
    match left.len() as u64 {
        0 => Ok(()),
        count => Err(Failure::new(format!("{} not imported", counted(count, "line was", "lines were")))
            .hint("the others are; mend those and import the file again")),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut text).map(drop),
        false => std::fs::read(file).map(|octets| text = octets),
    };
    read.map(|()| text).map_err(|error| Failure::new(format!("{} cannot be read: {error}", file.display())))
}

/// Hashes plain passwords on all cores; a thousand take about a second of one.
async fn hash_all(entries: Vec<passwd_file::Entry>) -> Result<Vec<(usize, AccountToMake)>, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = entries.len().div_ceil(cores).max(1);
    let mut entries = entries.into_iter();
    let mut shares = Vec::new();
    loop {
        let part: Vec<_> = entries.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        shares.push(tokio::task::spawn_blocking(move || {
            let account = |entry: passwd_file::Entry| {
                let credentials = entry.password.into_credentials();
                (entry.line, AccountToMake { name: entry.name, credentials, disabled: entry.disabled })
            };
            part.into_iter().map(account).collect::<Vec<_>>()
        }));
    }
    let mut accounts = Vec::new();
    for share in shares {
        let hashed = share.await;
        accounts.extend(hashed.map_err(|_| Failure::new("the passwords could not be hashed"))?);
    }
    Ok(accounts)
}

async fn make_all(
    connection: &mut Connection,
    accounts: Vec<(usize, AccountToMake)>,
    left: &mut Vec<Left>,
) -> Result<u64, Failure> {
    let mut made = 0;
    let mut accounts = accounts.into_iter().peekable();
    while accounts.peek().is_some() {
        let (mut lines, mut step, mut room) = (Vec::new(), Vec::new(), ADMIN_FRAME_BYTES / 2);
        while step.len() < ADMIN_ACCOUNTS {
            let Some((line, account)) = accounts.next_if(|(_, account)| step.is_empty() || weight(account) <= room)
            else {
                break;
            };
            room = room.saturating_sub(weight(&account));
            lines.push(line);
            step.push(account);
        }
        let Reply::Created(results) = connection.ask(&Request::CreateAccounts { accounts: step }).await? else {
            return Err(unexpected());
        };
        for (line, result) in lines.into_iter().zip(results) {
            match result {
                Ok(_) => made += 1,
                Err(reason) => left.push(Left { line, reason }),
            }
        }
    }
    Ok(made)
}

fn weight(account: &AccountToMake) -> usize {
    64 + account.name.len() + account.credentials.iter().map(|c| c.len() + 8).sum::<usize>()
}
