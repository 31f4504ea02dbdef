//! How long the domain takes over the memory engine: what no engine can make faster. Run with `--release`; an argument
//! gives the number of messages.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use columba_store::{
    AccountStore, FlagAction, FlagChange, Mailbox, MemoryBlobs, MemoryEngine, MessageSummary, NewAccount, NewMessage,
    Options, Store, SystemClock,
};
use columba_types::limits::COMMIT_MESSAGES;
use columba_types::{DateTime, Flag, MailboxName, ModSeq, Uid, UidSet};

struct Timer(Instant);

impl Timer {
    fn lap(&mut self, what: &str, count: u64) {
        let took = self.0.elapsed();
        let each = took.checked_div(u32::try_from(count).unwrap()).unwrap_or(Duration::ZERO);
        println!("{what:50} {took:>12.2?} {each:>12.2?} each");
        self.0 = Instant::now();
    }
}

async fn new_message(mail: &Arc<AccountStore>, n: u64) -> NewMessage {
    let mut incoming = mail.incoming();
    incoming.write(Bytes::from_static(&[b'x'; 64])).await.unwrap();
    let summary = MessageSummary {
        envelope: Bytes::from(vec![b'e'; 400]),
        body_structure: Bytes::from(vec![b's'; 250]),
        subject: format!("message {n}"),
        message_id: Some(format!("{n}@example.org")),
        references: vec![format!("{}@example.org", n / 4)],
        ..MessageSummary::default()
    };
    let internal_date = DateTime { unix_secs: 1_700_000_000 + i64::try_from(n).unwrap() * 61, zone_minutes: 60 };
    NewMessage { bytes: incoming.finish().await.unwrap(), flags: Vec::new(), internal_date, summary }
}

fn flag(name: &str) -> FlagChange {
    FlagChange { action: FlagAction::Add, flags: vec![Flag::parse(name).unwrap()] }
}

async fn inbox(mail: &Arc<AccountStore>) -> Arc<Mailbox> {
    mail.mailbox(mail.tree().mailbox(&MailboxName::inbox()).unwrap()).await.unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count: u64 = std::env::args().nth(1).map_or(100_000, |n| n.parse().unwrap());
    let (engine, blobs) = (Arc::new(MemoryEngine::new()), Arc::new(MemoryBlobs::new()));
    let open = || Store::open(engine.clone(), blobs.clone(), Arc::new(SystemClock), Options::default());
    let store = open().await.unwrap();
    let account = store.create_account(NewAccount { name: "max".into(), ..NewAccount::default() }).await.unwrap();
    let mail = store.open_account(account.id).await.unwrap();
    let mailbox = inbox(&mail).await;
    let mut timer = Timer(Instant::now());

    let mut n = 0;
    while n < count {
        let mut batch = Vec::new();
        for _ in 0..COMMIT_MESSAGES {
            batch.push(new_message(&mail, n).await);
            n += 1;
        }
        mailbox.append(batch).await.unwrap();
    }
    timer.lap("append, 1,000 in a commit", count);
    for more in 0..1000 {
        let new = new_message(&mail, n + more).await;
        mailbox.append(vec![new]).await.unwrap();
    }
    timer.lap("append, one in a commit", 1000);
    for step in 0..1000u32 {
        let uid = 1 + step * 97 % u32::try_from(count).unwrap();
        mailbox.store(&UidSet::range(uid, uid), flag("\\Seen"), None).await.unwrap();
    }
    timer.lap("store of one flag", 1000);
    mailbox.store(&UidSet::range(1, u32::MAX), flag("\\Flagged"), None).await.unwrap();
    timer.lap("store of all", count);
    let every_tenth: UidSet = (1..=u32::try_from(count).unwrap()).step_by(10).collect();
    mailbox.store(&every_tenth, flag("$Work"), None).await.unwrap();
    timer.lap("store of every tenth", count / 10);
    let snapshot = mailbox.snapshot();
    let seen = (0..100).map(|_| snapshot.records().filter(|r| r.size == 64).count()).sum::<usize>();
    assert_eq!(seen as u64, 100 * (count + 1000));
    timer.lap("walk over all records, 100 times", 100 * count);
    let found = (1..=100_000).filter(|n| snapshot.record(Uid::new(*n).unwrap()).is_some()).count();
    assert!(found > 0);
    timer.lap("look-up by UID", 100_000);
    assert!((0..100).all(|_| snapshot.uids().len() == count + 1000));
    timer.lap("all UIDs, 100 times", 100);
    assert!((0..1000).all(|_| mailbox.catch_up(ModSeq(0)).expunged.is_some()));
    timer.lap("catch up", 1000);
    println!("{:50} {:?} keys, octets", "stored", engine.size());

    let again = open().await.unwrap();
    let cold = again.open_account(account.id).await.unwrap();
    timer.lap("open the account anew", 1);
    assert_eq!(*inbox(&cold).await.snapshot(), *snapshot);
    timer.lap("load the mailbox", count);
    drop((cold, again, snapshot));

    let archive = mail.tree().mailbox(&MailboxName::new("Archive").unwrap()).unwrap();
    let archive = mail.mailbox(archive).await.unwrap();
    mailbox.copy(&UidSet::range(1, u32::MAX), &archive).await.unwrap();
    timer.lap("copy of all", count);
    mailbox.store(&every_tenth, flag("\\Deleted"), None).await.unwrap();
    mailbox.expunge(None).await.unwrap();
    timer.lap("expunge of every tenth", count / 10);
    mailbox.move_to(&UidSet::range(1, u32::MAX), &archive).await.unwrap();
    timer.lap("move of the rest", count);
    let report = store.verify(&|_| ()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    timer.lap("verify", count);
    let accounts = (0..5000).map(|n| NewAccount { name: format!("user{n}"), ..NewAccount::default() }).collect();
    assert!(store.create_accounts(accounts).await.iter().all(Result::is_ok));
    timer.lap("make accounts", 5000);
}
