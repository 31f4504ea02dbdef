//! What APPEND, STORE, EXPUNGE, COPY and MOVE do to a mailbox, and what its readers learn of it.
#![allow(clippy::unwrap_used)]

mod support;

use columba_store::StoreError;
use columba_types::limits::{KEYWORDS_PER_MAILBOX, PAGE_RECORDS};
use columba_types::{ModSeq, Uid, UidSet};
use support::*;

#[tokio::test]
async fn append_gives_rising_uids_and_keeps_what_came() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let batch = vec![message(&mail, "one", "\\Seen $Todo").await, message(&mail, "two", "\\Deleted").await];
    let appended = inbox.append(batch).await.unwrap();
    assert_eq!(appended.uids.to_string(), "1:2");
    assert_eq!(listing(&inbox), ["1 \\Seen $Todo", "2 \\Deleted"]);
    let snapshot = inbox.snapshot();
    assert_eq!(appended.modseq, snapshot.head.highest_modseq);
    assert_eq!(appended.uid_validity, snapshot.head.uid_validity);
    let head = &snapshot.head;
    assert_eq!((head.exists, head.unseen, head.deleted, head.bytes, head.deleted_bytes), (2, 1, 1, 6, 3));
    let record = snapshot.record(Uid::new(2).unwrap()).unwrap();
    assert_eq!(record.internal_date.zone_minutes, 60);
    let stored = mail.message(record.message).await.unwrap();
    assert_eq!((stored.summary.subject.as_str(), stored.size), ("two", 3));
    assert_eq!(mail.read(&stored, 1..99).await.unwrap(), "wo");
    world.check().await;
}

// RFC 3502 §6.3.11: all or none.
#[tokio::test]
async fn an_append_that_fails_leaves_nothing() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let other =
        world.store.create_account(columba_store::NewAccount { name: "eva".into(), ..Default::default() }).await;
    let other = world.store.open_account(other.unwrap().id).await.unwrap();
    let batch = vec![message(&mail, "mine", "").await, message(&other, "hers", "").await];
    assert!(matches!(inbox.append(batch).await, Err(StoreError::Cannot(_))));
    assert_eq!(inbox.append(Vec::new()).await.unwrap().uids, UidSet::new());
    assert_eq!(inbox.snapshot().head.exists, 0);
    world.check().await;
}

#[tokio::test]
async fn store_says_what_changed_and_what_did_not() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    for _ in 0..4 {
        append(&mail, &inbox, "x", "").await;
    }
    let before = inbox.snapshot().head.highest_modseq;
    let stored = inbox.store(&set("2:3,9"), add("\\Seen $Work"), None).await.unwrap();
    assert_eq!((stored.changed.to_string(), stored.missing.to_string()), ("2:3".into(), "9".into()));
    assert_eq!(stored.modseq, before.next());
    assert_eq!(inbox.snapshot().changed_since(before).map(|r| r.uid.value()).collect::<Vec<_>>(), [2, 3]);

    let again = inbox.store(&set("2"), add("\\Seen"), None).await.unwrap();
    assert!(again.changed.is_empty());
    assert_eq!(again.modseq, stored.modseq, "nothing to do is no commit");

    inbox.store(&set("3"), remove("$WORK \\Answered $Unknown"), None).await.unwrap();
    inbox.store(&set("1"), replace("\\Draft $work"), None).await.unwrap();
    assert_eq!(listing(&inbox), ["1 \\Draft $Work", "2 \\Seen $Work", "3 \\Seen", "4"]);
    assert_eq!(inbox.snapshot().head.keywords.len(), 1, "removing a keyword does not make it known");
    world.check().await;
}

// RFC 7162 §3.1.3
#[tokio::test]
async fn unchanged_since_spares_what_changed_later() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    for _ in 0..3 {
        append(&mail, &inbox, "x", "").await;
    }
    let since = inbox.snapshot().head.highest_modseq;
    inbox.store(&set("2"), add("\\Flagged"), None).await.unwrap();
    let stored = inbox.store(&set("1:3"), add("\\Seen"), Some(since)).await.unwrap();
    assert_eq!((stored.changed.to_string(), stored.modified.to_string()), ("1,3".into(), "2".into()));
    let none = inbox.store(&set("1:3"), add("$New"), Some(ModSeq::ZERO)).await.unwrap();
    assert_eq!((none.changed.len(), none.modified.len()), (0, 3));
    assert!(inbox.snapshot().head.keywords.is_empty(), "a keyword nobody got is not known");
    world.check().await;
}

#[tokio::test]
async fn expunge_takes_the_deleted_and_remembers_them() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    for n in 0..5 {
        append(&mail, &inbox, "x", if n % 2 == 0 { "\\Deleted $Gone" } else { "" }).await;
    }
    let before = inbox.snapshot().head.highest_modseq;
    let expunged = inbox.expunge(Some(&set("1:4"))).await.unwrap();
    assert_eq!(expunged.uids.to_string(), "1,3");
    assert_eq!(expunged.modseq, before.next());
    assert_eq!(inbox.catch_up(before).expunged.unwrap().to_string(), "1,3");
    assert!(inbox.catch_up(expunged.modseq).expunged.unwrap().is_empty());
    let ghost = inbox.ghost(Uid::new(3).unwrap()).unwrap();
    assert_eq!(mail.read(&mail.message(ghost.message).await.unwrap(), 0..9).await.unwrap(), "x");
    assert_eq!(inbox.ghost(Uid::new(2).unwrap()), None);

    assert_eq!(inbox.expunge(None).await.unwrap().uids.to_string(), "5");
    assert!(inbox.expunge(None).await.unwrap().uids.is_empty());
    assert_eq!(append(&mail, &inbox, "y", "").await.value(), 6, "no UID comes twice");
    world.check().await;
}

// RFC 8508 §3.4: one comes and one goes, and nothing is inherited.
#[tokio::test]
async fn replace_is_one_commit() {
    let world = World::new().await;
    let (mail, drafts) = (world.mail().await, open(&world.mail().await, "Drafts").await);
    for text in ["a", "b", "c"] {
        append(&mail, &drafts, text, "\\Draft $Work").await;
    }
    let before = drafts.snapshot().head.highest_modseq;
    let two = Uid::new(2).unwrap();
    let new = message(&mail, "B", "\\Seen").await;
    let appended = drafts.replace(two, &drafts, new).await.unwrap().unwrap();
    assert_eq!((appended.uids.to_string(), appended.modseq), ("4".into(), before.next()));
    assert_eq!(listing(&drafts), ["1 \\Draft $Work", "3 \\Draft $Work", "4 \\Seen"]);
    assert_eq!(drafts.snapshot().head.highest_modseq, before.next(), "one commit");
    assert_eq!(drafts.catch_up(before).expunged.unwrap().to_string(), "2");
    assert!(drafts.ghost(two).is_some(), "whoever was not told can still read it");

    let sent = open(&mail, "Sent").await;
    let new = message(&mail, "C", "").await;
    let appended = drafts.replace(Uid::new(3).unwrap(), &sent, new).await.unwrap().unwrap();
    assert_eq!((appended.uid_validity, listing(&sent).len()), (sent.snapshot().head.uid_validity, 1));
    assert_eq!(listing(&drafts), ["1 \\Draft $Work", "4 \\Seen"]);
    assert_eq!(mail.expunged().await.unwrap().len(), 2, "what was replaced can be restored");
    world.check().await;
}

#[tokio::test]
async fn replacing_what_is_gone_does_nothing() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "x", "").await;
    let before = inbox.snapshot();
    let (new, sent) = (message(&mail, "y", "$New").await, open(&mail, "Sent").await);
    assert_eq!(inbox.replace(Uid::new(2).unwrap(), &sent, new).await.unwrap(), None);
    assert_eq!(inbox.snapshot(), before);
    mail.create_mailbox(&name("gone"), &[]).await.unwrap();
    let gone = open(&mail, "gone").await;
    mail.delete_mailbox(&name("gone")).await.unwrap();
    let new = message(&mail, "y", "").await;
    assert_eq!(inbox.replace(Uid::new(1).unwrap(), &gone, new).await, Err(StoreError::NotFound));
    assert_eq!(inbox.snapshot(), before);
    world.check().await;
}

#[tokio::test]
async fn copy_keeps_flags_and_makes_links() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let sent = open(&mail, "Sent").await;
    append(&mail, &sent, "first there", "$Other").await;
    for text in ["a", "b", "c"] {
        append(&mail, &inbox, text, "\\Flagged $Work $Other").await;
    }
    world.clock.pass(5_000);
    let before = inbox.snapshot().head.highest_modseq;
    let copied = inbox.copy(&set("1,3,7"), &sent).await.unwrap();
    assert_eq!((copied.from.to_string(), copied.to.to_string()), ("1,3".into(), "2:3".into()));
    assert_eq!(copied.uid_validity, sent.snapshot().head.uid_validity);
    assert_eq!(listing(&sent)[1..], ["2 \\Flagged $Other $Work", "3 \\Flagged $Other $Work"]);
    let (here, there) = (inbox.snapshot(), sent.snapshot());
    let (one, two) = (here.record(Uid::new(1).unwrap()).unwrap(), there.record(Uid::new(2).unwrap()).unwrap());
    assert_eq!((one.message, one.internal_date, one.size), (two.message, two.internal_date, two.size));
    assert_eq!(two.saved_secs, one.saved_secs + 5);
    assert_eq!(here.head.highest_modseq, before, "the source did not change");
    assert!(inbox.copy(&set("99"), &sent).await.unwrap().from.is_empty());
    assert_eq!(world.report().await.messages, 4);
    world.check().await;
}

#[tokio::test]
async fn move_is_copy_and_expunge_in_one() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let trash = open(&mail, "Trash").await;
    for text in ["a", "b", "c"] {
        append(&mail, &inbox, text, "\\Deleted").await;
    }
    let before = inbox.snapshot().head.highest_modseq;
    let moved = inbox.move_to(&set("2:3"), &trash).await.unwrap();
    assert_eq!((moved.from.to_string(), moved.to.to_string()), ("2:3".into(), "1:2".into()));
    assert_eq!(inbox.catch_up(before).expunged.unwrap().to_string(), "2:3");
    assert_eq!((listing(&inbox).len(), listing(&trash).len()), (1, 2));
    world.clock.pass(1_000_000);
    world.store.reclaim().await.unwrap();
    assert_eq!(world.report().await.messages, 3, "what moved is not expunged");
    world.check().await;
}

// RFC 6851 §3.3: moving within a mailbox gives new UIDs.
#[tokio::test]
async fn moving_and_copying_within_a_mailbox() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    for text in ["a", "b"] {
        append(&mail, &inbox, text, "$K").await;
    }
    let moved = inbox.move_to(&set("1:4294967295"), &inbox).await.unwrap();
    assert_eq!((moved.from.to_string(), moved.to.to_string()), ("1:2".into(), "3:4".into()));
    let copied = inbox.copy(&set("3"), &inbox).await.unwrap();
    assert_eq!(copied.to.to_string(), "5");
    assert_eq!(listing(&inbox), ["3 $K", "4 $K", "5 $K"]);
    world.check().await;
}

#[tokio::test]
async fn many_messages_move_and_go_in_steps() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let junk = open(&mail, "Junk").await;
    let mut batch = Vec::new();
    for _ in 0..2500 {
        batch.push(message(&mail, "x", "").await);
    }
    inbox.append(batch).await.unwrap();
    let moved = inbox.move_to(&set("1:2400"), &junk).await.unwrap();
    assert_eq!((moved.from.to_string(), moved.to.to_string()), ("1:2400".into(), "1:2400".into()));
    let within = junk.move_to(&set("1:4294967295"), &junk).await.unwrap();
    assert_eq!((within.from.to_string(), within.to.to_string()), ("1:2400".into(), "2401:4800".into()));
    junk.store(&junk.snapshot().uids(), add("\\Deleted"), None).await.unwrap();
    assert_eq!(junk.expunge(None).await.unwrap().uids.to_string(), "2401:4800");
    assert_eq!((inbox.snapshot().head.exists, junk.snapshot().head.exists), (100, 0));
    world.check().await;
}

#[tokio::test]
async fn keywords_fill_the_table_and_unused_ones_make_room() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    append(&mail, &inbox, "b", "").await;
    for n in 0..KEYWORDS_PER_MAILBOX {
        inbox.store(&set("1"), add(&format!("k{n}")), None).await.unwrap();
    }
    assert!(matches!(inbox.store(&set("2"), add("one-more"), None).await, Err(StoreError::Limit(_))));
    inbox.store(&set("1"), remove("k5 k7"), None).await.unwrap();
    assert!(matches!(inbox.store(&set("2"), add("x y z"), None).await, Err(StoreError::Limit(_))));
    inbox.store(&set("2"), add("x y"), None).await.unwrap();
    assert_eq!(listing(&inbox)[1], "2 x y");
    assert_eq!(inbox.snapshot().head.keywords.len(), KEYWORDS_PER_MAILBOX);
    world.check().await;
}

#[tokio::test]
async fn a_ghost_does_not_get_the_keyword_that_took_its_bit() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    append(&mail, &inbox, "b", "\\Deleted").await;
    for n in 0..KEYWORDS_PER_MAILBOX {
        let uid = if n == 3 { "2" } else { "1" };
        inbox.store(&set(uid), add(&format!("k{n}")), None).await.unwrap();
    }
    inbox.expunge(None).await.unwrap();
    inbox.store(&set("1"), add("new"), None).await.unwrap();
    let ghost = inbox.ghost(Uid::new(2).unwrap()).unwrap();
    assert!(ghost.flags.keywords.is_empty());
    world.check().await;
}

#[tokio::test]
async fn recent_is_claimed_once() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    append(&mail, &inbox, "b", "").await;
    assert_eq!(inbox.claim_recent().to_string(), "1:2");
    assert!(inbox.claim_recent().is_empty(), "another session finds nothing recent");
    append(&mail, &inbox, "c", "").await;
    assert_eq!(inbox.recent_from().value(), 3);
    let again = world.reopened().await.open_account(world.account).await.unwrap();
    assert_eq!(open(&again, "INBOX").await.recent_from().value(), 3, "written with the commit after it");
    world.check().await;
}

#[tokio::test]
async fn watchers_wake_and_outlive_the_mailbox_in_memory() {
    let world = World::new().await;
    let mail = world.mail().await;
    let inbox = world.inbox().await;
    let (mut watch, id) = (inbox.watch(), inbox.id());
    drop(inbox);
    assert!(!watch.has_changed());
    let inbox = mail.mailbox(id).await.unwrap();
    append(&mail, &inbox, "a", "").await;
    watch.changed().await;
    assert!(!watch.has_changed());
    let snapshot = inbox.snapshot();
    inbox.store(&set("1"), add("\\Seen"), None).await.unwrap();
    assert!(watch.has_changed());
    assert_eq!(snapshot.head.unseen, 1, "a snapshot stays as it was");
    world.check().await;
}

#[tokio::test]
async fn pages_stay_within_bounds_and_small_ones_are_joined() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let pages = || async {
        let all = columba_store::Key(vec![0x12])..columba_store::Key(vec![0x13]);
        world.engine.scan(columba_store::Partition::Account(world.account), all, 99_999).await.unwrap().len()
    };
    for _ in 0..4 {
        let mut batch = Vec::new();
        for _ in 0..PAGE_RECORDS {
            batch.push(message(&mail, "x", "\\Deleted").await);
        }
        inbox.append(batch).await.unwrap();
    }
    assert_eq!(pages().await, 4);
    // All but every tenth go, one commit for each hundred.
    let keep: UidSet = (1..=512u32).filter(|uid| uid % 10 == 0).collect();
    for first in (1..=512).step_by(100) {
        inbox.expunge(Some(&UidSet::range(first, first + 99).difference(&keep))).await.unwrap();
    }
    assert_eq!(inbox.snapshot().uids(), keep);
    assert_eq!(pages().await, 1);
    world.check().await;
}

#[tokio::test]
async fn history_is_bounded_and_says_how_far_it_reaches() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let limit = columba_types::limits::LOG_EXPUNGED_UIDS;
    let mut total = 0;
    while total <= limit + 2000 {
        let mut batch = Vec::new();
        for _ in 0..2000 {
            batch.push(message(&mail, "", "\\Deleted").await);
        }
        let appended = inbox.append(batch).await.unwrap();
        // Every second one stays, so that ranges do not help.
        let odd: UidSet = appended.uids.iter().filter(|uid| uid % 2 == 1).collect();
        total += inbox.expunge(Some(&odd)).await.unwrap().uids.len();
        let rest = inbox.expunge(None).await.unwrap();
        total += rest.uids.len();
    }
    assert_eq!(inbox.catch_up(ModSeq::ZERO).expunged, None, "too far back");
    let floor = inbox.snapshot().head.log_floor;
    let known = inbox.catch_up(floor).expunged.unwrap();
    assert!(known.len() <= limit && known.len() > limit / 2, "{}", known.len());
    assert_eq!(inbox.catch_up(ModSeq(floor.0 - 1)).expunged, None);
    world.check().await;
}

#[tokio::test]
async fn a_large_mailbox_is_like_a_small_one() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    for _ in 0..20 {
        let mut batch = Vec::new();
        for _ in 0..1000 {
            batch.push(message(&mail, "", "").await);
        }
        inbox.append(batch).await.unwrap();
    }
    let seventh: UidSet = (1..=20_000u32).filter(|uid| uid % 7 == 0).collect();
    assert_eq!(inbox.store(&seventh, add("\\Deleted $K"), None).await.unwrap().changed, seventh);
    assert!(inbox.snapshot().records_in(&seventh).map(|record| record.uid.value()).eq(seventh.iter()));
    inbox.expunge(Some(&set("5000:12000"))).await.unwrap();
    inbox.store(&set("9000:17500"), add("\\Deleted"), None).await.unwrap();
    inbox.expunge(None).await.unwrap();
    let left: UidSet = (1..=20_000u32).filter(|uid| uid % 7 != 0 && !(9000..=17_500).contains(uid)).collect();
    assert_eq!(inbox.snapshot().uids(), left);
    for uid in [1, 7, 8, 8191, 8192, 8999, 9000, 17_500, 17_501, 20_000] {
        assert_eq!(inbox.snapshot().record(Uid::new(uid).unwrap()).is_some(), left.contains(uid), "{uid}");
    }
    world.check().await;
}

#[tokio::test]
async fn memory_holds_what_is_in_use_and_a_bounded_rest() {
    let mut world = World::new().await;
    world.options.cache_records = 10;
    let store = world.reopened().await;
    let mail = store.open_account(world.account).await.unwrap();
    let (inbox, sent) = (open(&mail, "INBOX").await, open(&mail, "Sent").await);
    let mut batch = Vec::new();
    for _ in 0..20 {
        batch.push(message(&mail, "x", "\\Deleted").await);
    }
    inbox.append(batch).await.unwrap();
    let ids = [inbox.id(), sent.id(), columba_types::MailboxId(9)];
    let heads = mail.heads(&ids).await.unwrap();
    assert_eq!(heads.iter().flatten().map(|head| head.exists).collect::<Vec<_>>(), [20, 0]);
    assert!(heads[2].is_none());
    // In use: asked for again, it is the same mailbox, with what only memory knows.
    inbox.expunge(Some(&set("1"))).await.unwrap();
    assert!(mail.mailbox(ids[0]).await.unwrap().ghost(Uid::MIN).is_some());
    // Not in use, and too large to be kept: it is read anew.
    drop(inbox);
    drop(mail.mailbox(ids[0]).await.unwrap());
    drop(mail.mailbox(ids[1]).await.unwrap());
    let inbox = mail.mailbox(ids[0]).await.unwrap();
    assert!(inbox.ghost(Uid::MIN).is_none());
    assert_eq!(inbox.snapshot().head.exists, 19);
    assert_eq!(inbox.catch_up(ModSeq::ZERO).expunged.unwrap().to_string(), "1", "the history is kept for good");
    world.check().await;
}
