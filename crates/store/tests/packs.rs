//! Packs say what messages say, whatever happened meanwhile; they come, go and are made again, and nobody misses them.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use columba_store::testing::{Fault, Faulty, Lagging};
use columba_store::{
    AccountStore, Batch, Engine, HeaderForm, Mailbox, MemoryBlobs, MemoryEngine, MessageSummary, NewMessage, OpenPack,
    Options, PackColumn, PackedTexts, Partition, Store,
};
use columba_types::limits::{PACK_ENTRY_BYTES, PAGE_RECORDS};
use columba_types::{AccountId, UidSet};
use proptest::prelude::*;
use support::*;

/// The summaries of these tests say in one octet how long the header is.
const FORM: HeaderForm = HeaderForm {
    range: |summary| summary.parts.first().map(|length| 0..u64::from(*length)),
    fields: |block| block.to_ascii_uppercase(),
};

async fn world(engine: Arc<dyn Engine>, packed_page: usize) -> World {
    let mut world = World::on_both(engine, Arc::new(MemoryBlobs::with_segments_of(4096))).await;
    world.options = Options { headers: Some(FORM), packed_page, ..world.options };
    world.store = world.reopened().await;
    world
}

async fn letter(mail: &Arc<AccountStore>, n: usize) -> NewMessage {
    let text = format!("header {n}\nbody");
    let header = text.len() - 4;
    let envelope = format!("(envelope of {n})");
    let summary = MessageSummary {
        envelope_utf8: n.is_multiple_of(3).then(|| Bytes::from(format!("{envelope} ü"))),
        envelope: envelope.into(),
        body_structure: Bytes::from(format!("(structure {})", n % 2)),
        parts: Bytes::from(vec![header as u8]),
        subject: format!("subject {n}"),
        preview: n.is_multiple_of(2).then(|| format!("preview {n}")),
        ..MessageSummary::default()
    };
    NewMessage { summary, ..message(mail, &text, "").await }
}

async fn fill(mail: &Arc<AccountStore>, mailbox: &Mailbox, numbers: std::ops::Range<usize>) {
    let mut letters = Vec::new();
    for n in numbers {
        letters.push(letter(mail, n).await);
    }
    mailbox.append(letters).await.unwrap();
}

async fn pack_all(store: &Store) {
    while store.pack_next().await.unwrap() {}
}

/// How many messages are found in packs; each says there what it says itself.
async fn packed(mail: &Arc<AccountStore>, mailbox: &Mailbox) -> usize {
    let (snapshot, uids) = (mailbox.snapshot(), UidSet::range(1, u32::MAX));
    let (pages, records): (Vec<_>, Vec<_>) = snapshot.pages_of(&uids).unzip();
    let packs = mail.packs(mailbox.id(), &pages, &PackColumn::ALL).await.unwrap();
    assert_eq!(packs.len(), pages.len());
    let (mut found, mut open) = (0, OpenPack::default());
    for (packs, records) in packs.iter().zip(records) {
        for column in PackColumn::ALL {
            packs.open(column, &mut open);
            for record in &records {
                let message = mail.message(record.message).await.unwrap();
                let Some(entry) = open.entry(record.message) else { continue };
                found += usize::from(column == PackColumn::Envelope);
                let summary = &message.summary;
                let header = mail.read(&message, (FORM.range)(summary).unwrap()).await.unwrap();
                match column {
                    PackColumn::Envelope => assert_eq!(entry, &summary.envelope),
                    PackColumn::EnvelopeUtf8 => assert_eq!(entry, &summary.envelope_utf8.clone().unwrap_or_default()),
                    PackColumn::Structure => assert_eq!(entry, &summary.body_structure),
                    PackColumn::StructureUtf8 => assert!(entry.is_empty()),
                    PackColumn::Texts => assert_eq!(PackedTexts::decode(entry), Some(PackedTexts::of(&message))),
                    PackColumn::Preview => assert_eq!(Some(entry), summary.preview.as_deref().map(str::as_bytes)),
                    PackColumn::Fields => assert_eq!(entry, header.to_ascii_uppercase()),
                    PackColumn::Header => assert_eq!(entry, header),
                }
            }
        }
    }
    found
}

fn keys(engine: &MemoryEngine) -> usize {
    engine.size().0
}

#[tokio::test]
async fn a_page_gets_packs_when_it_is_full() {
    let world = world(Arc::new(MemoryEngine::new()), PAGE_RECORDS).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    fill(&mail, &inbox, 0..PAGE_RECORDS - 1).await;
    pack_all(&world.store).await;
    assert_eq!(packed(&mail, &inbox).await, 0);
    fill(&mail, &inbox, 0..100).await;
    pack_all(&world.store).await;
    assert_eq!(packed(&mail, &inbox).await, PAGE_RECORDS);
    world.check().await;
}

#[tokio::test]
async fn readers_notice_pages_without_packs_after_a_restart() {
    let mut world = world(Arc::new(MemoryEngine::new()), PAGE_RECORDS).await;
    fill(&world.mail().await, &*world.inbox().await, 0..3 * PAGE_RECORDS).await;
    let store = world.restarted().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    assert!(!store.pack_next().await.unwrap(), "what was noted is forgotten");
    assert_eq!(packed(&mail, &inbox).await, 0);
    store.packs_wanted().await;
    pack_all(&store).await;
    assert_eq!(packed(&mail, &inbox).await, 3 * PAGE_RECORDS);
    assert!(!store.pack_next().await.unwrap(), "what is good is left alone");
    world.check().await;
}

#[tokio::test]
async fn packs_go_with_their_page_their_mailbox_and_their_account() {
    let engine = Arc::new(MemoryEngine::new());
    let world = world(engine.clone(), PAGE_RECORDS).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    fill(&mail, &inbox, 0..2 * PAGE_RECORDS).await;
    pack_all(&world.store).await;
    let before = keys(&engine);
    inbox.remove(&set("1:128")).await.unwrap();
    assert_eq!(packed(&mail, &inbox).await, PAGE_RECORDS);
    world.check().await;
    mail.create_mailbox(&name("other"), &[]).await.unwrap();
    let other = open(&mail, "other").await;
    inbox.copy(&UidSet::range(1, u32::MAX), &other).await.unwrap();
    pack_all(&world.store).await;
    assert_eq!(packed(&mail, &other).await, PAGE_RECORDS);
    mail.delete_mailbox(&name("other")).await.unwrap();
    pack_all(&world.store).await;
    world.check().await;
    assert!(keys(&engine) < before + PAGE_RECORDS * 3, "{} {before}", keys(&engine));
    drop((mail, inbox, other));
    world.store.delete_account(world.account).await.unwrap();
    world.store.reclaim().await.unwrap();
    assert_eq!(engine.partitions(Some(Partition::Global), 9).await.unwrap(), []);
}

#[tokio::test]
async fn packs_are_made_again_when_they_are_mostly_about_others() {
    let world = world(Arc::new(MemoryEngine::new()), PAGE_RECORDS).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    fill(&mail, &inbox, 0..3 * PAGE_RECORDS).await;
    pack_all(&world.store).await;
    // Two thin neighbours become one page, of which the packs know half.
    inbox.remove(&set("1:110,129:240")).await.unwrap();
    assert_eq!(packed(&mail, &inbox).await, 18 + PAGE_RECORDS);
    pack_all(&world.store).await;
    assert_eq!(packed(&mail, &inbox).await, 34 + PAGE_RECORDS);
    world.check().await;
    // And one that has hardly anything left has none.
    inbox.remove(&set("111:128,241:250")).await.unwrap();
    pack_all(&world.store).await;
    assert_eq!(packed(&mail, &inbox).await, PAGE_RECORDS);
    world.check().await;
}

#[tokio::test]
async fn a_page_that_goes_while_its_packs_are_in_line_takes_them_along() {
    let engine = Lagging::new(Arc::new(MemoryEngine::new()));
    let world = world(Arc::new(engine.clone()), PAGE_RECORDS).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    for packs_first in [true, false] {
        fill(&mail, &inbox, 0..2 * PAGE_RECORDS).await;
        let all = inbox.snapshot().uids();
        engine.hold();
        let pack = async { world.store.pack_next().await.unwrap() };
        let remove = async { inbox.remove(&all).await.unwrap() };
        let release = async {
            while engine.in_line() == 0 {
                tokio::task::yield_now().await;
            }
            tokio::task::yield_now().await;
            engine.release();
        };
        match packs_first {
            true => _ = tokio::join!(pack, remove, release),
            false => _ = tokio::join!(remove, pack, release),
        }
        pack_all(&world.store).await;
        world.check().await;
    }
}

#[tokio::test]
async fn whatever_becomes_of_the_commit_readers_see_the_same() {
    for fault in [Fault::Refused, Fault::Conflict, Fault::LostBefore, Fault::LostAfter] {
        let engine = Faulty::new(Arc::new(MemoryEngine::new()));
        let world = world(Arc::new(engine.clone()), PAGE_RECORDS).await;
        let (mail, inbox) = (world.mail().await, world.inbox().await);
        fill(&mail, &inbox, 0..PAGE_RECORDS).await;
        engine.fail(0, fault);
        let outcome = world.store.pack_next().await;
        assert_eq!(outcome.is_ok(), fault == Fault::Conflict, "{fault:?}");
        let there = packed(&mail, &inbox).await;
        assert_eq!(there, if fault == Fault::LostAfter { PAGE_RECORDS } else { 0 }, "{fault:?}");
        world.check().await;
        engine.recover();
        pack_all(&world.store).await;
        assert_eq!(packed(&mail, &inbox).await, PAGE_RECORDS, "{fault:?}");
        world.check().await;
        // Nor is the mailbox held up by it.
        append(&mail, &inbox, "later", "").await;
    }
}

#[tokio::test]
async fn what_is_too_large_is_left_out_and_the_rest_is_not() {
    let world = world(Arc::new(MemoryEngine::new()), 1).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    fill(&mail, &inbox, 0..3).await;
    let mut large = letter(&mail, 3).await;
    large.summary.envelope = vec![b'x'; PACK_ENTRY_BYTES + 1].into();
    inbox.append(vec![large]).await.unwrap();
    assert_eq!(packed(&mail, &inbox).await, 0);
    pack_all(&world.store).await;
    assert_eq!(packed(&mail, &inbox).await, 3);
    assert!(!world.store.pack_next().await.unwrap(), "it would be no better made again");
    world.check().await;
}

#[tokio::test]
async fn a_damaged_pack_is_as_one_that_is_missing_and_is_found() {
    let engine = Arc::new(MemoryEngine::new());
    let world = world(engine.clone(), PAGE_RECORDS).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    fill(&mail, &inbox, 0..PAGE_RECORDS).await;
    pack_all(&world.store).await;
    let range = columba_store::Key(vec![0x20])..columba_store::Key(vec![0x21]);
    let partition = Partition::Account(AccountId(world.account.0));
    let values = engine.scan(partition, range, 99).await.unwrap();
    assert_eq!(values.len(), PackColumn::ALL.len());
    for (key, value) in values {
        let mut short = Batch::new(partition);
        short.put(key.clone(), value.slice(..value.len() - 1));
        engine.commit(short).await.unwrap();
        let findings = world.report().await.findings;
        assert!(findings.len() == 1 && findings[0].text.contains("pack"), "{findings:?}");
        packed(&mail, &inbox).await;
        let mut whole = Batch::new(partition);
        whole.put(key, value);
        engine.commit(whole).await.unwrap();
    }
    // One that says something else is a finding, too: of another page, so that all of it is wrong but well made.
    fill(&mail, &inbox, 500..500 + PAGE_RECORDS).await;
    pack_all(&world.store).await;
    world.check().await;
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Remove(u32, u32),
    Move(u32, u32),
    Copy(u32, u32),
    Pack,
    Read,
    Reclaim,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = || (1u32..400, 0u32..200);
    let step = prop_oneof![
        3 => (1usize..150).prop_map(Step::Append),
        2 => span().prop_map(|(low, more)| Step::Remove(low, more)),
        1 => span().prop_map(|(low, more)| Step::Move(low, more)),
        1 => span().prop_map(|(low, more)| Step::Copy(low, more / 4)),
        3 => Just(Step::Pack),
        3 => Just(Step::Read),
        1 => Just(Step::Reclaim),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..24)
}

async fn play(steps: Vec<Step>, packed_page: usize) {
    let mut world = world(Arc::new(MemoryEngine::new()), packed_page).await;
    world.mail().await.create_mailbox(&name("other"), &[]).await.unwrap();
    let mut n = 0;
    for step in steps {
        let (mail, inbox) = (world.mail().await, world.inbox().await);
        let other = open(&mail, "other").await;
        let span = |low: u32, more: u32| UidSet::range(low, low + more);
        match step {
            Step::Append(count) => {
                fill(&mail, &inbox, n..n + count).await;
                n += count;
            }
            Step::Remove(low, more) => _ = inbox.remove(&span(low, more)).await.unwrap(),
            Step::Move(low, more) => _ = inbox.move_to(&span(low, more), &other).await.unwrap(),
            Step::Copy(low, more) => _ = inbox.copy(&span(low, more), &inbox).await.unwrap(),
            Step::Pack => _ = world.store.pack_next().await.unwrap(),
            Step::Read => {
                packed(&mail, &inbox).await;
                packed(&mail, &other).await;
            }
            Step::Reclaim => {
                world.clock.pass(200_000);
                world.store.reclaim().await.unwrap();
            }
            Step::Restart => {
                drop((mail, inbox, other));
                world.restarted().await;
            }
        }
    }
    packed(&world.mail().await, &*world.inbox().await).await;
    pack_all(&world.store).await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    if packed_page == 1 && inbox.snapshot().head.exists > 0 {
        // Then nothing stays out for long.
        packed(&mail, &inbox).await;
        pack_all(&world.store).await;
        let there = packed(&mail, &inbox).await;
        assert!(there * 4 >= inbox.snapshot().head.exists as usize * 3, "{there} of {}", inbox.snapshot().head.exists);
    }
    world.check().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn packs_say_what_messages_say(steps in steps(), growing: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(play(steps, if growing { 1 } else { PAGE_RECORDS }));
    }
}
