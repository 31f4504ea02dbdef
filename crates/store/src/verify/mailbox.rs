//! Checks one mailbox: its head against its pages and its history.

use columba_types::limits::{KEYWORDS_PER_MAILBOX, LOG_EXPUNGED_UIDS, LOG_PAGE_RANGES};
use columba_types::{KeywordBits, MailboxId, ModSeq, UidSet};

use super::account::AccountCheck;
use crate::codec::small::TreeState;
use crate::log::LogPage;
use crate::page::Page;
use crate::snapshot::Head;

/// What is stored of one mailbox.
#[derive(Debug, Default)]
pub(super) struct MailboxParts {
    pub(super) head: Option<Head>,
    /// By their keys.
    pub(super) pages: Vec<Page>,
    /// By their keys.
    pub(super) log: Vec<LogPage>,
}

/// Checks a mailbox; its UIDVALIDITY.
pub(super) fn check_mailbox(
    check: &mut AccountCheck<'_>,
    id: MailboxId,
    parts: &MailboxParts,
    state: TreeState,
) -> Option<u32> {
    let Some(head) = &parts.head else {
        check.error(format_args!("there are pages or history of {id}, which is no mailbox"));
        return None;
    };
    check.report.mailboxes += 1;
    if head.uid_validity.value() > state.last_uid_validity {
        check.error(format_args!("{id} has a UIDVALIDITY that was never given"));
    }
    check_pages(check, head, &parts.pages);
    check_counts(check, head, &parts.pages);
    check_log(check, head, parts);
    Some(head.uid_validity.value())
}

fn check_pages(check: &mut AccountCheck<'_>, head: &Head, pages: &[Page]) {
    let id = head.mailbox;
    let known = match head.keywords.len() {
        KEYWORDS_PER_MAILBOX => KeywordBits(u128::MAX),
        n => KeywordBits((1 << n) - 1),
    };
    for (at, page) in pages.iter().enumerate() {
        let next = pages.get(at + 1).map_or(head.uid_next.value(), |next| next.key);
        if page.last() >= next {
            check.error(format_args!("page {} of {id} reaches into the next one, or beyond UIDNEXT", page.key));
        }
        for record in &page.records {
            check.report.records += 1;
            if record.modseq > head.highest_modseq {
                check.error(format_args!("UID {} of {id} has a modseq above the highest", record.uid));
            }
            if !known.contains(record.flags.keywords) {
                check.error(format_args!("UID {} of {id} has keywords that are not in the table", record.uid));
            }
            check.records.insert((record.message, id, record.uid), record.size);
        }
    }
    if head.recent_from > head.uid_next {
        check.warn(format_args!("{id} claims recent messages beyond UIDNEXT"));
    }
}

fn check_counts(check: &mut AccountCheck<'_>, head: &Head, pages: &[Page]) {
    let mut counted = Head::of_new(head.mailbox, head.uid_validity);
    pages.iter().flat_map(|page| &page.records).for_each(|record| counted.count(record));
    let counts = |head: &Head| (head.exists, head.unseen, head.deleted, head.bytes, head.deleted_bytes);
    if counts(&counted) != counts(head) {
        check.error(format_args!(
            "{}: messages, unseen, deleted, octets, octets deleted are {:?}, the head says {:?}",
            head.mailbox,
            counts(&counted),
            counts(head)
        ));
    }
}

fn check_log(check: &mut AccountCheck<'_>, head: &Head, parts: &MailboxParts) {
    let id = head.mailbox;
    let mut last = head.log_floor;
    let mut ranges = Vec::new();
    for page in &parts.log {
        let first = page.ranges.first().map_or(ModSeq::ZERO, |range| range.modseq);
        if first != page.key || first <= last {
            check.error(format_args!("history {} of {id} is out of order, or below its floor", page.key));
        }
        last = page.last_modseq();
        ranges.extend(page.ranges.iter().map(|range| (range.low, range.high)));
    }
    if last > head.highest_modseq || head.log_floor > head.highest_modseq {
        check.error(format_args!("the history of {id} goes beyond its highest modseq"));
    }
    let entries: u64 = ranges.iter().map(|(low, high)| u64::from(high - low) + 1).sum();
    let expunged = UidSet::from_ranges(ranges);
    // The newest page is never forgotten, whatever it holds; a step adds to it at most what a commit may hold.
    let newest = parts.log.last().map_or(0, |page| page.ranges.iter().map(|range| range.uids()).sum());
    if entries > LOG_EXPUNGED_UIDS.max(newest) + LOG_PAGE_RANGES as u64 {
        check.warn(format_args!("the history of {id} is longer than it should be: {entries}"));
    }
    if expunged.len() != entries {
        check.error(format_args!("a UID of {id} was expunged twice"));
    }
    if expunged.last().is_some_and(|uid| uid >= head.uid_next.value()) {
        check.error(format_args!("a UID of {id} was expunged that was never given"));
    }
    let here: UidSet = parts.pages.iter().flat_map(|page| &page.records).map(|record| record.uid).collect();
    if !here.intersection(&expunged).is_empty() {
        check.error(format_args!("{id} has messages that its history says are expunged"));
    }
}
