//! Many at once, disks that are slow, fail or lose their voice, callers who go away: memory and engine never disagree.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use columba_store::testing::{Fault, Faulty, Lagging};
use columba_store::{MemoryEngine, StoreError};
use columba_types::{ModSeq, Uid, UidSet};
use futures_util::FutureExt;
use futures_util::future::join_all;
use support::*;

async fn faulty() -> (World, Faulty) {
    let engine = Faulty::new(Arc::new(MemoryEngine::new()));
    (World::on(Arc::new(engine.clone())).await, engine)
}

async fn lagging() -> (World, Lagging) {
    let engine = Lagging::new(Arc::new(MemoryEngine::new()));
    (World::on(Arc::new(engine.clone())).await, engine)
}

#[tokio::test]
async fn many_commits_of_one_mailbox_stand_in_line_together() {
    let (world, engine) = lagging().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    engine.hold();
    let (one, both) = (set("1"), ["k0", "k1", "k2", "k3", "k4"].map(add));
    let mut waiting: Vec<_> = both.map(|change| Box::pin(inbox.store(&one, change, None))).into();
    for store in &mut waiting {
        assert!(store.now_or_never_ref().is_none());
    }
    assert_eq!(engine.in_line(), 5, "none waits for the other's sync");
    assert_eq!(listing(&inbox), ["1"], "nothing is seen before it is durable");
    engine.let_through(2);
    assert_eq!(listing(&inbox), ["1 k0 k1"]);
    engine.release();
    let modseqs: Vec<u64> = join_all(waiting).await.into_iter().map(|stored| stored.unwrap().modseq.0).collect();
    assert!(modseqs.windows(2).all(|two| two[0] + 1 == two[1]));
    assert_eq!(listing(&inbox), ["1 k0 k1 k2 k3 k4"]);
    world.check().await;
}

/// Polls once, and keeps the future.
trait NowOrNeverRef: Future + Unpin {
    fn now_or_never_ref(&mut self) -> Option<Self::Output> {
        (&mut *self).now_or_never()
    }
}
impl<F: Future + Unpin> NowOrNeverRef for F {}

#[tokio::test]
async fn a_caller_who_goes_away_changes_nothing() {
    let (world, engine) = lagging().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let mut watch = inbox.watch();
    let new = message(&mail, "a", "").await;
    engine.hold();
    let mut append_it = Box::pin(inbox.append(vec![new]));
    assert!(append_it.now_or_never_ref().is_none());
    drop(append_it);
    let id = inbox.id();
    drop((inbox, mail));
    engine.release();
    watch.changed().await;
    let inbox = world.mail().await.mailbox(id).await.unwrap();
    assert_eq!(listing(&inbox), ["1"], "it was in line, and happened");
    world.check().await;
}

#[tokio::test]
async fn a_no_op_waits_for_what_it_saw() {
    let (world, engine) = lagging().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    engine.hold();
    let one = set("1");
    let mut first = Box::pin(inbox.store(&one, add("\\Seen"), None));
    let mut second = Box::pin(inbox.store(&one, add("\\Seen"), None));
    assert!(first.now_or_never_ref().is_none());
    assert!(second.now_or_never_ref().is_none(), "the flag is there, but not durable");
    engine.release();
    assert_eq!(first.await.unwrap().modseq, second.await.unwrap().modseq);
    world.check().await;
}

#[tokio::test]
async fn a_no_op_upon_what_failed_is_done_after_all() {
    let inner = Faulty::new(Arc::new(MemoryEngine::new()));
    let engine = Lagging::new(Arc::new(inner.clone()));
    let world = World::on(Arc::new(engine.clone())).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    engine.hold();
    inner.fail(0, Fault::Refused);
    let one = set("1");
    let mut first = Box::pin(inbox.store(&one, add("\\Seen"), None));
    let mut second = Box::pin(inbox.store(&one, add("\\Seen"), None));
    assert!(first.now_or_never_ref().is_none() && second.now_or_never_ref().is_none());
    engine.release();
    // Another one brings the mailbox in order before the second looks again.
    inbox.store(&one, add("\\Flagged"), None).await.unwrap();
    assert!(first.await.is_err());
    assert_eq!(second.await.unwrap().changed, one);
    assert_eq!(listing(&inbox), ["1 \\Flagged \\Seen"]);
    world.check().await;
}

#[tokio::test]
async fn a_failed_commit_fails_and_those_behind_it_go_on() {
    for fault in [Fault::Refused, Fault::Conflict, Fault::LostBefore, Fault::LostAfter] {
        let inner = Faulty::new(Arc::new(MemoryEngine::new()));
        let engine = Lagging::new(Arc::new(inner.clone()));
        let world = World::on(Arc::new(engine.clone())).await;
        let (mail, inbox) = (world.mail().await, world.inbox().await);
        append(&mail, &inbox, "a", "\\Deleted").await;
        append(&mail, &inbox, "b", "").await;
        let before = inbox.snapshot().head.highest_modseq;
        engine.hold();
        inner.fail(1, fault);
        let both = set("1:2");
        let mut first = Box::pin(inbox.store(&both, add("one"), None));
        let mut second = Box::pin(inbox.expunge(None));
        let mut third = Box::pin(inbox.store(&both, add("three"), None));
        assert!(first.now_or_never_ref().is_none() && second.now_or_never_ref().is_none());
        assert!(third.now_or_never_ref().is_none());
        engine.release();
        first.await.unwrap();
        let (second, third) = (second.await, third.await);
        assert!(third.is_ok(), "{fault:?}: {third:?}");
        match fault {
            Fault::Conflict => assert!(second.is_ok(), "a conflict is tried again"),
            Fault::Refused => assert!(matches!(second, Err(StoreError::Unavailable(_)))),
            Fault::LostBefore | Fault::LostAfter => assert!(matches!(second, Err(StoreError::Indeterminate(_)))),
        }
        let gone = matches!(fault, Fault::Conflict | Fault::LostAfter);
        assert_eq!(listing(&inbox).len(), if gone { 1 } else { 2 }, "{fault:?}");
        let expected = if gone { "1" } else { "" };
        assert_eq!(inbox.catch_up(before).expunged.unwrap().to_string(), expected, "{fault:?}");
        assert_eq!(inbox.ghost(Uid::MIN).is_some(), gone, "{fault:?}");
        world.check().await;
    }
}

#[tokio::test]
async fn a_lost_outcome_is_found_out_before_the_next_change() {
    for (fault, uids) in [(Fault::LostBefore, "1"), (Fault::LostAfter, "2")] {
        let (world, engine) = faulty().await;
        let (mail, inbox) = (world.mail().await, world.inbox().await);
        let new = message(&mail, "lost", "").await;
        engine.fail(0, fault);
        assert!(matches!(inbox.append(vec![new]).await, Err(StoreError::Indeterminate(_))));
        let next = message(&mail, "next", "").await;
        assert_eq!(inbox.append(vec![next]).await.unwrap().uids.to_string(), uids);
        // Nobody knew whether the bytes were needed, so nobody took them away.
        let report = world.report().await;
        assert_eq!(report.bytes + report.reclaimable_bytes, 8);
        world.check().await;
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_waited_out() {
    let (world, engine) = faulty().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "a", "").await;
    engine.fail(0, Fault::Refused);
    engine.fail_reads(true);
    assert!(inbox.store(&set("1"), add("\\Seen"), None).await.is_err());
    assert!(matches!(inbox.store(&set("1"), add("\\Seen"), None).await, Err(StoreError::Unavailable(_))));
    assert_eq!(listing(&inbox), ["1"], "what is in memory can still be read");
    engine.fail_reads(false);
    inbox.store(&set("1"), add("\\Seen"), None).await.unwrap();
    assert_eq!(listing(&inbox), ["1 \\Seen"]);
    world.check().await;
}

#[tokio::test]
async fn a_tree_survives_every_fault() {
    for fault in [Fault::Refused, Fault::Conflict, Fault::LostBefore, Fault::LostAfter] {
        let (world, engine) = faulty().await;
        let mail = world.mail().await;
        mail.create_mailbox(&name("b"), &[]).await.unwrap();
        append(&mail, &*open(&mail, "b").await, "x", "").await;
        engine.fail(0, fault);
        let created = mail.create_mailbox(&name("a"), &[]).await;
        assert_eq!(created.is_ok(), fault == Fault::Conflict, "{fault:?}");
        let again = mail.create_mailbox(&name("a"), &[]).await;
        assert_eq!(again.is_ok(), !matches!(fault, Fault::Conflict | Fault::LostAfter), "{fault:?}");
        engine.fail(0, fault);
        let deleted = mail.delete_mailbox(&name("b")).await;
        assert_eq!(deleted.is_ok(), fault == Fault::Conflict, "{fault:?}");
        mail.subscribe(&name("c"), true).await.unwrap();
        let still = matches!(fault, Fault::Refused | Fault::LostBefore);
        assert_eq!(mail.tree().mailbox(&name("b")).is_some(), still, "{fault:?}");
        if still {
            assert_eq!(listing(&*open(&mail, "b").await), ["1"]);
        }
        world.check().await;
    }
}

#[tokio::test]
async fn two_nodes_change_one_mailbox() {
    let world = World::new().await;
    let other = world.reopened().await.open_account(world.account).await.unwrap();
    let (mail, here) = (world.mail().await, world.inbox().await);
    let there = open(&other, "INBOX").await;
    // Each learns of the other's commits when its own one fails upon them.
    for _ in 0..10 {
        append(&mail, &here, "a", "").await;
        append(&other, &there, "b", "\\Deleted").await;
    }
    let mut watch = here.watch();
    append(&mail, &here, "a", "").await;
    watch.changed().await;
    here.expunge(None).await.unwrap();
    let uids: Vec<u32> = here.snapshot().uids().iter().collect();
    assert_eq!(uids, (1..=21).step_by(2).collect::<Vec<_>>());
    there.store(&set("1"), add("\\Seen"), None).await.unwrap();
    assert_eq!(there.snapshot().uids(), here.snapshot().uids());
    here.store(&set("3"), add("\\Seen"), None).await.unwrap();
    world.check().await;
}

/// What a reader that follows a mailbox knows, kept up by catching up only.
async fn follow(mailbox: Arc<columba_store::Mailbox>, stop: Arc<AtomicBool>) -> UidSet {
    let mut watch = mailbox.watch();
    let (mut known, mut since) = (UidSet::new(), ModSeq::ZERO);
    loop {
        let last = stop.load(Ordering::Acquire);
        let caught_up = mailbox.catch_up(since);
        let now = caught_up.snapshot.head.highest_modseq;
        assert!(now >= since, "modseqs never fall");
        known = known.difference(&caught_up.expunged.expect("the history reaches back"));
        let new: UidSet = caught_up.snapshot.changed_since(since).map(|record| record.uid).collect();
        known = known.union(&new);
        assert_eq!(known, caught_up.snapshot.uids());
        since = now;
        if last {
            return known;
        }
        watch.changed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_work_on_one_mailbox_and_readers_follow() {
    let (world, engine) = lagging().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let archive = open(&mail, "Archive").await;
    engine.hold();
    let stop = Arc::new(AtomicBool::new(false));
    let disk = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Acquire) {
                engine.let_through(7);
                tokio::task::yield_now().await;
            }
            engine.release();
        }
    });
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(follow(inbox.clone(), stop.clone()))).collect();
    let worker = |n: u32| {
        let (mail, inbox, archive) = (mail.clone(), inbox.clone(), archive.clone());
        async move {
            let mut mine = UidSet::new();
            for step in 0..40 {
                let uid = append(&mail, &inbox, "x", "").await;
                mine.insert(uid.value());
                let one = UidSet::range(uid.value(), uid.value());
                match (n + step) % 5 {
                    0 => _ = inbox.store(&one, add("\\Deleted"), None).await.unwrap(),
                    1 => _ = inbox.move_to(&one, &archive).await.unwrap(),
                    2 => _ = archive.copy(&set("1:99"), &inbox).await.unwrap(),
                    3 => _ = inbox.expunge(Some(&mine)).await.unwrap(),
                    _ => _ = inbox.store(&mine, add(&format!("k{n}")), None).await.unwrap(),
                }
            }
            mine.len()
        }
    };
    let workers: Vec<_> = (0..8).map(|n| tokio::spawn(worker(n))).collect();
    for worker in workers {
        assert_eq!(worker.await.unwrap(), 40, "every UID was given once");
    }
    stop.store(true, Ordering::Release);
    disk.await.unwrap();
    inbox.store(&UidSet::range(1, u32::MAX), add("\\Answered"), None).await.unwrap();
    append(&mail, &inbox, "the last", "").await;
    for reader in readers {
        reader.await.unwrap();
    }
    world.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_on_a_disk_that_fails_now_and_then() {
    let (world, engine) = faulty().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let trash = open(&mail, "Trash").await;
    let worker = |n: u64| {
        let (mail, inbox, trash, engine) = (mail.clone(), inbox.clone(), trash.clone(), engine.clone());
        async move {
            let mut acknowledged = Vec::new();
            for step in 0..60 {
                let fault = [Fault::Refused, Fault::Conflict, Fault::LostBefore, Fault::LostAfter][(step % 4) as usize];
                if step % 3 == n % 3 {
                    engine.fail(n % 5, fault);
                }
                let text = format!("{n}-{step}");
                let new = message(&mail, &text, "").await;
                if let Ok(appended) = inbox.append(vec![new]).await {
                    acknowledged.push(text);
                    if step % 7 == 0 {
                        _ = inbox.move_to(&appended.uids, &trash).await;
                    }
                }
                _ = inbox.store(&set("1:20"), add(&format!("k{}", step % 9)), None).await;
            }
            acknowledged
        }
    };
    let mut acknowledged = Vec::new();
    for worker in (0..6).map(|n| tokio::spawn(worker(n))).collect::<Vec<_>>() {
        acknowledged.extend(worker.await.unwrap());
    }
    engine.recover();
    inbox.store(&set("1:4294967295"), add("\\Seen"), None).await.unwrap();
    trash.store(&set("1:4294967295"), add("\\Seen"), None).await.unwrap();
    let mut there = Vec::new();
    for mailbox in [&inbox, &trash] {
        for record in mailbox.snapshot().records() {
            let message = mail.message(record.message).await.unwrap();
            there.push(String::from_utf8(mail.read(&message, 0..99).await.unwrap().to_vec()).unwrap());
        }
    }
    let count = there.len();
    there.sort();
    there.dedup();
    assert_eq!(there.len(), count, "nothing is there twice");
    assert!(acknowledged.len() > 100);
    assert!(acknowledged.iter().all(|text| there.binary_search(text).is_ok()), "what was acknowledged is there");
    world.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaiming_never_takes_what_is_still_linked() {
    let world = Arc::new(World::new().await);
    let mail = world.mail().await;
    let mailboxes = [open(&mail, "INBOX").await, open(&mail, "Archive").await, open(&mail, "Trash").await];
    let stop = Arc::new(AtomicBool::new(false));
    let reclaimer = tokio::spawn({
        let (world, stop) = (world.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Acquire) {
                world.clock.pass(60_000);
                world.store.reclaim().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let worker = |n: usize| {
        let (mail, mailboxes) = (mail.clone(), mailboxes.clone());
        async move {
            for step in 0..80 {
                let (from, to) = (&mailboxes[(n + step) % 3], &mailboxes[(n + step / 3 + 1) % 3]);
                append(&mail, from, "message", if step % 2 == 0 { "\\Deleted" } else { "" }).await;
                let last = from.snapshot().uids().last().unwrap_or(1);
                let some = UidSet::range(last.saturating_sub(3).max(1), last);
                from.copy(&some, to).await.unwrap();
                if step % 4 == 0 {
                    from.move_to(&UidSet::range(last, last), to).await.unwrap();
                }
                from.expunge(None).await.unwrap();
            }
        }
    };
    for worker in (0..4).map(|n| tokio::spawn(worker(n))).collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    stop.store(true, Ordering::Release);
    reclaimer.await.unwrap();
    world.check().await;
}
