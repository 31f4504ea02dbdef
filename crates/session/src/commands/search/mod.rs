//! SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 5032).

mod criteria;
mod text;

use columba_types::UidSet;
use columba_wire::{Code, Esearch, Numbering, Search, SearchReturn, Tag};

use self::criteria::Criteria;
use self::text::Bodies;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};

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

async fn run(context: &mut Context<'_, '_>, tag: &Tag, search: Search) -> Outcome {
    let rev2 = context.mode().rev2;
    check_charset(search.charset.as_deref())?;
    let mail = context.mail()?;
    let now_secs = context.services.store.now_millis().div_euclid(1000);
    let selected = context.selected()?;
    let criteria = Criteria::new(&search.key, selected, now_secs)?;
    let snapshot = selected.mailbox.snapshot();
    let known = selected.view.announced();
    let mut found = UidSet::new();
    let mut undecided = Vec::new();
    for record in snapshot.records_in(&known) {
        match criteria.decide(record, None) {
            Some(true) => found.push(record.uid.value()),
            Some(false) => {}
            None => undecided.push(*record),
        }
    }
    if !undecided.is_empty() {
        let found_in_text = Bodies::new(&mail, &criteria).search(&undecided).await?;
        found = found.union(&found_in_text);
    }
    let returns = search.returns.or(rev2.then_some(SearchReturn { all: true, ..SearchReturn::default() }));
    answer(context, tag, search.numbering, returns, found)
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
    found: UidSet,
) -> Outcome {
    let selected = context.selected()?;
    let numbers = match numbering {
        Numbering::Uid => found.clone(),
        Numbering::Seq => selected.view.seqs_of(&found),
    };
    let Some(returns) = returns else {
        context.printer().search(numbers.iter());
        return Ok(Done::new("Searched"));
    };
    if returns.save {
        selected.saved = saved(returns, &found);
    }
    let only_save = returns.save && !(returns.min || returns.max || returns.all || returns.count);
    if !only_save {
        let esearch = Esearch {
            tag,
            uid: numbering == Numbering::Uid,
            min: numbers.first().filter(|_| returns.min),
            max: numbers.last().filter(|_| returns.max),
            count: returns.count.then(|| numbers.len() as u32),
            all: returns.all.then_some(&numbers),
        };
        context.printer().esearch(&esearch);
    }
    Ok(Done::new("Searched"))
}

/// What `$` will be: MIN and MAX alone save only those (RFC 9051 §6.4.4.1, table).
fn saved(returns: SearchReturn, found: &UidSet) -> UidSet {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return found.clone();
    }
    let ends = [found.first().filter(|_| returns.min), found.last().filter(|_| returns.max)];
    ends.into_iter().flatten().collect()
}
