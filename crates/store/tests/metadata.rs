//! Annotations (RFC 5464): limits, and what becomes of them with their mailbox.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use columba_store::{Annotated, StoreError};
use columba_types::EntryName;
use columba_types::limits::{METADATA_BYTES, METADATA_ENTRIES, METADATA_VALUE_BYTES};
use support::*;

fn entry(text: &str) -> EntryName {
    EntryName::new(text).unwrap()
}

fn set(text: &str, value: &'static str) -> (EntryName, Option<Bytes>) {
    (entry(text), Some(Bytes::from_static(value.as_bytes())))
}

// RFC 5464 §4.1
#[tokio::test]
async fn annotations_go_where_their_mailbox_goes() {
    let world = World::new().await;
    let mail = world.mail().await;
    let id = mail.create_mailbox(&name("a/b"), &[]).await.unwrap();
    let of = Annotated::Mailbox(id);
    mail.set_metadata(of, &[set("/private/Comment", "x"), set("/shared/comment", "")]).await.unwrap();
    mail.set_metadata(Annotated::Server, &[set("/private/x", "server")]).await.unwrap();
    mail.rename_mailbox(&name("a"), &name("c")).await.unwrap();
    let all = mail.metadata(of).await.unwrap();
    assert_eq!(all.get(&entry("/PRIVATE/comment")).unwrap(), "x");
    assert_eq!(all.keys().next().unwrap().as_str(), "/private/Comment");
    // It survives in storage.
    let reopened = world.reopened().await.open_account(world.account).await.unwrap();
    assert_eq!(reopened.metadata(of).await.unwrap(), all);
    drop(reopened);
    world.check().await;
    mail.delete_mailbox(&name("c/b")).await.unwrap();
    assert!(mail.metadata(of).await.unwrap().is_empty());
    assert_eq!(mail.set_metadata(of, &[set("/private/x", "y")]).await, Err(StoreError::NotFound));
    let inbox = Annotated::Mailbox(mail.tree().mailbox(&name("INBOX")).unwrap());
    mail.set_metadata(inbox, &[set("/private/comment", "in")]).await.unwrap();
    mail.rename_mailbox(&name("INBOX"), &name("old")).await.unwrap();
    let old = Annotated::Mailbox(mail.tree().mailbox(&name("old")).unwrap());
    for (of, count) in [(inbox, 1), (old, 1), (of, 0), (Annotated::Server, 1)] {
        assert_eq!(mail.metadata(of).await.unwrap().len(), count, "{of:?}");
    }
    world.check().await;
}

// limits::METADATA_VALUE_BYTES, METADATA_ENTRIES, METADATA_BYTES
#[tokio::test]
async fn annotations_are_bounded_and_set_together() {
    let world = World::new().await;
    let mail = world.mail().await;
    let of = Annotated::Server;
    let big = |n: usize| Some(Bytes::from(vec![b'x'; n]));
    let too_big = [set("/private/a", "x"), (entry("/private/b"), big(METADATA_VALUE_BYTES + 1))];
    assert_eq!(mail.set_metadata(of, &too_big).await, Err(StoreError::TooBig));
    assert!(mail.metadata(of).await.unwrap().is_empty());
    let many: Vec<_> = (0..METADATA_ENTRIES).map(|n| (entry(&format!("/private/e{n}")), big(1))).collect();
    mail.set_metadata(of, &many).await.unwrap();
    assert!(matches!(mail.set_metadata(of, &[set("/private/z", "x")]).await, Err(StoreError::Limit(_))));
    // One may come where one goes.
    mail.set_metadata(of, &[set("/private/z", "x"), (entry("/private/e0"), None)]).await.unwrap();
    let large: Vec<_> = (1..=METADATA_BYTES / METADATA_VALUE_BYTES)
        .map(|n| (entry(&format!("/private/e{n}")), big(METADATA_VALUE_BYTES)))
        .collect();
    assert!(matches!(mail.set_metadata(of, &large).await, Err(StoreError::Limit(_))));
    let none: Vec<_> = mail.metadata(of).await.unwrap().into_keys().map(|name| (name, None)).collect();
    mail.set_metadata(of, &none).await.unwrap();
    assert!(mail.metadata(of).await.unwrap().is_empty());
    world.check().await;
}

#[tokio::test]
async fn changes_are_remembered_for_others() {
    let world = World::new().await;
    let mail = world.mail().await;
    let before = mail.last_metadata_change();
    let one = mail.set_metadata(Annotated::Server, &[set("/private/b", "x"), set("/private/a", "y")]).await.unwrap();
    assert!(one > before && mail.last_metadata_change() == one);
    let changes = mail.metadata_changes(before);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].entries, [entry("/private/a"), entry("/private/b")]);
    assert!(mail.metadata_changes(one).is_empty());
    world.check().await;
}
