//! GETMETADATA (RFC 5464 §4.2), and the annotations that are not kept but worked out.

use bytes::Bytes;
use columba_store::{AccountStore, Annotated, Metadata, SpecialUse, StoreError};
use columba_types::EntryName;
use columba_wire::{Code, MetadataDepth, MetadataOptions, RawMailbox};

use super::select::no_such_mailbox;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::services::Settings;

/// RFC 6154 §4: the special uses of a mailbox.
const SPECIAL_USE: &str = "/private/specialuse";

/// What is asked about: a mailbox, or the server where the name is empty.
pub(super) struct Subject {
    pub(super) of: Annotated,
    /// As it is printed.
    pub(super) name: String,
}

pub(super) async fn get_metadata(
    context: &mut Context<'_, '_>,
    raw: RawMailbox,
    options: MetadataOptions,
    names: Vec<EntryName>,
) -> Outcome {
    let subject = subject(context, &raw)?;
    let mail = context.mail()?;
    let mut all = values(&mail, subject.of).await?;
    if subject.of == Annotated::Server {
        all.extend(server_values(&context.services.settings));
    }
    let found = select(&all, &names, options);
    let printed = found.entries.iter().map(|(name, value)| (name, value.as_deref()));
    context.printer().metadata(&subject.name, printed);
    Ok(match found.longest_left_out {
        // RFC 5464 §4.2.1
        Some(octets) => Done::with(Code::MetadataLongEntries(octets), "Some values are too long for MAXSIZE"),
        None => Done::new("Those are the annotations"),
    })
}

pub(super) fn subject(context: &mut Context<'_, '_>, raw: &RawMailbox) -> Result<Subject, Failure> {
    if raw.0.is_empty() {
        return Ok(Subject { of: Annotated::Server, name: String::new() });
    }
    let name = context.mailbox_name(raw)?;
    let id = context.mail()?.tree().mailbox(&name).ok_or_else(|| no_such_mailbox(&name))?;
    Ok(Subject { of: Annotated::Mailbox(id), name: name.as_str().to_owned() })
}

/// What the administrator has set for everybody (RFC 5464 §3.2.1.1).
fn server_values(settings: &Settings) -> impl Iterator<Item = (EntryName, Bytes)> {
    let values = [("/shared/admin", &settings.admin_contact), ("/shared/comment", &settings.comment)];
    let named = |(name, value): (&str, &Option<String>)| Some((EntryName::new(name).ok()?, value.clone()?.into()));
    values.into_iter().filter_map(named)
}

/// Everything that is kept of it, and the special uses.
pub(super) async fn values(mail: &AccountStore, of: Annotated) -> Result<Metadata, StoreError> {
    let mut all = mail.metadata(of).await?;
    if let Annotated::Mailbox(id) = of {
        let tree = mail.tree();
        let uses = tree.name_of(id).and_then(|name| tree.get(name)).map(|entry| entry.uses.as_slice());
        if let (Some(uses @ [_, ..]), Ok(name)) = (uses, EntryName::new(SPECIAL_USE)) {
            let words: Vec<&str> = uses.iter().map(|special_use: &SpecialUse| special_use.as_str()).collect();
            all.insert(name, Bytes::from(words.join(" ")));
        }
    }
    Ok(all)
}

/// Whether an entry is that of the special uses.
pub(super) fn is_special_use(name: &EntryName) -> bool {
    name.as_str().eq_ignore_ascii_case(SPECIAL_USE)
}

/// The entries to print.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: Vec<(EntryName, Option<Bytes>)>,
    /// Octets of the largest value that MAXSIZE left out.
    longest_left_out: Option<u64>,
}

/// Entries in the order they were asked for, each once. An entry without a value is NIL, unless there is something below
/// it that was asked for too (RFC 5464 §4.2.2).
pub(super) fn select(all: &Metadata, names: &[EntryName], options: MetadataOptions) -> Found {
    let mut found = Found::default();
    let most_levels = match options.depth {
        None | Some(MetadataDepth::Zero) => 0,
        Some(MetadataDepth::One) => 1,
        Some(MetadataDepth::Infinity) => usize::MAX,
    };
    let mut given: std::collections::BTreeSet<&EntryName> = std::collections::BTreeSet::new();
    for name in names {
        let wanted = |other: &EntryName| other.depth_below(name).is_some_and(|levels| levels <= most_levels);
        let mut any = false;
        for (other, value) in all.iter().filter(|(other, _)| wanted(other)) {
            any = true;
            if !given.insert(other) {
                continue;
            }
            let octets = value.len() as u64;
            if options.max_size.is_some_and(|most| octets > u64::from(most)) {
                found.longest_left_out = found.longest_left_out.max(Some(octets));
                continue;
            }
            // As the client spells it, where it named just this one.
            let shown = if other == name { name } else { other };
            found.entries.push((shown.clone(), Some(value.clone())));
        }
        if !any && given.insert(name) {
            found.entries.push((name.clone(), None));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EntryName {
        EntryName::new(text).unwrap()
    }

    fn shown(names: &[&str], max_size: Option<u32>, depth: Option<MetadataDepth>) -> (Vec<String>, Option<u64>) {
        let all = ["/private/a", "/private/a/b", "/private/a/b/c", "/private/ab"];
        let all: Metadata = all.iter().map(|text| (name(text), Bytes::from(text.to_owned()))).collect();
        let names: Vec<EntryName> = names.iter().map(|text| name(text)).collect();
        let found = select(&all, &names, MetadataOptions { max_size, depth });
        let text =
            |(name, value): &(EntryName, Option<Bytes>)| format!("{name}{}", if value.is_some() { "" } else { " NIL" });
        (found.entries.iter().map(text).collect(), found.longest_left_out)
    }

    // RFC 5464 §4.2.2
    #[test]
    fn depth_counts_levels() {
        let of = |depth| shown(&["/Private/A"], None, depth).0;
        assert_eq!(of(None), ["/Private/A"]);
        assert_eq!(of(Some(MetadataDepth::One)), ["/Private/A", "/private/a/b"]);
        assert_eq!(of(Some(MetadataDepth::Infinity)), ["/Private/A", "/private/a/b", "/private/a/b/c"]);
        assert_eq!(shown(&["/private/x", "/private/a", "/private/A"], None, None).0, ["/private/x NIL", "/private/a"]);
        assert_eq!(shown(&["/private"], None, Some(MetadataDepth::One)).0, ["/private/a", "/private/ab"]);
    }

    // RFC 5464 §3.2.1.1
    #[test]
    fn the_administrator_speaks_for_the_server() {
        let settings = Settings { admin_contact: Some("mailto:a@b".to_owned()), ..Settings::default() };
        let values: Vec<_> = server_values(&settings).collect();
        assert_eq!(values, [(name("/shared/admin"), Bytes::from_static(b"mailto:a@b"))]);
    }

    // RFC 5464 §4.2.1
    #[test]
    fn long_values_are_left_out() {
        let (entries, longest) = shown(&["/private/a"], Some(11), Some(MetadataDepth::Infinity));
        assert_eq!((entries.len(), longest), (1, Some(14)));
        assert_eq!(shown(&["/private/a"], Some(10), None), (vec!["/private/a".to_owned()], None));
        assert_eq!(shown(&["/private/a"], Some(9), None), (vec![], Some(10)));
    }
}
