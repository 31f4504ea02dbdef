//! What one who follows an account hears: every published change, once, in order, and nothing while nobody follows.
#![allow(clippy::unwrap_used)]

mod support;

use columba_store::{Followed, MailboxNews, News, TreeNews, UidSpan};
use support::*;

fn mailbox(followed: Followed) -> MailboxNews {
    assert!(!followed.lost);
    match &followed.news[..] {
        [News::Mailbox(news)] => *news,
        other => panic!("{other:?}"),
    }
}

fn tree(followed: Followed) -> TreeNews {
    match &followed.news[..] {
        [News::Tree(news)] => TreeNews::clone(news),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn changes_of_messages_are_heard() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    append(&mail, &inbox, "before", "").await;
    let mut follower = mail.follow();
    assert_eq!(follower.take(), Followed::default());
    append(&mail, &inbox, "one", "").await;
    follower.watch().changed().await;
    let span = |low, high, count| Some(UidSpan { low, high, count });
    let news = mailbox(follower.take());
    let quiet = MailboxNews { mailbox: inbox.id(), arrived: None, expunged: None, flags: false, unseen: false };
    assert_eq!(news, MailboxNews { arrived: span(2, 2, 1), unseen: true, ..quiet });
    assert_eq!(follower.take(), Followed::default());

    inbox.store(&set("1:2"), add("\\Seen"), None).await.unwrap();
    assert_eq!(mailbox(follower.take()), MailboxNews { flags: true, unseen: true, ..quiet });
    inbox.store(&set("1"), add("\\Deleted"), None).await.unwrap();
    assert_eq!(mailbox(follower.take()), MailboxNews { flags: true, ..quiet });
    inbox.store(&set("1"), add("\\Deleted"), None).await.unwrap();
    assert_eq!(follower.take(), Followed::default(), "nothing changed");
    inbox.expunge(None).await.unwrap();
    assert_eq!(mailbox(follower.take()), MailboxNews { expunged: span(1, 1, 1), ..quiet });

    let sent = open(&mail, "Sent").await;
    inbox.move_to(&set("2"), &sent).await.unwrap();
    let moved = follower.take().news;
    let there = MailboxNews { mailbox: sent.id(), arrived: span(1, 1, 1), ..quiet };
    assert_eq!(moved.len(), 2);
    assert!(moved.contains(&News::Mailbox(MailboxNews { expunged: span(2, 2, 1), ..quiet })));
    assert!(moved.contains(&News::Mailbox(there)));
    world.check().await;
}

#[tokio::test]
async fn changes_of_names_are_heard() {
    let world = World::new().await;
    let mail = world.mail().await;
    let mut follower = mail.follow();
    mail.create_mailbox(&name("a/b"), &[]).await.unwrap();
    assert_eq!(tree(follower.take()).created, [name("a"), name("a/b")]);
    mail.subscribe(&name("a/b"), true).await.unwrap();
    assert_eq!(tree(follower.take()).subscriptions, [name("a/b")]);
    mail.subscribe(&name("a/b"), true).await.unwrap();
    assert_eq!(follower.take(), Followed::default());
    mail.rename_mailbox(&name("a"), &name("c")).await.unwrap();
    let renamed = TreeNews { renamed: vec![(name("a"), name("c"))], ..TreeNews::default() };
    assert_eq!(tree(follower.take()), renamed);
    mail.delete_mailbox(&name("c/b")).await.unwrap();
    assert_eq!(tree(follower.take()).deleted, [name("c/b")]);
    // RFC 9051 §6.3.6: renaming INBOX makes a mailbox and moves messages.
    let inbox = world.inbox().await;
    append(&mail, &inbox, "x", "").await;
    follower.take();
    mail.rename_mailbox(&name("INBOX"), &name("old")).await.unwrap();
    let news = follower.take().news;
    assert!(matches!(&news[0], News::Tree(news) if news.created == [name("old")]), "{news:?}");
    assert_eq!(news.len(), 3);
    world.check().await;
}

#[tokio::test]
async fn nothing_is_kept_while_nobody_follows() {
    let world = World::new().await;
    let (mail, inbox) = (world.mail().await, world.inbox().await);
    let mut first = mail.follow();
    append(&mail, &inbox, "one", "").await;
    let mut second = mail.follow();
    append(&mail, &inbox, "two", "").await;
    assert_eq!((first.take().news.len(), second.take().news.len()), (2, 1));
    drop((first, second));
    append(&mail, &inbox, "three", "").await;
    let mut third = mail.follow();
    assert_eq!(third.take(), Followed::default());
    append(&mail, &inbox, "four", "").await;
    assert_eq!(mailbox(third.take()).arrived.unwrap().low, 4);
    world.check().await;
}
