//! Compares: what came of a command with what was foreseen, a client's belief with the truth, and the truth with what it
//! was to become.

use columba_types::{MessageId, UidSet};

use super::answer::{self, Answer};
use super::client::{Client, Reply};
use super::command::Command;
use super::foresee::{Foreseen, Limited, Texts};
use super::search::{Key, Returns, page};
use super::selected::Saved;
use super::truth::{State, Truth};

type Verdict = Result<(), String>;

/// What is known besides the truth.
pub(super) struct Ground<'a> {
    /// The account as it was when the command began.
    pub(super) before: &'a Truth,
    pub(super) texts: &'a Texts,
}

/// Whether the answer is what was foreseen.
pub(super) fn reply(
    command: &Command,
    foreseen: &Foreseen,
    reply: &Reply,
    client: &Client,
    ground: &Ground<'_>,
) -> Verdict {
    if !foreseen.words.contains(&reply.word.as_str()) {
        return Err(format!("answered with {}, not {:?}", reply.word, foreseen.words));
    }
    if reply.word != "OK" && foreseen.words.len() > 1 {
        return Ok(());
    }
    codes(foreseen, reply)?;
    limited(foreseen.limited, reply)?;
    if let Some(expected) = &foreseen.batches
        && reply.batches.as_ref() != Some(expected)
    {
        return Err(format!("the batches are {:?}, and should be {expected:?}", reply.batches));
    }
    if let Command::Store { target, .. } = command {
        let modified = client.modified(target.uid, reply);
        if !modified.iter().eq(foreseen.modified.iter().copied()) {
            return Err(format!("[MODIFIED] names the UIDs {modified}, and should name {:?}", foreseen.modified));
        }
    }
    let told = |uid: u32, what: fn(&answer::Items) -> bool| {
        reply.fetched.iter().any(|(other, items)| *other == Some(uid) && what(items))
    };
    if let Some(uid) = foreseen.told.iter().find(|uid| !told(**uid, |items| items.flags.is_some())) {
        return Err(format!("nothing was told of the flags of UID {uid}"));
    }
    if let Some(uid) = foreseen.told_modseq.iter().find(|uid| !told(**uid, |items| items.modseq.is_some())) {
        return Err(format!("nothing was told of the mod-sequence of UID {uid}"));
    }
    texts(foreseen, reply, client, ground)?;
    for (item, number) in &foreseen.status {
        if !reply.status.iter().any(|(name, value)| name == item && value == number) {
            return Err(format!("STATUS has {:?}, and {item} is {number}", reply.status));
        }
    }
    match (command, &foreseen.found) {
        (Command::Search { key, uid, returns }, Some(found)) => {
            search(key, *uid, *returns, found, reply, client, ground)
        }
        _ => Ok(()),
    }
}

fn codes(foreseen: &Foreseen, reply: &Reply) -> Verdict {
    let agrees = |code: &answer::Code, (name, words): &(&str, Vec<String>)| {
        code.name == *name && (words.is_empty() || code.words == *words)
    };
    if let Some(expected) = &foreseen.code
        && !reply.code.iter().any(|code| agrees(code, expected))
    {
        return Err(format!("the code is {:?}, and should be {expected:?}", reply.code));
    }
    if let Some(expected) = &foreseen.untagged
        && !reply.untagged.iter().any(|code| agrees(code, expected))
    {
        return Err(format!("the untagged codes are {:?}, and should be {expected:?}", reply.untagged));
    }
    const RESULTS: [&str; 3] = ["COPYUID", "APPENDUID", "MODIFIED"];
    let unexpected = |code: &answer::Code, expected: &Option<(&str, Vec<String>)>| {
        RESULTS.contains(&code.name.as_str()) && expected.is_none()
    };
    if let Some(code) = reply.code.iter().find(|code| unexpected(code, &foreseen.code)) {
        return Err(format!("the code {code:?} has no reason"));
    }
    match reply.untagged.iter().find(|code| unexpected(code, &foreseen.untagged)) {
        Some(code) => Err(format!("the untagged code {code:?} has no reason")),
        None => Ok(()),
    }
}

/// RFC 9738 §3.1: in the tagged answer, or in an untagged one before it if that has another code.
fn limited(foreseen: Limited, reply: &Reply) -> Verdict {
    let mut codes = reply.untagged.iter().chain(&reply.code).filter(|code| code.name == "MESSAGELIMIT");
    let said = codes.next().map(|code| code.words.clone());
    let expected = match foreseen {
        Limited::Unknown => return Ok(()),
        Limited::No => None,
        Limited::Yes(limit, lowest) => {
            Some(std::iter::once(limit).chain(lowest).map(|number| number.to_string()).collect::<Vec<_>>())
        }
    };
    match said == expected && codes.next().is_none() {
        true => Ok(()),
        false => Err(format!("MESSAGELIMIT is {said:?}, and should be {expected:?}")),
    }
}

fn texts(foreseen: &Foreseen, reply: &Reply, client: &Client, ground: &Ground<'_>) -> Verdict {
    let Some(selected) = &client.selected else { return Ok(()) };
    let Some(state) = selected.mailbox.and_then(|id| ground.before.state(id)) else { return Ok(()) };
    let other = |(uid, items): &&(Option<u32>, answer::Items)| {
        items.octets.is_some() && uid.is_some_and(|uid| state.rows.contains_key(&uid) && !foreseen.texts.contains(&uid))
    };
    if let Some((uid, _)) = reply.fetched.iter().find(other) {
        return Err(format!("the text of UID {uid:?} was not asked for"));
    }
    for uid in &foreseen.texts {
        let expected = state.rows.get(uid).and_then(|row| ground.texts.get(&row.message));
        // One appended by the command before is not known yet.
        let Some(Some(expected)) = expected else { continue };
        let expected = expected.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let octets = |(other, items): &(Option<u32>, answer::Items)| {
            if *other == Some(*uid) { items.octets.clone() } else { None }
        };
        let came = reply.fetched.iter().find_map(octets);
        if came.as_deref() != Some(expected.as_bytes()) {
            let came = came.map(|octets| String::from_utf8_lossy(&octets).into_owned());
            return Err(format!("the text of UID {uid} is {expected:?}, and {came:?} came"));
        }
    }
    Ok(())
}

/// Compares what was found, but for messages that are gone and not told to be: those may be found or not.
fn search(
    key: &Key,
    uid: bool,
    returns: Option<Returns>,
    found: &[u32],
    reply: &Reply,
    client: &Client,
    ground: &Ground<'_>,
) -> Verdict {
    let Some(selected) = &client.selected else { return Ok(()) };
    let Some(state) = selected.mailbox.and_then(|id| ground.before.state(id)) else { return Ok(()) };
    let number = |of: u32| match uid {
        true => Some(of),
        false => selected.belief.place(of).map(|place| place as u32 + 1),
    };
    let expected: Vec<u32> = found.iter().copied().filter_map(number).collect();
    let there = |named: &u32| match uid {
        true => state.rows.contains_key(named),
        false => selected
            .belief
            .list()
            .get(*named as usize - 1)
            .and_then(|k| k.uid)
            .is_some_and(|u| state.rows.contains_key(&u)),
    };
    let whole = selected.belief.uids().all(|uid| state.rows.contains_key(&uid));
    let returns = returns.map(|r| if r == Returns::default() { Returns { all: true, ..r } } else { r });
    let returns = returns.or(client.traits.rev2.then_some(Returns { all: true, ..Returns::default() }));
    let Some(returns) = returns else {
        let Some((numbers, modseq)) = &reply.search else { return Err("no SEARCH came".into()) };
        let mut numbers: Vec<u32> = numbers.iter().copied().filter(there).collect();
        numbers.sort_unstable();
        if numbers != expected {
            return Err(format!("SEARCH found {numbers:?}, and should find {expected:?}"));
        }
        return modseq_of(key, found, state, *modseq, whole);
    };
    if returns.save && !(returns.min || returns.max || returns.all || returns.count || returns.partial.is_some()) {
        return Ok(());
    }
    let Some(Answer::Esearch { uid: said_uid, items, .. }) = &reply.esearch else {
        return Err("no ESEARCH came".into());
    };
    if *said_uid != uid {
        return Err("ESEARCH of the wrong kind of numbers".into());
    }
    let all = items.get("ALL").map(|written| answer::uid_set(written)).transpose()?.unwrap_or_default();
    if returns.all && !all.iter().filter(there).eq(expected.iter().copied()) {
        return Err(format!("ESEARCH found {all}, and should find {expected:?}"));
    }
    if !whole {
        return Ok(());
    }
    if let Some(range) = returns.partial {
        // RFC 9394 §3.1: the range as it was asked for, and what is there of it, or NIL.
        let part: UidSet = page(found, range).into_iter().filter_map(number).collect();
        let part = if part.is_empty() { "NIL".to_owned() } else { part.to_string() };
        let expected = format!("({}:{} {part})", range.0, range.1);
        if items.get("PARTIAL") != Some(&expected) {
            return Err(format!("PARTIAL is {:?}, and should be {expected}", items.get("PARTIAL")));
        }
    }
    let value = |name: &str| items.get(name).and_then(|value| value.parse::<u32>().ok());
    let pairs = [
        ("MIN", returns.min, expected.first().copied()),
        ("MAX", returns.max, expected.last().copied()),
        ("COUNT", returns.count, Some(expected.len() as u32)),
    ];
    for (name, asked, expected) in pairs {
        let expected = expected.filter(|_| asked);
        if value(name) != expected {
            return Err(format!("{name} is {:?}, and should be {expected:?}", value(name)));
        }
    }
    if returns.partial.is_some() {
        return Ok(());
    }
    // RFC 4731 §3.2: MIN and MAX alone are about those messages only.
    let narrow = !(returns.all || returns.count);
    let about = if narrow { Returns { save: false, ..returns }.saved(found) } else { found.to_vec() };
    modseq_of(key, &about, state, items.get("MODSEQ").and_then(|value| value.parse().ok()), whole)
}

/// RFC 7162 §3.1.5: the highest of what was found, if the search was about mod-sequences.
fn modseq_of(key: &Key, found: &[u32], state: &State, said: Option<u64>, whole: bool) -> Verdict {
    let highest = found.iter().filter_map(|uid| state.rows.get(uid)).map(|row| row.modseq).max();
    match (key.asks_modseq(), highest) {
        (true, Some(highest)) if whole && said != Some(highest) => {
            Err(format!("the mod-sequence of what was found is {said:?}, and should be {highest}"))
        }
        (false, _) | (_, None) if said.is_some() => Err(format!("a mod-sequence {said:?} of nothing")),
        _ => Ok(()),
    }
}

/// Whether the account became what it was to become.
pub(super) fn effect(expected: &Truth, after: &Truth) -> Verdict {
    for (name, id) in &expected.names {
        if after.names.get(name) != Some(id) {
            return Err(format!("the mailbox {name} should be {id}, and is {:?}", after.names.get(name)));
        }
    }
    if expected.subscribed != after.subscribed {
        return Err(format!("{:?} should be subscribed, and {:?} are", expected.subscribed, after.subscribed));
    }
    for (id, expected) in &expected.boxes {
        let Some(state) = after.state(*id) else { return Err(format!("the mailbox {id} is gone")) };
        if std::ptr::eq(state, expected.as_ref()) {
            continue;
        }
        if state.uid_next != expected.uid_next {
            return Err(format!("UIDNEXT of {id} should be {}, and is {}", expected.uid_next, state.uid_next));
        }
        let uids = |state: &State| state.rows.keys().copied().collect::<UidSet>();
        if uids(state) != uids(expected) {
            return Err(format!("the mailbox {id} should have {}, and has {}", uids(expected), uids(state)));
        }
        for (uid, row) in &state.rows {
            let Some(was) = expected.rows.get(uid) else { continue };
            if row.flags != was.flags || (was.message != MessageId(0) && row.message != was.message) {
                return Err(format!("UID {uid} of {id} should be {was:?}, and is {row:?}"));
            }
        }
    }
    Ok(())
}

/// Whether a client believes the truth, as far as it is told of it. `told_all`: also of what is gone, because it could have
/// been told.
pub(super) fn belief(client: &Client, truth: &Truth, told_all: bool) -> Verdict {
    let Some(selected) = client.selected.as_ref().filter(|_| client.sees().messages) else { return Ok(()) };
    let Some(state) = selected.mailbox.and_then(|id| truth.state(id)) else { return Ok(()) };
    let belief = &selected.belief;
    if told_all && belief.len() != state.rows.len() {
        return Err(format!("there are {} messages, and {} are believed in", state.rows.len(), belief.len()));
    }
    if belief.len() < state.rows.len() {
        return Err(format!("there are {} messages, and only {} are believed in", state.rows.len(), belief.len()));
    }
    if told_all && !belief.uid_only {
        let differs = |(known, uid): &(&super::belief::Known, &u32)| known.uid.is_some_and(|known| known != **uid);
        if let Some((known, uid)) = belief.list().iter().zip(state.rows.keys()).find(differs) {
            return Err(format!("a message has the UID {uid}, and is believed to have {:?}", known.uid));
        }
    }
    if belief.knows_uids()
        && let Some(uid) = state.rows.keys().find(|uid| belief.place(**uid).is_none())
    {
        return Err(format!("nothing is known of UID {uid}"));
    }
    for known in belief.list() {
        let Some(uid) = known.uid else { continue };
        let Some(row) = state.rows.get(&uid) else {
            if told_all {
                return Err(format!("UID {uid} is gone, and is believed to be there"));
            }
            continue;
        };
        if !client.sees().flags {
            continue;
        }
        if known.flags.as_ref().is_some_and(|flags| *flags != row.flags) {
            return Err(format!("UID {uid} has {:?}, and is believed to have {:?}", row.flags, known.flags));
        }
        if known.modseq.is_some_and(|modseq| modseq != row.modseq) {
            return Err(format!("UID {uid} has MODSEQ {}, and is believed to have {:?}", row.modseq, known.modseq));
        }
    }
    Ok(())
}

/// Whether what STATUS said of other mailboxes to a client with NOTIFY is true.
pub(super) fn others(client: &Client, truth: &Truth) -> Verdict {
    for (name, items) in &client.others {
        let Some((id, state)) = truth.named(name) else { continue };
        let subscribed = truth.subscribed.contains(name);
        if !client.notify.is_some_and(|notify| notify.covers(name, subscribed)) {
            return Err(format!("{name} is told of, and is not followed"));
        }
        if client.selected.as_ref().is_some_and(|selected| selected.mailbox == Some(id)) {
            continue;
        }
        let unseen = state.rows.values().filter(|row| !row.flags.contains("\\seen")).count();
        let pairs = [
            ("MESSAGES", state.rows.len() as u64),
            ("UIDNEXT", state.uid_next.into()),
            ("UNSEEN", unseen as u64),
            ("HIGHESTMODSEQ", state.highest),
        ];
        for (item, number) in pairs {
            if items.get(item).is_some_and(|told| *told != number) {
                return Err(format!("{item} of {name} is {number}, and {:?} was told", items.get(item)));
            }
        }
    }
    Ok(())
}

/// Whether a client that asked for the state of all others has it (RFC 5465 §3.1, STATUS).
pub(super) fn all_others(client: &Client, truth: &Truth) -> Verdict {
    let Some(notify) = client.notify.filter(|notify| notify.status) else { return Ok(()) };
    for (name, id) in &truth.names {
        let is_selected = client.selected.as_ref().is_some_and(|selected| selected.mailbox == Some(*id));
        let covered = notify.covers(name, truth.subscribed.contains(name)) && !is_selected;
        let told = client.others.get(name).is_some_and(|items| items.contains_key("MESSAGES"));
        if covered && !told {
            return Err(format!("the state of {name} was asked for, and not told"));
        }
    }
    Ok(())
}

/// Whether a state that was kept, with what was told of its changes, is the truth (RFC 7162 §3.2.6).
/// Messages that were not announced yet when it was asked need not be among them.
pub(super) fn changes(state: &Saved, reply: &Reply, truth: &Truth, announced: &[u32]) -> Verdict {
    let Some(now) = truth.state(state.mailbox).filter(|now| now.uid_validity == state.uid_validity) else {
        return Ok(());
    };
    if let Some(uid) = reply.earlier.iter().find(|uid| now.rows.contains_key(uid)) {
        return Err(format!("VANISHED (EARLIER) names UID {uid}, which is there"));
    }
    let mut belief = super::belief::Belief::default();
    belief.resume(state.list.clone());
    belief.forget(&reply.earlier);
    for (uid, items) in &reply.fetched {
        let uid = uid.ok_or("FETCH without UID")?;
        belief.update(uid, items)?;
    }
    belief.forget(&reply.vanished);
    let last = announced.last().copied().unwrap_or(0);
    for known in belief.list() {
        // The state may be ahead of this session: what it was not told of is not meant by 1:*.
        let Some(uid) = known.uid.filter(|uid| *uid <= last) else { continue };
        let Some(row) = now.rows.get(&uid) else { return Err(format!("UID {uid} is gone, and was not told to be")) };
        if known.flags.as_ref() != Some(&row.flags) {
            return Err(format!("UID {uid} has {:?}, and {:?} was told", row.flags, known.flags));
        }
    }
    match announced.iter().find(|uid| now.rows.contains_key(uid) && belief.place(**uid).is_none()) {
        Some(uid) => Err(format!("UID {uid} is new, and was not told")),
        None => Ok(()),
    }
}
