//! Telling a client what has changed in its selected mailbox since it was told last: the one road on which EXPUNGE,
//! EXISTS, RECENT, FLAGS and unsolicited FETCH travel, whoever made the change.

use columba_store::{Record, Snapshot};
use columba_types::{SystemFlags, UidSet, limits};
use columba_wire::{Code, PrintMode, Printer, Status};

use crate::channel::{Channel, Ended};
use crate::reply::Failure;
use crate::state::{Enabled, Selected, Told};
use crate::view::News;

/// How to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    /// Whether EXPUNGE may be told now (RFC 9051 §7.5.1).
    pub(crate) expunges: bool,
    /// Whether FETCH has to carry the UID: after a UID command (RFC 9051 §6.4.9); with rev2 it always does.
    pub(crate) uid: bool,
    /// Whether changes of flags are told; without NOTIFY they always are.
    pub(crate) flags: bool,
}

/// Prints all that is new to the client and may be told. `told` is what the running command has told already.
pub(crate) async fn sync(
    selected: &mut Selected,
    channel: &mut Channel<'_>,
    enabled: Enabled,
    how: Sync,
    told: &Told,
) -> Result<(), Failure> {
    let mode = enabled.print_mode();
    let since = selected.view.told();
    let catch_up = selected.mailbox()?.catch_up(since);
    let snapshot = catch_up.snapshot;
    let known_to = selected.view.seen_to();
    let mut arrived = false;
    if snapshot.head.highest_modseq > since {
        let expunged = catch_up.expunged.unwrap_or_else(|| selected.view.announced().difference(&snapshot.uids()));
        let last_uid = snapshot.head.uid_next.value() - 1;
        let above = UidSet::range(known_to.saturating_add(1), last_uid);
        let new: UidSet = snapshot.records_in(&above).map(|record| record.uid).collect();
        let news = News { expunged: &expunged, arrived: &new, last_uid, modseq: snapshot.head.highest_modseq };
        arrived = selected.view.absorb(&news);
    }
    if how.expunges && selected.view.has_pending() {
        tell_expunges(selected, channel, enabled).await?;
    }
    if arrived {
        tell_arrivals(selected, &mut channel.printer(mode), mode)?;
    }
    tell_keywords(selected, &snapshot, &mut channel.printer(mode));
    let flags_since = if how.flags { selected.flags_untold.take().unwrap_or(since) } else { since };
    if how.flags && snapshot.head.highest_modseq > flags_since {
        for record in snapshot.changed_since(flags_since).filter(|r| r.uid.value() <= known_to) {
            if record.modseq <= told.up_to && told.uids.contains(record.uid.value()) {
                continue;
            }
            tell_flags(selected, &snapshot, record, &mut channel.printer(mode), enabled, how.uid);
            channel.relieve().await?;
        }
    } else if snapshot.head.highest_modseq > since {
        let is_untold = |record: &Record| {
            let uid = record.uid.value();
            let told = told.made_seen.contains(uid) || record.modseq <= told.up_to && told.uids.contains(uid);
            uid <= known_to && !told
        };
        if snapshot.changed_since(since).any(is_untold) {
            selected.flags_untold.get_or_insert(since);
        }
        tell_made_seen(selected, &snapshot, channel, enabled, told).await?;
    }
    if enabled.condstore && selected.complete() < selected.view.told() {
        // RFC 7162 §3.2: mod-sequences told so far may be above those of what cannot be told yet.
        let complete = Code::HighestModSeq(selected.complete());
        channel.printer(mode).untagged(Status::Ok, Some(&complete), "Everything is told up to here");
    }
    Ok(())
}

/// What only the client's own command has to say, while nothing else is wanted (RFC 5465 §3.1, SELECTED NONE): the
/// messages it expunged, and those it made \Seen. All else stays to be told.
pub(crate) async fn tell_own(
    selected: &mut Selected,
    channel: &mut Channel<'_>,
    enabled: Enabled,
    expunged: &UidSet,
    told: &Told,
) -> Result<(), Failure> {
    if !expunged.is_empty() {
        let (last_uid, modseq) = (selected.view.seen_to(), selected.view.told());
        selected.view.absorb(&News { expunged, arrived: &UidSet::new(), last_uid, modseq });
        tell_expunges(selected, channel, enabled).await?;
    }
    let snapshot = selected.mailbox()?.snapshot();
    tell_made_seen(selected, &snapshot, channel, enabled, told).await
}

async fn tell_made_seen(
    selected: &Selected,
    snapshot: &Snapshot,
    channel: &mut Channel<'_>,
    enabled: Enabled,
    told: &Told,
) -> Result<(), Failure> {
    for record in snapshot.records_in(&told.made_seen) {
        tell_flags(selected, snapshot, record, &mut channel.printer(enabled.print_mode()), enabled, true);
        channel.relieve().await?;
    }
    Ok(())
}

async fn tell_expunges(selected: &mut Selected, channel: &mut Channel<'_>, enabled: Enabled) -> Result<(), Ended> {
    if enabled.vanished() {
        let gone = selected.view.take_vanished();
        return tell_vanished(channel, enabled.print_mode(), false, &gone).await;
    }
    for seq in selected.view.take_expunges() {
        channel.printer(enabled.print_mode()).expunge(seq);
        channel.relieve().await?;
    }
    Ok(())
}

/// VANISHED, in several responses if the set has many ranges.
pub(crate) async fn tell_vanished(
    channel: &mut Channel<'_>,
    mode: PrintMode,
    earlier: bool,
    uids: &UidSet,
) -> Result<(), Ended> {
    for ranges in uids.ranges().chunks(limits::VANISHED_RANGES) {
        channel.printer(mode).vanished(earlier, &UidSet::from_ranges(ranges.to_vec()));
        channel.relieve().await?;
    }
    Ok(())
}

fn tell_arrivals(selected: &mut Selected, printer: &mut Printer<'_>, mode: PrintMode) -> Result<(), Failure> {
    printer.exists(selected.view.exists());
    if !mode.rev2 {
        selected.claim_recent()?;
        printer.recent(selected.recent_count());
    }
    Ok(())
}

/// FLAGS again when a keyword is new, before any FETCH that uses it (RFC 9051 §7.3.6).
pub(crate) fn tell_keywords(selected: &mut Selected, snapshot: &Snapshot, printer: &mut Printer<'_>) {
    if selected.keywords == snapshot.head.keywords {
        return;
    }
    selected.keywords = snapshot.head.keywords.clone();
    print_flags(selected, printer);
}

/// FLAGS and PERMANENTFLAGS as the mailbox is now.
pub(crate) fn print_flags(selected: &Selected, printer: &mut Printer<'_>) {
    let mut names: Vec<&str> = SystemFlags::ALL.iter().map(|(_, name)| *name).collect();
    names.extend(selected.keywords.iter().filter(|k| !k.as_str().is_empty()).map(|keyword| keyword.as_str()));
    printer.flags(&names);
    let permanent = if selected.read_only { String::new() } else { format!("{} \\*", names.join(" ")) };
    let text = if selected.read_only { "Read-only: no flag can be changed" } else { "These flags are kept" };
    printer.untagged(Status::Ok, Some(&Code::PermanentFlags(permanent)), text);
}

/// `* n FETCH (FLAGS (…))`, with UID and MODSEQ where they belong.
pub(crate) fn tell_flags(
    selected: &Selected,
    snapshot: &Snapshot,
    record: &Record,
    printer: &mut Printer<'_>,
    enabled: Enabled,
    uid: bool,
) {
    if !tell_begin(selected, record, printer, enabled, uid) {
        return;
    }
    fetch_flags(selected, snapshot, record, printer, enabled.print_mode());
    if enabled.condstore {
        printer.fetch_modseq(record.modseq);
    }
    printer.fetch_end();
}

/// `* n FETCH (MODSEQ (…))`, for a client that knows the flags because it set them (RFC 7162 §3.1.3).
pub(crate) fn tell_modseq(selected: &Selected, record: &Record, printer: &mut Printer<'_>, enabled: Enabled) {
    if tell_begin(selected, record, printer, enabled, false) {
        printer.fetch_modseq(record.modseq);
        printer.fetch_end();
    }
}

/// Begins a FETCH that was not asked for. RFC 9051 App. E 21: rev2 gives the UID in each; RFC 7162 §3.2.4: so does a server
/// that has QRESYNC, to a client that wants mod-sequences. `false` if the client does not know of the message.
pub(crate) fn tell_begin(
    selected: &Selected,
    record: &Record,
    printer: &mut Printer<'_>,
    enabled: Enabled,
    uid: bool,
) -> bool {
    let Some(seq) = selected.view.seq(record.uid) else { return false };
    printer.fetch_begin(seq, record.uid);
    if !enabled.uid_only && (uid || enabled.rev2 || enabled.condstore) {
        printer.fetch_uid(record.uid);
    }
    true
}

/// The FLAGS item of one message, with \Recent for rev1.
pub(crate) fn fetch_flags(
    selected: &Selected,
    snapshot: &Snapshot,
    record: &Record,
    printer: &mut Printer<'_>,
    mode: PrintMode,
) {
    let recent = !mode.rev2 && selected.recent.contains(record.uid.value());
    let keywords = record.flags.keywords.indices().filter_map(|bit| snapshot.head.keywords.get(bit));
    printer.fetch_flags(recent, record.flags.system, keywords.map(|keyword| keyword.as_str()));
}

impl Selected {
    /// Takes the messages that no other session has been told are \Recent (RFC 3501 §2.3.2).
    pub(crate) fn claim_recent(&mut self) -> Result<(), Failure> {
        let mailbox = self.mailbox()?;
        let claimed = match self.read_only {
            // RFC 3501 §6.3.2: EXAMINE leaves them \Recent for the next one who selects.
            true => UidSet::range(mailbox.recent_from().value(), self.view.seen_to()),
            false => mailbox.claim_recent(),
        };
        if !claimed.is_empty() {
            self.recent = self.recent.union(&claimed);
        }
        Ok(())
    }

    /// How many of the messages the client knows of are \Recent to it.
    pub(crate) fn recent_count(&self) -> u32 {
        match self.recent.is_empty() {
            true => 0,
            false => self.recent.intersection(&self.view.announced()).len() as u32,
        }
    }
}
