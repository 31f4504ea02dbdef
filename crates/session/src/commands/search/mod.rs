//! SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 5032).

mod criteria;
mod packed;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};

use columba_store::{AccountStore, Record, Snapshot, StoreError};
use columba_types::{ModSeq, UidSet, limits};
use columba_wire::{Code, Esearch, Numbering, Search, SearchReturn, Tag};

use self::criteria::Criteria;
use self::packed::PackSearch;
use self::text::Bodies;
use crate::context::Context;
use crate::gmail;
use crate::progress::breathe;
use crate::reply::{Done, Failure, Outcome};
use crate::subset::within;

/// The charsets that search strings may be in.
const CHARSETS: [&str; 2] = ["US-ASCII", "UTF-8"];

pub(super) async fn search(context: &mut Context<'_, '_>, tag: &Tag, search: Search) -> Outcome {
    let saves = search.returns.is_some_and(|returns| returns.save);
    let outcome = run(context, tag, search).await;
    if saves && matches!(outcome, Err(Failure::No(..))) {
        // RFC 9051 §6.4.4.1: a search that was to be saved and was answered with NO leaves nothing saved.
        context.selected()?.saved = UidSet::new();
    }
    outcome
}

async fn run(context: &mut Context<'_, '_>, tag: &Tag, mut search: Search) -> Outcome {
    let rev2 = context.mode().rev2;
    check_charset(search.charset.as_deref())?;
    let mail = context.mail()?;
    let now_secs = context.services.store.now_millis().div_euclid(1000);
    let with_modseq = search.key.has_modseq();
    if with_modseq {
        context.enable_condstore();
    }
    if search.key.has_gm() {
        if !context.peer.x_gm_ext_1 {
            return Err(Failure::bad("SEARCH: unknown search key"));
        }
        search.key = gmail::plain_criteria(context, &search.key).await?;
    }
    let enabled = context.state.enabled;
    let selected = context.selected()?;
    let snapshot = selected.mailbox()?.snapshot();
    let criteria = Criteria::new(&search.key, selected, &snapshot, enabled, now_secs)?;
    let (known, limited) = {
        // What is examined counts, not what is found (RFC 9738 §3.1).
        let examined = criteria.scope(selected.view.announced());
        context.within_limit(examined)
    };
    let mut found = UidSet::new();
    let mut undecided = UidSet::new();
    let (mut decided, goal) = (0_u64, known.len());
    let breath = (limits::SEARCH_BREATH_CRITERIA / criteria.count().max(1)).max(1) as u64;
    for record in snapshot.records_in(&known) {
        decided += 1;
        if decided.is_multiple_of(breath) {
            breathe().await;
            context.tick(decided, goal).await?;
        }
        match criteria.decide(record, None) {
            Some(true) => found.push(record.uid.value()),
            Some(false) => {}
            None => undecided.push(record.uid.value()),
        }
    }
    if !undecided.is_empty() {
        let (examined, goal) = (AtomicU64::new(0), undecided.len());
        let work = search_messages(&mail, &snapshot, &criteria, undecided, &examined);
        let measure = || Some((examined.load(Ordering::Relaxed), goal));
        let found_in_text = context.working(measure, work).await??;
        found = found.union(&found_in_text);
    }
    let returns = search.returns.or(rev2.then_some(SearchReturn { all: true, ..SearchReturn::default() }));
    let found = Found { uids: found, snapshot: with_modseq.then_some(&*snapshot) };
    let done = answer(context, tag, search.numbering, returns, &found)?;
    Ok(context.limited(done, limited))
}

/// Those of `uids` that match: by packs where those decide, the others message by message.
async fn search_messages(
    mail: &AccountStore,
    snapshot: &Snapshot,
    criteria: &Criteria,
    uids: UidSet,
    examined: &AtomicU64,
) -> Result<UidSet, StoreError> {
    let (found, undecided) = PackSearch::new(criteria).search(mail, snapshot, &uids, examined).await?;
    let records: Vec<Record> = snapshot.records_in(&undecided).copied().collect();
    let found_in_text = Bodies::new(mail, criteria).search(&records, examined).await?;
    Ok(found.union(&found_in_text))
}

/// What was found.
struct Found<'a> {
    uids: UidSet,
    /// Where mod-sequences are to be looked up, if the answer has to have one.
    snapshot: Option<&'a Snapshot>,
}

impl Found<'_> {
    /// The highest mod-sequence of these messages, if it was asked for and there are any (RFC 7162 §3.1.5).
    fn modseq(&self, of: &UidSet) -> Option<ModSeq> {
        self.snapshot?.records_in(of).map(|record| record.modseq).max()
    }
}

/// RFC 9051 §6.4.4: NO, not BAD, for a charset that is not known (erratum 7323: its list is in parentheses).
fn check_charset(charset: Option<&[u8]>) -> Result<(), Failure> {
    let known = charset.is_none_or(|given| CHARSETS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(given)));
    match known {
        true => Ok(()),
        false => Err(Failure::no(Code::BadCharset(CHARSETS.to_vec()), "Search strings can be in these charsets only")),
    }
}

/// SEARCH without return options in rev1, ESEARCH otherwise (RFC 9051 App. E 4).
fn answer(
    context: &mut Context<'_, '_>,
    tag: &Tag,
    numbering: Numbering,
    returns: Option<SearchReturn>,
    found: &Found<'_>,
) -> Result<Done, Failure> {
    let selected = context.selected()?;
    let as_asked = |uids: &UidSet| match numbering {
        Numbering::Uid => uids.clone(),
        Numbering::Seq => selected.view.seqs_of(uids),
    };
    let numbers = as_asked(&found.uids);
    let Some(returns) = returns else {
        context.printer().search(numbers.iter(), found.modseq(&found.uids));
        return Ok(Done::new("Searched"));
    };
    let part = returns.partial.map(|range| (range, within(range, &found.uids)));
    let partial = part.as_ref().map(|(range, uids)| (*range, as_asked(uids)));
    let returned = returned(returns, &found.uids, part.as_ref().map(|(_, uids)| uids));
    if returns.save {
        selected.saved = if shows(returns) { returned.clone() } else { found.uids.clone() };
    }
    let only_save = returns.save && !shows(returns);
    if !only_save {
        let esearch = Esearch {
            tag,
            uid: numbering == Numbering::Uid,
            min: numbers.first().filter(|_| returns.min),
            max: numbers.last().filter(|_| returns.max),
            count: returns.count.then(|| numbers.len() as u32),
            all: returns.all.then_some(&numbers),
            partial: partial.as_ref().map(|(range, numbers)| (*range, numbers)),
            modseq: found.modseq(&returned),
        };
        context.printer().esearch(&esearch);
    }
    Ok(Done::new("Searched"))
}

/// Whether anything is asked for beside SAVE.
fn shows(returns: SearchReturn) -> bool {
    returns.min || returns.max || returns.all || returns.count || returns.partial.is_some()
}

/// The messages that the answer is about, which are those that `$` will be: with ALL or COUNT all, else only those at the ends
/// and in the range that were asked for (RFC 9051 §6.4.4.1, table; RFC 9394 §3.2, table).
fn returned(returns: SearchReturn, found: &UidSet, part: Option<&UidSet>) -> UidSet {
    if returns.all || returns.count {
        return found.clone();
    }
    let ends = [found.first().filter(|_| returns.min), found.last().filter(|_| returns.max)];
    let ends: UidSet = ends.into_iter().flatten().collect();
    part.map_or_else(|| ends.clone(), |part| part.union(&ends))
}
