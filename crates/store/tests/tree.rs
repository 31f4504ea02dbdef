//! Names: CREATE, DELETE, RENAME, SUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8).
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use columba_store::{AccountStore, NewAccount, SpecialUse, StoreError};
use support::*;

/// Names with mailboxes, without those every account has.
fn names(mail: &Arc<AccountStore>) -> Vec<String> {
    let usual = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];
    let tree = mail.tree();
    let mailboxes = tree.iter().filter(|(_, entry)| entry.mailbox.is_some()).map(|(name, _)| name.to_string());
    mailboxes.filter(|name| !usual.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn create_makes_what_is_missing_above() {
    let world = World::new().await;
    let mail = world.mail().await;
    let mut watch = mail.tree_watch();
    mail.create_mailbox(&name("a/b/c"), &[]).await.unwrap();
    watch.changed().await;
    assert_eq!(names(&mail), ["a", "a/b", "a/b/c"]);
    assert_eq!(mail.create_mailbox(&name("a/b"), &[]).await, Err(StoreError::Exists));
    assert_eq!(mail.create_mailbox(&name("inbox"), &[]).await, Err(StoreError::Exists));
    let sent = [SpecialUse::Sent];
    assert_eq!(mail.create_mailbox(&name("Sent 2"), &sent).await, Err(StoreError::UseTaken));
    let id = mail.create_mailbox(&name("Important"), &[SpecialUse::Important, SpecialUse::Important]).await.unwrap();
    assert_eq!(mail.tree().of_use(SpecialUse::Important), Some(id));
    mail.set_uses(&name("Sent"), &[]).await.unwrap();
    mail.set_uses(&name("Important"), &sent).await.unwrap();
    assert_eq!(mail.set_uses(&name("Sent"), &sent).await, Err(StoreError::UseTaken));
    world.check().await;
}

// RFC 6154 §3: no two mailboxes have the same use at any time.
#[tokio::test]
async fn uses_go_over_to_another_mailbox() {
    let world = World::new().await;
    let mail = world.mail().await;
    let both = [SpecialUse::Sent, SpecialUse::Memos];
    let id = mail.create_mailbox_taking_uses(&name("Mine"), &both).await.unwrap();
    assert_eq!(both.map(|special_use| mail.tree().of_use(special_use)), [Some(id); 2]);
    assert!(mail.tree().get(&name("Sent")).unwrap().uses.is_empty());
    let again = mail.create_mailbox_taking_uses(&name("Mine"), &[SpecialUse::Junk]).await;
    assert_eq!(again, Err(StoreError::Exists));
    assert_eq!(mail.tree().of_use(SpecialUse::Junk), mail.tree().mailbox(&name("Junk")));
    mail.take_uses(&name("Sent"), &[SpecialUse::Memos]).await.unwrap();
    assert_eq!(mail.tree().get(&name("Mine")).unwrap().uses, [SpecialUse::Sent]);
    assert_eq!(mail.take_uses(&name("nowhere"), &[]).await, Err(StoreError::NotFound));
    let reopened = world.reopened().await.open_account(world.account).await.unwrap();
    assert_eq!(reopened.tree().of_use(SpecialUse::Sent), Some(id));
    world.check().await;
}

#[tokio::test]
async fn a_new_account_has_the_mailboxes_that_are_wanted() {
    let mut world = World::new().await;
    world.options.first_mailboxes = vec![
        (name("Mail/Sent"), SpecialUse::Sent),
        (name("Mail"), SpecialUse::Archive),
        (name("Mail/Sent"), SpecialUse::Memos),
    ];
    let store = world.reopened().await;
    let new = NewAccount { name: "eva".into(), ..NewAccount::default() };
    let account = store.create_account(new).await.unwrap();
    let tree = store.open_account(account.id).await.unwrap().tree();
    let shown = tree.iter().map(|(name, entry)| {
        let uses: Vec<&str> = entry.uses.iter().map(|special_use| special_use.as_str()).collect();
        format!("{name} {} {}", uses.join(" "), entry.subscribed)
    });
    let expected = ["INBOX  true", "Mail \\Archive true", "Mail/Sent \\Sent \\Memos true"];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    world.check().await;
}

// RFC 9051 §6.3.5
#[tokio::test]
async fn delete_leaves_children_and_subscriptions() {
    let world = World::new().await;
    let mail = world.mail().await;
    mail.create_mailbox(&name("a/b"), &[]).await.unwrap();
    mail.subscribe(&name("a"), true).await.unwrap();
    let a = open(&mail, "a").await;
    append(&mail, &a, "x", "$K").await;
    let mut watch = a.watch();
    mail.delete_mailbox(&name("a")).await.unwrap();
    watch.changed().await;
    assert!(a.is_deleted());
    assert_eq!(a.store(&set("1"), add("\\Seen"), None).await, Err(StoreError::NotFound));
    assert_eq!(mail.mailbox(a.id()).await.err(), Some(StoreError::NotFound));
    assert_eq!(mail.head(a.id()).await, Err(StoreError::NotFound));
    assert_eq!(names(&mail), ["a/b"]);
    let entry = mail.tree().get(&name("a")).cloned().unwrap();
    assert!(entry.subscribed && entry.mailbox.is_none() && mail.tree().has_children(&name("a")));

    assert_eq!(mail.delete_mailbox(&name("a")).await, Err(StoreError::HasChildren));
    assert_eq!(mail.delete_mailbox(&name("zz")).await, Err(StoreError::NotFound));
    assert!(matches!(mail.delete_mailbox(&name("INBOX")).await, Err(StoreError::Cannot(_))));
    mail.delete_mailbox(&name("a/b")).await.unwrap();
    mail.subscribe(&name("a"), false).await.unwrap();
    assert_eq!(mail.tree().get(&name("a")), None);
    world.check().await;
}

// RFC 9051 §2.3.1.1
#[tokio::test]
async fn a_mailbox_made_again_has_a_higher_uid_validity() {
    let world = World::new().await;
    let mail = world.mail().await;
    let mut last = 0;
    for _ in 0..3 {
        mail.create_mailbox(&name("a"), &[]).await.unwrap();
        let validity = open(&mail, "a").await.snapshot().head.uid_validity.value();
        assert!(validity > last);
        last = validity;
        mail.delete_mailbox(&name("a")).await.unwrap();
    }
    world.check().await;
}

// RFC 9051 §6.3.6
#[tokio::test]
async fn rename_takes_children_along_and_leaves_subscriptions() {
    let world = World::new().await;
    let mail = world.mail().await;
    mail.create_mailbox(&name("a/b/c"), &[]).await.unwrap();
    mail.create_mailbox(&name("ab"), &[]).await.unwrap();
    mail.subscribe(&name("a/b"), true).await.unwrap();
    mail.subscribe(&name("new/home/b"), true).await.unwrap();
    let before = open(&mail, "a/b").await;
    append(&mail, &before, "x", "").await;
    mail.rename_mailbox(&name("a"), &name("new/home")).await.unwrap();
    assert_eq!(names(&mail), ["ab", "new", "new/home", "new/home/b", "new/home/b/c"]);
    let after = open(&mail, "new/home/b").await;
    assert_eq!(after.id(), before.id());
    assert_eq!(after.snapshot(), before.snapshot(), "UIDs and UIDVALIDITY stay");
    assert!(mail.tree().get(&name("a/b")).unwrap().subscribed, "the old name stays subscribed");
    assert!(mail.tree().get(&name("new/home/b")).unwrap().subscribed);
    assert!(!mail.tree().get(&name("new/home")).unwrap().subscribed);
    world.check().await;
}

#[tokio::test]
async fn rename_refuses_what_makes_no_sense() {
    let world = World::new().await;
    let mail = world.mail().await;
    mail.create_mailbox(&name("a/b/b"), &[]).await.unwrap();
    mail.create_mailbox(&name("c/b"), &[]).await.unwrap();
    let rename = async |from: &str, to: &str| mail.rename_mailbox(&name(from), &name(to)).await;
    assert_eq!(rename("zz", "y").await, Err(StoreError::NotFound));
    assert_eq!(rename("a", "a").await, Err(StoreError::Exists));
    assert_eq!(rename("a", "c").await, Err(StoreError::Exists));
    assert!(matches!(rename("a", "a/b/x").await, Err(StoreError::Cannot(_))));
    assert!(matches!(rename("a", &"x".repeat(998)).await, Err(StoreError::Cannot(_))), "a/b becomes too long");
    mail.delete_mailbox(&name("c")).await.unwrap();
    assert_eq!(rename("a", "c").await, Err(StoreError::Exists), "a/b would become c/b, which is there");
    world.check().await;
}

#[tokio::test]
async fn a_child_may_take_the_place_of_its_parent() {
    let world = World::new().await;
    let mail = world.mail().await;
    let id = mail.create_mailbox(&name("p/q/q"), &[]).await.unwrap();
    mail.delete_mailbox(&name("p")).await.unwrap();
    mail.rename_mailbox(&name("p/q"), &name("p")).await.unwrap();
    assert_eq!(names(&mail), ["p", "p/q"]);
    assert_eq!(mail.tree().mailbox(&name("p/q")), Some(id));
    world.check().await;
}

// RFC 9051 §6.3.6: messages go to the new mailbox, INBOX and what is below it stay.
#[tokio::test]
async fn renaming_inbox_moves_its_messages() {
    let world = World::new().await;
    let mail = world.mail().await;
    mail.create_mailbox(&name("INBOX/below"), &[]).await.unwrap();
    let inbox = open(&mail, "INBOX").await;
    for text in ["a", "b"] {
        append(&mail, &inbox, text, "$Kept").await;
    }
    mail.rename_mailbox(&name("INBOX"), &name("old/mail")).await.unwrap();
    assert_eq!(names(&mail), ["INBOX/below", "old", "old/mail"]);
    assert_eq!(listing(&*open(&mail, "old/mail").await), ["1 $Kept", "2 $Kept"]);
    assert!(listing(&inbox).is_empty());
    assert_eq!(append(&mail, &inbox, "c", "").await.value(), 3);
    assert_eq!(mail.rename_mailbox(&name("INBOX"), &name("old/mail")).await, Err(StoreError::Exists));
    world.check().await;
}

#[tokio::test]
async fn a_large_mailbox_goes_in_steps_that_a_crash_may_interrupt() {
    let world = World::new().await;
    let mail = world.mail().await;
    mail.create_mailbox(&name("big"), &[]).await.unwrap();
    let big = open(&mail, "big").await;
    let mut batch = Vec::new();
    for _ in 0..3000 {
        batch.push(message(&mail, "", "$K").await);
    }
    big.append(batch).await.unwrap();
    let faulty = columba_store::testing::Faulty::new(world.engine.clone());
    let engine: Arc<dyn columba_store::Engine> = Arc::new(faulty.clone());
    let options = world.options.clone();
    let other = columba_store::Store::open(engine, world.blobs.clone(), world.clock.clone(), options).await.unwrap();
    let there = other.open_account(world.account).await.unwrap();
    // The name goes, and a step; then the disk is full.
    faulty.fail(2, columba_store::testing::Fault::Refused);
    assert!(matches!(there.delete_mailbox(&name("big")).await, Err(StoreError::Unavailable(_))));
    assert!(there.tree().get(&name("big")).is_none());
    assert!(world.report().await.is_clean(), "half-way is not broken");
    let again = world.reopened().await.open_account(world.account).await.unwrap();
    assert_eq!(again.expunged().await.unwrap().len(), 3000);
    assert!(world.report().await.is_clean());
    assert_eq!(world.report().await.mailboxes, 6);
}

#[tokio::test]
async fn two_nodes_see_each_others_names() {
    let world = World::new().await;
    let (here, there) = (world.mail().await, world.reopened().await.open_account(world.account).await.unwrap());
    here.create_mailbox(&name("a"), &[]).await.unwrap();
    assert_eq!(there.create_mailbox(&name("a"), &[]).await, Err(StoreError::Exists));
    here.delete_mailbox(&name("a")).await.unwrap();
    assert_eq!(there.delete_mailbox(&name("a")).await, Err(StoreError::NotFound));
    there.create_mailbox(&name("b"), &[]).await.unwrap();
    here.subscribe(&name("c"), true).await.unwrap();
    assert_eq!(names(&here), ["b"]);
    world.check().await;
}
