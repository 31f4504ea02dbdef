//! How long messages and their bytes live: expunged, restored, reclaimed, moved to another segment. And threads.
#![allow(clippy::unwrap_used)]

mod support;

use columba_store::StoreError;
use columba_types::{ThreadId, Uid};
use support::*;

const LATER: i64 = 101_000;

#[tokio::test]
async fn expunged_messages_go_when_their_time_is_over() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "\\Deleted").await;
    let id = inbox.snapshot().records().next().unwrap().message;
    inbox.expunge(None).await.unwrap();
    assert_eq!(world.store.reclaim().await.unwrap().messages, 0);
    assert!(mail.message(id).await.is_ok());
    world.clock.pass(LATER);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 1);
    assert_eq!(mail.message(id).await, Err(StoreError::NotFound));
    let report = world.report().await;
    assert_eq!((report.messages, report.reclaimable_bytes), (0, 1));
    world.check().await;
}

#[tokio::test]
async fn a_message_lives_as_long_as_any_mailbox_has_it() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let archive = open(&mail, "Archive").await;
    append(&mail, &inbox, "a", "\\Deleted").await;
    let id = inbox.snapshot().records().next().unwrap().message;
    inbox.copy(&set("1"), &archive).await.unwrap();
    inbox.expunge(None).await.unwrap();
    world.clock.pass(LATER);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 0);
    assert!(mail.message(id).await.is_ok());
    world.check().await;

    // Expunged from the second one, it is kept as long as that says.
    archive.expunge(None).await.unwrap();
    world.clock.pass(LATER / 2);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 0);
    world.clock.pass(LATER);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 1);
    world.check().await;
}

#[tokio::test]
async fn the_later_of_two_expunges_counts() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let archive = open(&mail, "Archive").await;
    append(&mail, &inbox, "a", "\\Deleted").await;
    inbox.copy(&set("1"), &archive).await.unwrap();
    inbox.expunge(None).await.unwrap();
    world.clock.pass(LATER / 2);
    archive.expunge(None).await.unwrap();
    world.clock.pass(LATER / 2 + 1000);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 0);
    assert_eq!(mail.expunged().await.unwrap().len(), 1, "it can be restored to the second mailbox only");
    world.clock.pass(LATER);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 1);
    world.check().await;
}

#[tokio::test]
async fn expunged_messages_come_back_as_they_were() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "\\Seen \\Deleted $Work").await;
    append(&mail, &inbox, "b", "\\Deleted").await;
    inbox.expunge(None).await.unwrap();
    let expunged = mail.expunged().await.unwrap();
    assert_eq!(expunged.len(), 2);
    let restored = inbox.restore(&expunged[..1]).await.unwrap();
    assert_eq!(restored.uids.to_string(), "3");
    assert_eq!(listing(&inbox), ["3 \\Seen $Work"]);
    let record = *inbox.snapshot().record(Uid::new(3).unwrap()).unwrap();
    assert_eq!((record.message, record.internal_date.zone_minutes), (expunged[0].message, 60));
    assert_eq!(inbox.restore(&expunged).await, Err(StoreError::NotFound), "all or none");
    world.clock.pass(LATER);
    assert_eq!(world.store.reclaim().await.unwrap().messages, 1);
    assert_eq!(inbox.restore(&expunged[1..]).await, Err(StoreError::NotFound));
    world.check().await;
}

#[tokio::test]
async fn messages_of_a_deleted_mailbox_can_be_restored() {
    let world = World::new().await;
    let mail = world.mail().await;
    mail.create_mailbox(&name("a"), &[]).await.unwrap();
    append(&mail, &*open(&mail, "a").await, "x", "$K").await;
    mail.delete_mailbox(&name("a")).await.unwrap();
    let inbox = open(&mail, "INBOX").await;
    inbox.restore(&mail.expunged().await.unwrap()).await.unwrap();
    assert_eq!(listing(&inbox), ["1 $K"]);
    world.check().await;
}

#[tokio::test]
async fn segments_that_are_mostly_dead_are_rewritten() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let text = "x".repeat(400);
    for n in 0..40 {
        append(&mail, &inbox, &text, if n % 4 == 0 { "" } else { "\\Deleted" }).await;
    }
    let survivor = mail.message(inbox.snapshot().records().next().unwrap().message).await.unwrap();
    inbox.expunge(None).await.unwrap();
    world.clock.pass(LATER);
    let segments = world.blobs.segments().await.unwrap().len();
    let reclaimed = world.store.reclaim().await.unwrap();
    assert_eq!(reclaimed.messages, 30);
    assert!(reclaimed.segments >= 3 && reclaimed.bytes > 30 * 300, "{reclaimed:?}");
    assert!(world.blobs.segments().await.unwrap().len() < segments);
    // Whoever still has the old place of the bytes finds them all the same.
    let now = mail.message(survivor.id).await.unwrap();
    assert_ne!(now.blob, survivor.blob);
    assert_eq!(mail.read(&survivor, 0..9999).await.unwrap(), text);
    world.check().await;
    let again = world.store.reclaim().await.unwrap();
    assert_eq!(again.messages, 0);
    world.check().await;
}

#[tokio::test]
async fn bytes_on_their_way_are_not_reclaimed() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let arriving = message(&mail, "on its way", "").await;
    for _ in 0..20 {
        append(&mail, &inbox, &"x".repeat(300), "\\Deleted").await;
    }
    inbox.expunge(None).await.unwrap();
    world.clock.pass(LATER);
    let first = world.blobs.segments().await.unwrap()[0].segment;
    world.store.reclaim().await.unwrap();
    assert_eq!(world.blobs.segments().await.unwrap()[0].segment, first, "its segment has to stay");
    inbox.append(vec![arriving]).await.unwrap();
    world.store.reclaim().await.unwrap();
    assert_ne!(world.blobs.segments().await.unwrap()[0].segment, first, "now the message can move");
    let id = inbox.snapshot().records().next().unwrap().message;
    let stored = mail.message(id).await.unwrap();
    assert_eq!(mail.read(&stored, 0..99).await.unwrap(), "on its way");
    world.check().await;
}

#[tokio::test]
async fn bytes_that_became_no_message_are_given_back() {
    let world = World::new().await;
    let mail = world.mail().await;
    for _ in 0..20 {
        drop(message(&mail, &"x".repeat(500), "").await);
    }
    assert!(world.report().await.is_clean(), "they are no error");
    assert_eq!(world.report().await.reclaimable_bytes, 10_000);
    assert!(world.store.reclaim().await.unwrap().segments >= 2);
    assert!(world.report().await.reclaimable_bytes < 4_500);
    world.check().await;
}

// Message ids come from the clock, and are never given twice.
#[tokio::test]
async fn a_clock_that_was_set_back_gives_no_message_an_id_that_is_taken() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for back in [0, 3_600_000, 1, 86_400_000, -1] {
        world.clock.pass(-back);
        let mail = world.reopened().await.open_account(world.account).await.unwrap();
        for _ in 0..3 {
            let inbox = open(&mail, "INBOX").await;
            append(&mail, &inbox, "some text", "").await;
            ids.push(inbox.snapshot().records().next_back().unwrap().message);
        }
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(world.report().await.is_clean());
}

async fn thread(world: &World, id: Option<&str>, references: &[&str]) -> ThreadId {
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let new = mail_with_ids(&mail, id, references).await;
    inbox.append(vec![new]).await.unwrap();
    let record = *inbox.snapshot().records().next_back().unwrap();
    mail.message(record.message).await.unwrap().thread
}

// RFC 8474 §5.2
#[tokio::test]
async fn replies_are_in_the_thread_of_what_they_reply_to() {
    let world = World::new().await;
    let first = thread(&world, Some("1@x"), &[]).await;
    assert_eq!(thread(&world, Some("2@x"), &["1@x"]).await, first);
    assert_eq!(thread(&world, Some("3@x"), &["unknown@x", "2@x"]).await, first);
    assert_eq!(thread(&world, Some("4@x"), &["unknown@x"]).await, first, "by a reference they share");
    assert_eq!(thread(&world, Some("1@x"), &[]).await, first, "the same message once more");
    assert_ne!(thread(&world, Some("5@x"), &[]).await, first);
    assert_ne!(thread(&world, None, &[]).await, first);
    // A reply that comes before what it replies to.
    let early = thread(&world, Some("7@x"), &["6@x"]).await;
    assert_eq!(thread(&world, Some("6@x"), &[]).await, early);
    let again = world.reopened().await;
    let mail = again.open_account(world.account).await.unwrap();
    let late = mail_with_ids(&mail, None, &["7@x"]).await;
    let inbox = open(&mail, "INBOX").await;
    inbox.append(vec![late]).await.unwrap();
    let record = *inbox.snapshot().records().next_back().unwrap();
    assert_eq!(mail.message(record.message).await.unwrap().thread, early, "threads are kept");
    assert!(world.report().await.is_clean());
}

#[tokio::test]
async fn thread_entries_go_with_the_messages_that_wrote_them() {
    let world = World::new().await;
    let inbox = world.inbox().await;
    thread(&world, Some("1@x"), &["0@x"]).await;
    thread(&world, Some("2@x"), &["1@x"]).await;
    thread(&world, Some("1@x"), &[]).await;
    inbox.store(&set("1:3"), add("\\Deleted"), None).await.unwrap();
    inbox.expunge(Some(&set("1"))).await.unwrap();
    world.clock.pass(LATER);
    world.store.reclaim().await.unwrap();
    world.check().await;
    inbox.expunge(None).await.unwrap();
    world.clock.pass(LATER);
    world.store.reclaim().await.unwrap();
    world.check().await;
    let all = columba_store::Key(vec![0x14])..columba_store::Key(vec![0x17]);
    let rest = world.engine.scan(columba_store::Partition::Account(world.account), all, 99).await.unwrap();
    assert!(rest.is_empty(), "no message, link or expunged entry is left");
    let threads = columba_store::Key(vec![0x18])..columba_store::Key(vec![0x19]);
    assert!(world.engine.scan(columba_store::Partition::Account(world.account), threads, 99).await.unwrap().is_empty());
}
