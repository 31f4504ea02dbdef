//! LIST in its basic and extended form (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 9590).

use std::collections::BTreeMap;

use columba_store::{Annotated, Tree, TreeEntry};
use columba_types::{MailboxName, SEPARATOR};
use columba_wire::{List, ListLine, ListSelection, MetadataOptions, RawMailbox};

use super::get_metadata::{select, values};
use super::status::tell_status;
use crate::context::Context;
use crate::pattern::Pattern;
use crate::reply::{Done, Outcome};

/// One mailbox as it will be printed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) attributes: Vec<&'static str>,
    name: String,
    child_info: bool,
    pub(crate) old_name: Option<String>,
}

impl Line {
    pub(crate) fn as_printed(&self) -> ListLine<'_> {
        ListLine {
            attributes: &self.attributes,
            separator: Some(SEPARATOR),
            name: &self.name,
            child_info: self.child_info,
            old_name: self.old_name.as_deref(),
        }
    }
}

pub(super) async fn list(context: &mut Context<'_, '_>, list: List) -> Outcome {
    // RFC 9051 §6.3.9: an empty pattern asks for the separator, in the basic form only.
    if !list.extended && list.patterns.iter().all(|pattern| pattern.0.is_empty()) {
        let root = Line { attributes: vec!["\\Noselect"], name: String::new(), child_info: false, old_name: None };
        context.printer().list(&root.as_printed());
        return Ok(Done::new("The separator"));
    }
    let patterns: Vec<Pattern> =
        list.patterns.iter().filter_map(|raw| pattern(context, &list.reference, raw)).collect();
    let mail = context.mail()?;
    let tree = mail.tree();
    for (name, candidate) in candidates(&tree, &patterns, list.selection) {
        let line = line(&tree, &name, &candidate, &list);
        context.printer().list(&line.as_printed());
        // RFC 5819 §2: STATUS follows its LIST line; none for what cannot be selected, nor for a name that is told only for
        // what lies below it (RFC 9051 §6.3.9.8).
        let id = candidate.entry.as_ref().filter(|_| candidate.selected).and_then(|entry| entry.mailbox);
        if let Some((items, id)) = list.returns.status.as_ref().zip(id) {
            tell_status(context, &mail, &name, id, items).await?;
        }
        if let Some((entries, id)) = list.returns.metadata.as_ref().zip(id) {
            // RFC 9590 §3: as GETMETADATA would answer.
            let all = values(&mail, Annotated::Mailbox(id)).await?;
            let found = select(&all, entries, MetadataOptions::default());
            let printed = found.entries.iter().map(|(name, value)| (name, value.as_deref()));
            context.printer().metadata(name.as_str(), printed);
        }
        context.relieve().await?;
    }
    Ok(Done::new("Listed"))
}

/// The pattern that reference and mailbox pattern make together; `None` if it cannot match any name.
pub(super) fn pattern(context: &Context<'_, '_>, reference: &RawMailbox, raw: &RawMailbox) -> Option<Pattern> {
    let form = context.state.enabled.name_form();
    let (reference, pattern) = (reference.decode(form).ok()?, raw.decode(form).ok()?);
    if pattern.is_empty() {
        // RFC 9051 §6.3.9: empty patterns of the extended form are ignored.
        return None;
    }
    Some(Pattern::new(&reference, &pattern))
}

/// A name that matches.
#[derive(Clone, Debug, Default)]
struct Candidate {
    entry: Option<TreeEntry>,
    /// Whether it is selected itself, and not told only for what lies below it.
    selected: bool,
    /// Whether something below it is selected that does not match itself (RECURSIVEMATCH).
    child_info: bool,
}

/// All names that match, in order, with those above them that exist only as a way to them.
fn candidates(tree: &Tree, patterns: &[Pattern], selection: ListSelection) -> BTreeMap<MailboxName, Candidate> {
    let mut found: BTreeMap<MailboxName, Candidate> = BTreeMap::new();
    if selection.remote && !selection.subscribed && !selection.special_use && patterns.is_empty() {
        return found;
    }
    let matches = |name: &MailboxName| patterns.iter().any(|pattern| pattern.matches(name.as_str()));
    for (name, entry) in tree.iter().filter(|(_, entry)| is_selected_by(entry, selection)) {
        if matches(name) {
            let candidate = found.entry(name.clone()).or_default();
            candidate.entry = Some(entry.clone());
            candidate.selected = true;
        }
        for ancestor in name.ancestors().filter(|ancestor| matches(ancestor)) {
            let there = tree.get(&ancestor);
            if selection.recursive_match {
                // RFC 9051 §6.3.9.6: told with CHILDINFO whether it matches by itself or not.
                let candidate = found.entry(ancestor).or_default();
                candidate.entry = candidate.entry.take().or_else(|| there.cloned());
                candidate.child_info = true;
            } else if !selection.subscribed
                && !selection.special_use
                && there.is_none_or(|entry| entry.mailbox.is_none())
                && patterns.iter().any(|p| p.ends_in_percent() && p.matches(ancestor.as_str()))
            {
                // RFC 9051 §6.3.9: a level that `%` matches is told even if there is no such mailbox.
                found.entry(ancestor).or_default();
            }
        }
    }
    found
}

fn is_selected_by(entry: &TreeEntry, selection: ListSelection) -> bool {
    let by_subscription = !selection.subscribed || entry.subscribed;
    let by_use = !selection.special_use || !entry.uses.is_empty();
    let exists = entry.mailbox.is_some() || selection.subscribed;
    by_subscription && by_use && exists
}

fn line(tree: &Tree, name: &MailboxName, candidate: &Candidate, list: &List) -> Line {
    let mut line = list_line_of(tree, name);
    let subscribed = candidate.entry.as_ref().is_some_and(|entry| entry.subscribed);
    if subscribed && (list.selection.subscribed || list.returns.subscribed) {
        line.attributes.push("\\Subscribed");
    }
    line.child_info = candidate.child_info;
    line
}

/// A name with what is always told of it: whether it exists, has children, and what it is for. Special uses are told
/// unasked too, since clients expect it (RFC 6154 §2 allows it).
pub(crate) fn list_line_of(tree: &Tree, name: &MailboxName) -> Line {
    let mut attributes = Vec::with_capacity(3);
    let entry = tree.get(name);
    if entry.is_none_or(|entry| entry.mailbox.is_none()) {
        // \Noselect too, for clients that know nothing of \NonExistent (RFC 3501 §6.3.8).
        attributes.extend(["\\Noselect", "\\NonExistent"]);
    }
    // RFC 9051 §6.3.9.5: exactly one of the two.
    attributes.push(if tree.has_children(name) { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(entry.into_iter().flat_map(|entry| &entry.uses).map(|special_use| special_use.as_str()));
    Line { attributes, name: name.as_str().to_owned(), child_info: false, old_name: None }
}
