//! SEARCH by what records have, by header fields and by text. How many messages are found is known beforehand.

use super::Scenario;
use crate::Failure;
use crate::mail::{Mail, RARE_WORD, Shape};
use crate::stage::{Stage, by_median};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "search",
    about: "SEARCH by flag, date, header field, BODY and TEXT",
    run: |stage| Box::pin(search(stage)),
}];

async fn search(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let messages = stage.sizes.messages;
    let middle = messages / 2;
    let keys = [
        ("flag", "FLAGGED".to_owned(), Mail::flagged(messages)),
        ("date", format!("BEFORE {}", Mail::day(middle)), Mail::before_day_of(middle)),
        ("sent date", format!("SENTBEFORE {}", Mail::day(middle)), Mail::before_day_of(middle)),
        ("subject", format!("SUBJECT \"{}\"", Mail::project(7)), Mail::of_project(messages, 7)),
        ("message-id", format!("HEADER MESSAGE-ID \"{}\"", Mail::message_id(middle)), 1),
        ("body", format!("BODY \"{RARE_WORD}\""), Mail::with_rare_word(messages)),
        ("text", format!("TEXT \"{RARE_WORD}\""), Mail::with_rare_word(messages)),
    ];
    for (name, key, found) in keys {
        let variant = format!("{name}, {messages} messages");
        if !stage.wants(&variant) {
            continue;
        }
        let mailbox = stage.mailbox(Shape::Real, messages).await?;
        let mut client = stage.select(&mailbox).await?;
        let command = format!("SEARCH {key}");
        let work = async || client.ask(&command).await?.has("messages found", |answer| answer.found, found);
        match stage.repeat(&variant, "searches", 1, work).await {
            Ok(row) => stage.add(by_median(row)),
            Err(error) => stage.fail(&format!("{variant}: {error}")),
        }
        client.logout().await?;
    }
    Ok(())
}
