//! A client that comes back after many changes: with QRESYNC, with CONDSTORE, and by reading all flags again.

use super::Scenario;
use crate::Failure;
use crate::mail::Shape;
use crate::stage::{READER, Stage, by_median, by_pieces, number_after};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "resync",
    about: "what a client needs to know after 10,000 changes: QRESYNC, CHANGEDSINCE, or all flags",
    run: |stage| Box::pin(resync(stage)),
}];

/// Where a client left the mailbox.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    validity: u64,
    modseq: u64,
}

async fn resync(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let messages = stage.sizes.messages;
    let changed = stage.sizes.changed.min(messages);
    let variant = |how: &str| format!("{how}, {changed} changes of {messages} messages");
    let wanted: Vec<&str> =
        ["qresync", "changedsince", "all flags"].into_iter().filter(|how| stage.wants(&variant(how))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Real, messages).await?;
    let before = change(stage, &mailbox, messages, changed).await?;
    for how in wanted {
        let mut client = stage.enter(READER).await?;
        client.command("ENABLE QRESYNC").await?;
        let select = format!("SELECT {mailbox}");
        let (commands, fetches) = match how {
            "qresync" => (vec![format!("{select} (QRESYNC ({} {}))", before.validity, before.modseq)], changed),
            "changedsince" => {
                (vec![select, format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {})", before.modseq)], changed)
            }
            _ => (vec![select, "UID FETCH 1:* (FLAGS)".to_owned()], messages),
        };
        let work = async || {
            let mut fetched = 0;
            let mut last = None;
            for command in &commands {
                let answer = client.ask(command).await?;
                fetched += answer.fetches;
                last = Some(answer);
            }
            client.command("UNSELECT").await?;
            match last {
                Some(answer) if fetched == fetches => Ok(answer),
                _ => Err(format!("{fetched} messages are told of, not {fetches}").into()),
            }
        };
        let row = stage.repeat(&variant(how), "resyncs", 1, work).await?;
        stage.add(by_median(row));
        client.logout().await?;
    }
    Ok(())
}

/// Changes flags of messages all over the mailbox, and gives its state from before.
async fn change(stage: &Stage<'_>, mailbox: &str, messages: u64, changed: u64) -> Result<State, Failure> {
    let mut client = stage.enter(READER).await?;
    let step = usize::try_from(messages / changed)?.max(1);
    let numbers = || (1..=messages).step_by(step).take(changed as usize);
    // Those that have the flag from a run before must change, too.
    client.command(&format!("SELECT {mailbox}")).await?;
    by_pieces(&mut client, "STORE {} -FLAGS.SILENT (\\Draft)", numbers()).await?;
    client.command("UNSELECT").await?;
    let mut before = State::default();
    client
        .ask_with(&format!("SELECT {mailbox} (CONDSTORE)"), |line| {
            before.validity = number_after(line, "[UIDVALIDITY ").unwrap_or(before.validity);
            before.modseq = number_after(line, "[HIGHESTMODSEQ ").unwrap_or(before.modseq);
        })
        .await?;
    if before.validity == 0 || before.modseq == 0 {
        return Err("SELECT tells no UIDVALIDITY or HIGHESTMODSEQ".into());
    }
    by_pieces(&mut client, "STORE {} +FLAGS.SILENT (\\Draft)", numbers()).await?;
    client.logout().await?;
    Ok(before)
}
