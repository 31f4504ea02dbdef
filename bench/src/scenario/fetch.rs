//! FETCH of everything in a mailbox, as clients ask, and of bodies beside a plain copy over loopback.

use super::Scenario;
use crate::Failure;
use crate::client::Answer;
use crate::mail::Shape;
use crate::stage::{Stage, by_octets};

use super::ceiling::loopback;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "fetch-flags",
        about: "FETCH 1:* (UID FLAGS)",
        run: |stage| Box::pin(all(stage, "FETCH 1:* (UID FLAGS)", 0)),
    },
    Scenario {
        name: "fetch-envelope",
        about: "FETCH 1:* ENVELOPE",
        run: |stage| Box::pin(all(stage, "FETCH 1:* ENVELOPE", 0)),
    },
    Scenario {
        name: "fetch-bodystructure",
        about: "FETCH 1:* BODYSTRUCTURE",
        run: |stage| Box::pin(all(stage, "FETCH 1:* BODYSTRUCTURE", 0)),
    },
    Scenario {
        name: "fetch-headers-thunderbird",
        about: "flags, size and the header fields Thunderbird asks for, of all messages",
        run: |stage| Box::pin(all(stage, THUNDERBIRD, 1)),
    },
    Scenario {
        name: "fetch-headers-mutt",
        about: "flags, dates, size and the header fields mutt asks for, of all messages",
        run: |stage| Box::pin(all(stage, MUTT, 1)),
    },
    Scenario { name: "fetch-bodies", about: "BODY.PEEK[] of 1,000 messages", run: |stage| Box::pin(bodies(stage)) },
    Scenario { name: "fetch-large", about: "BODY.PEEK[] of one message of 50 MB", run: |stage| Box::pin(large(stage)) },
];

const THUNDERBIRD: &str = "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID \
                           Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])";
const MUTT: &str = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC \
                    MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES LIST-POST LIST-SUBSCRIBE \
                    LIST-UNSUBSCRIBE X-LABEL X-ORIGINAL-TO)])";

async fn all(stage: &mut Stage<'_>, command: &str, literals: u64) -> Result<(), Failure> {
    let messages = stage.sizes.messages;
    let variant = format!("{messages} messages");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Real, messages).await?;
    let mut client = stage.select(&mailbox).await?;
    // Strings of an envelope may come as literals; header fields have to.
    let least = messages * literals;
    let work = async || {
        let answer = client.ask(command).await?.has_fetches(messages)?;
        if answer.literals < least { Err("header fields are missing".into()) } else { Ok(answer) }
    };
    let row = stage.repeat(&variant, "messages", messages, work).await?;
    stage.add(row);
    client.logout().await
}

async fn bodies(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let wanted = stage.sizes.bodies.min(stage.sizes.messages);
    let variant = format!("{wanted} messages");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let octets = (0..wanted).map(|number| stage.mail.message(Shape::Real, number).octets.len() as u64).sum();
    let mailbox = stage.mailbox(Shape::Real, stage.sizes.messages).await?;
    read(stage, &variant, &mailbox, wanted, octets).await
}

async fn large(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let size = stage.sizes.large;
    let variant = format!("{} MB", size / 1_000_000);
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Attached(size), 1).await?;
    read(stage, &variant, &mailbox, 1, size as u64).await
}

async fn read(stage: &mut Stage<'_>, variant: &str, mailbox: &str, messages: u64, octets: u64) -> Result<(), Failure> {
    let mut client = stage.select(mailbox).await?;
    let command = format!("FETCH 1:{messages} BODY.PEEK[]");
    let work = async || {
        let answer: Answer = client.ask(&command).await?.has_fetches(messages)?;
        answer.has("octets of bodies", |answer| answer.literal_octets, octets)
    };
    let mut row = by_octets(stage.repeat(variant, "messages", messages, work).await?);
    let copy = loopback(octets.max(200_000_000)).await?;
    row.more.insert("loopback_mb_per_second".to_owned(), copy);
    row.more.insert("of_loopback".to_owned(), row.figure.value / copy);
    stage.add(row);
    client.logout().await
}
