//! `columba verify`

use super::{reach, unexpected};
use crate::admin::{Missing, Reply, Request, Severity, Verified};
use crate::cli::Place;
use crate::failure::Failure;
use crate::output::{Output, count, counted, seconds, size};
use crate::progress::Progress;

pub(super) async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let mut connection = reach(place, Missing::Refuse).await?;
    let mut progress = Progress::begin("checking", None, output);
    let result = async {
        connection.begin(&Request::Verify).await?;
        loop {
            match connection.reader.reply().await? {
                Reply::Verifying { messages, bytes, .. } => progress.at(messages, bytes),
                Reply::Verified(verified) => return Ok(verified),
                _ => return Err(unexpected()),
            }
        }
    }
    .await;
    let took = progress.end();
    connection.close().await;
    let verified = result?;
    let text = text(&verified) + &format!(" It took {}.", seconds(took));
    output.print(&verified, &text);
    let bad = verified.findings.iter().filter(|finding| finding.severity != Severity::Note).count() as u64;
    match bad + if bad > 0 { verified.more_findings } else { 0 } {
        0 => Ok(()),
        bad => Err(Failure::new(format!("{} not as it should be", counted(bad, "thing is", "things are")))
            .hint("keep a copy of the data directory as it is before anything else is done with it")),
    }
}

fn text(verified: &Verified) -> String {
    let mut text = String::new();
    for finding in &verified.findings {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "ERROR",
        };
        text.push_str(&format!("{severity}: {}\n", finding.text));
    }
    if verified.more_findings > 0 {
        text.push_str(&format!("and {} more\n", count(verified.more_findings)));
    }
    text + &format!(
        "Checked {}, {}, {} ({}); {} can be given back.",
        counted(verified.accounts, "account", "accounts"),
        counted(verified.mailboxes, "mailbox", "mailboxes"),
        counted(verified.messages, "message", "messages"),
        size(verified.bytes),
        size(verified.reclaimable_bytes),
    )
}
