//! Accounts: made, found, changed, deleted.
#![allow(clippy::unwrap_used)]

mod support;

use columba_store::{Account, AccountChange, NewAccount, Severity, StoreError};
use columba_types::AccountId;
use support::*;

fn new(name: &str) -> NewAccount {
    NewAccount { name: name.into(), credentials: vec!["secret".into()], disabled: false }
}

#[tokio::test]
async fn an_account_begins_with_the_usual_mailboxes() {
    let world = World::new().await;
    let tree = world.mail().await.tree();
    let line = |(name, entry): (&columba_types::MailboxName, &columba_store::TreeEntry)| {
        assert!(entry.subscribed && entry.mailbox.is_some());
        let uses: Vec<&str> = entry.uses.iter().map(|special_use| special_use.as_str()).collect();
        format!("{name} {}", uses.join(" ")).trim().to_owned()
    };
    let expected = ["Archive \\Archive", "Drafts \\Drafts", "INBOX", "Junk \\Junk", "Sent \\Sent", "Trash \\Trash"];
    assert_eq!(tree.iter().map(line).collect::<Vec<_>>(), expected);
    world.check().await;
}

#[tokio::test]
async fn names_are_found_in_any_spelling() {
    let world = World::new().await;
    let store = &world.store;
    let made = store.create_account(new("J\u{fc}rgen@Example.ORG")).await.unwrap();
    assert_eq!(made.name, "j\u{fc}rgen@example.org");
    for spelling in ["J\u{dc}RGEN@example.org", "ju\u{308}rgen@EXAMPLE.org"] {
        assert_eq!(store.account_named(spelling).await.unwrap().as_ref(), Some(&made), "{spelling}");
        assert_eq!(store.create_account(new(spelling)).await, Err(StoreError::Exists));
    }
    for bad in ["", "a b", "a\0b", "a\r\n", &"x".repeat(256)] {
        assert!(matches!(store.create_account(new(bad)).await, Err(StoreError::Cannot(_))), "{bad:?}");
        assert_eq!(store.account_named(bad).await.unwrap(), None);
    }
    world.check().await;
}

#[tokio::test]
async fn mail_goes_to_the_address_or_else_to_its_local_part() {
    let world = World::new().await;
    let store = &world.store;
    let full = store.create_account(new("max@example.org")).await.unwrap();
    assert_eq!(store.recipient("MAX@example.org").await.unwrap(), Some(full));
    assert_eq!(store.recipient("max@other.org").await.unwrap().unwrap().id, world.account);
    assert_eq!(store.recipient("max").await.unwrap().unwrap().id, world.account);
    assert_eq!(store.recipient("nobody@example.org").await.unwrap(), None);
    world.check().await;
}

#[tokio::test]
async fn many_are_made_at_once() {
    let world = World::new().await;
    let mut wanted: Vec<NewAccount> = (0..1200).map(|n| new(&format!("user{n:04}"))).collect();
    wanted.push(new("USER0003"));
    wanted.push(new("bad name"));
    let made = world.store.create_accounts(wanted).await;
    assert!(made[..1200].iter().all(Result::is_ok));
    assert_eq!(made[1200], Err(StoreError::Exists));
    assert!(matches!(made[1201], Err(StoreError::Cannot(_))));
    let mut listed: Vec<Account> = Vec::new();
    loop {
        let last = listed.last().map(|account| account.name.clone());
        let some = world.store.accounts(last.as_deref(), 500).await.unwrap();
        if some.is_empty() {
            break;
        }
        listed.extend(some);
    }
    assert_eq!(listed.len(), 1201);
    assert!(listed.windows(2).all(|two| two[0].name < two[1].name));
    assert_eq!(world.report().await.mailboxes, 1201 * 6);
    world.check().await;
}

#[tokio::test]
async fn a_change_is_seen_at_once() {
    let world = World::new().await;
    let store = &world.store;
    let made = store.create_account(new("eva")).await.unwrap();
    assert!(store.account_named("eva").await.unwrap().is_some());
    let change =
        AccountChange { credentials: Some(vec!["new".into()]), disabled: Some(true), ..AccountChange::default() };
    let changed = store.update_account(made.id, change).await.unwrap();
    assert_eq!(store.account_named("eva").await.unwrap().unwrap(), changed);
    assert_eq!((changed.credentials[0].as_str(), changed.disabled), ("new", true));

    let limit = |message_bytes| AccountChange { message_bytes: Some(message_bytes), ..AccountChange::default() };
    assert_eq!(store.update_account(made.id, limit(Some(7))).await.unwrap().message_bytes, Some(7));
    assert_eq!(world.reopened().await.account(made.id).await.unwrap().unwrap().message_bytes, Some(7));
    assert_eq!(store.update_account(made.id, limit(None)).await.unwrap(), changed);
    let rename = |name: &str| AccountChange { name: Some(name.into()), ..AccountChange::default() };
    assert_eq!(store.update_account(made.id, rename("MAX")).await, Err(StoreError::Exists));
    store.update_account(made.id, rename("Eve")).await.unwrap();
    assert_eq!(store.account_named("eva").await.unwrap(), None);
    assert_eq!(store.account_named("eve").await.unwrap().unwrap().id, made.id);
    assert_eq!(store.update_account(AccountId(99), rename("x")).await, Err(StoreError::NotFound));
    world.check().await;
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_space_comes_back() {
    let world = World::new().await;
    let store = &world.store;
    let made = store.create_account(new("eva")).await.unwrap();
    let mail = store.open_account(made.id).await.unwrap();
    let inbox = open(&mail, "INBOX").await;
    let mut watch = inbox.watch();
    for _ in 0..20 {
        append(&mail, &inbox, &"x".repeat(500), "").await;
    }
    store.delete_account(made.id).await.unwrap();
    assert_eq!(store.account_named("eva").await.unwrap(), None);
    assert_eq!(store.delete_account(made.id).await, Err(StoreError::NotFound));
    assert_eq!(store.open_account(made.id).await.err(), Some(StoreError::NotFound));

    // A session that is still there learns it.
    watch.changed().await;
    assert!(inbox.is_deleted());
    assert_eq!(inbox.store(&set("1"), add("\\Seen"), None).await, Err(StoreError::NotFound));
    let late = message(&mail, "late", "").await;
    assert_eq!(inbox.append(vec![late]).await, Err(StoreError::NotFound));
    assert_eq!(mail.create_mailbox(&name("x"), &[]).await, Err(StoreError::NotFound));

    assert!(world.report().await.reclaimable_bytes >= 10_000);
    assert!(store.reclaim().await.unwrap().segments >= 2);
    assert!(world.report().await.reclaimable_bytes < 5_000);
    let again = store.create_account(new("eva")).await.unwrap();
    assert_ne!(again.id, made.id, "an id is never given again");
    world.check().await;
}

#[tokio::test]
async fn damage_is_found_and_said() {
    let blobs = std::sync::Arc::new(columba_store::MemoryBlobs::with_segments_of(4096));
    let world = World::on_both(std::sync::Arc::new(columba_store::MemoryEngine::new()), blobs.clone()).await;
    let mail = world.mail().await;
    let inbox = open(&mail, "INBOX").await;
    append(&mail, &inbox, "some text", "").await;
    let id = inbox.snapshot().records().next().unwrap().message;
    blobs.damage(mail.message(id).await.unwrap().blob);
    let report = world.report().await;
    let worst = report.findings.iter().max_by_key(|finding| finding.severity).unwrap();
    assert_eq!(worst.severity, Severity::Error);
    assert!(worst.text.contains("bytes of message"), "{}", worst.text);
}

/// Each of these breaks one invariant behind the store's back, and verify says so.
#[tokio::test]
async fn every_broken_invariant_is_found() {
    for (kind, expected) in [
        (0x10u8, "has no name"),
        (0x11, "which is no mailbox"),
        (0x12, "the head says"),
        (0x14, "which is not there"),
        (0x15, "has no link"),
        (0x16, "will never be reclaimed"),
    ] {
        let world = World::new().await;
        let mail = world.mail().await;
        let inbox = open(&mail, "INBOX").await;
        append(&mail, &inbox, "a", "").await;
        append(&mail, &inbox, "b", "\\Deleted").await;
        inbox.expunge(None).await.unwrap();
        let mut batch = columba_store::Batch::new(columba_store::Partition::Account(world.account));
        batch.clears.push(columba_store::Key(vec![kind])..columba_store::Key(vec![kind + 1]));
        world.engine.commit(batch).await.unwrap();
        let report = world.report().await;
        let found = report.findings.iter().any(|finding| finding.text.contains(expected));
        assert!(found, "without keys of kind {kind:#x}: {:#?}", report.findings);
    }
}
