//! Commands -> octets, for tests and for our own client: what the parser reads back as the same command.

use columba_types::{EntryName, Flag, NumSet, SetNum};

use super::fetch::{part_numbers, print_section};
use super::strings::{Announce, StringMode, decimal, literal_head};
use crate::command::{
    Command, CommandBody, FetchItem, FetchModifiers, GmLabel, List, MessageSet, MetadataOptions, Numbering, Partial,
    SelectParameters, StatusItem, StoreAction,
};
use crate::mailbox::RawMailbox;
use crate::parse::ParseMode;

/// Prints a command without its final line end. Literals are inline; one of at most 4,096 octets does not ask the
/// server to say when (`{n+}`), a larger one does.
pub fn print_command(command: &Command, mode: ParseMode) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let strings = StringMode { utf8: mode.utf8, announce: Announce::NonSynchronizing };
    out.extend_from_slice(command.tag.0.as_bytes());
    out.push(b' ');
    Writer { out: &mut out, strings }.body(&command.body);
    out
}

pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) strings: StringMode,
}

impl Writer<'_> {
    fn body(&mut self, body: &CommandBody) {
        match body {
            CommandBody::Capability => self.text("CAPABILITY"),
            CommandBody::Noop => self.text("NOOP"),
            CommandBody::Logout => self.text("LOGOUT"),
            CommandBody::StartTls => self.text("STARTTLS"),
            CommandBody::Namespace => self.text("NAMESPACE"),
            CommandBody::Idle => self.text("IDLE"),
            CommandBody::Check => self.text("CHECK"),
            CommandBody::Close => self.text("CLOSE"),
            CommandBody::Unselect => self.text("UNSELECT"),
            CommandBody::Unauthenticate => self.text("UNAUTHENTICATE"),
            CommandBody::Id(_)
            | CommandBody::Authenticate { .. }
            | CommandBody::Login { .. }
            | CommandBody::Enable(_)
            | CommandBody::Compress(_)
            | CommandBody::Notify(_) => self.connection(body),
            CommandBody::Expunge { .. }
            | CommandBody::Search(_)
            | CommandBody::Fetch { .. }
            | CommandBody::Store { .. }
            | CommandBody::Copy { .. }
            | CommandBody::Move { .. }
            | CommandBody::StoreLabels { .. }
            | CommandBody::UidBatches { .. } => self.messages(body),
            _ => self.mailboxes(body),
        }
    }

    fn connection(&mut self, body: &CommandBody) {
        match body {
            CommandBody::Id(None) => self.text("ID NIL"),
            CommandBody::Id(Some(fields)) => {
                self.text("ID ");
                self.list(fields, |w, (name, value)| {
                    w.strings.string(w.out, name);
                    w.text(" ");
                    w.strings.nstring(w.out, value.as_deref());
                });
            }
            CommandBody::Compress(mechanism) => {
                self.text("COMPRESS ");
                self.text(mechanism);
            }
            CommandBody::Authenticate { mechanism, initial } => {
                self.text("AUTHENTICATE ");
                self.text(mechanism);
                if let Some(initial) = initial {
                    self.text(" ");
                    self.out.extend_from_slice(&initial.0);
                }
            }
            CommandBody::Login { user, password } => {
                self.text("LOGIN ");
                self.strings.astring(self.out, user);
                self.text(" ");
                self.strings.astring(self.out, &password.0);
            }
            CommandBody::Enable(names) => {
                self.text("ENABLE ");
                self.spaced(names, |w, name| w.text(name));
            }
            CommandBody::Notify(None) => self.text("NOTIFY NONE"),
            CommandBody::Notify(Some(set)) => {
                self.text(if set.status { "NOTIFY SET STATUS " } else { "NOTIFY SET " });
                self.spaced(&set.groups, Self::event_group);
            }
            _ => {}
        }
    }

    fn mailboxes(&mut self, body: &CommandBody) {
        match body {
            CommandBody::Select { mailbox, read_only, parameters } => {
                self.named(if *read_only { "EXAMINE" } else { "SELECT" }, mailbox);
                self.select_parameters(parameters);
            }
            CommandBody::Create { mailbox, special_use } => {
                self.named("CREATE", mailbox);
                if let Some(uses) = special_use {
                    self.text(" (USE ");
                    self.list(uses, |w, name| w.text(name));
                    self.text(")");
                }
            }
            CommandBody::Delete { mailbox } => self.named("DELETE", mailbox),
            CommandBody::Rename { from, to } => {
                self.named("RENAME", from);
                self.text(" ");
                self.mailbox(to);
            }
            CommandBody::Subscribe { mailbox } => self.named("SUBSCRIBE", mailbox),
            CommandBody::Unsubscribe { mailbox } => self.named("UNSUBSCRIBE", mailbox),
            CommandBody::List(list) => self.list_command(list),
            CommandBody::Lsub { reference, pattern } => {
                self.named("LSUB", reference);
                self.text(" ");
                self.mailbox(pattern);
            }
            CommandBody::Append(append) => self.append(append),
            CommandBody::GetMetadata { .. } | CommandBody::SetMetadata { .. } => self.metadata(body),
            CommandBody::Status { mailbox, items } => {
                self.named("STATUS", mailbox);
                self.text(" ");
                self.status_items(items);
            }
            _ => {}
        }
    }

    fn metadata(&mut self, body: &CommandBody) {
        match body {
            CommandBody::GetMetadata { mailbox, options, entries } => {
                self.text("GETMETADATA ");
                if *options != MetadataOptions::default() {
                    let depth = options.depth.map(|depth| format!("DEPTH {}", depth.name()));
                    let max_size = options.max_size.map(|octets| format!("MAXSIZE {octets}"));
                    self.list(max_size.into_iter().chain(depth), |w, option| w.text(&option));
                    self.text(" ");
                }
                self.mailbox(mailbox);
                self.text(" ");
                self.list(entries, Self::entry_name);
            }
            CommandBody::SetMetadata { mailbox, entries } => {
                self.named("SETMETADATA", mailbox);
                self.text(" ");
                self.list(entries, |w, (name, value)| {
                    w.entry_name(name);
                    w.text(" ");
                    match value {
                        Some(octets) if octets.contains(&0) => {
                            let small = octets.len() as u64 <= columba_types::limits::LITERAL_MINUS_BYTES;
                            literal_head(w.out, octets.len() as u64, true, small);
                            w.out.extend_from_slice(octets);
                        }
                        value => w.strings.nstring(w.out, value.as_deref()),
                    }
                });
            }
            _ => {}
        }
    }

    fn entry_name(&mut self, name: &EntryName) {
        self.strings.astring(self.out, name.as_str().as_bytes());
    }

    fn messages(&mut self, body: &CommandBody) {
        match body {
            CommandBody::Expunge { uids: None } => self.text("EXPUNGE"),
            CommandBody::Expunge { uids: Some(uids) } => self.numbered("EXPUNGE", Numbering::Uid, uids),
            CommandBody::Search(search) => self.search(search),
            CommandBody::Fetch { numbering, set, items, modifiers } => {
                self.numbered("FETCH", *numbering, set);
                self.text(" ");
                self.list(items, Self::fetch_item);
                self.fetch_modifiers(modifiers);
            }
            CommandBody::StoreLabels { numbering, set, action, silent, labels } => {
                self.numbered("STORE", *numbering, set);
                self.text(match action {
                    StoreAction::Replace => " X-GM-LABELS",
                    StoreAction::Add => " +X-GM-LABELS",
                    StoreAction::Remove => " -X-GM-LABELS",
                });
                self.text(if *silent { ".SILENT " } else { " " });
                self.list(labels, Self::gm_label);
            }
            CommandBody::UidBatches { size, batches } => {
                self.number_key("UIDBATCHES ", u64::from(*size));
                if let Some((first, last)) = batches {
                    self.number_key(" ", u64::from(*first));
                    self.number_key(":", u64::from(*last));
                }
            }
            CommandBody::Store { numbering, set, unchanged_since, action, silent, flags } => {
                self.numbered("STORE", *numbering, set);
                if let Some(modseq) = unchanged_since {
                    self.number_key(" (UNCHANGEDSINCE ", modseq.0);
                    self.text(")");
                }
                self.text(match action {
                    StoreAction::Replace => " FLAGS",
                    StoreAction::Add => " +FLAGS",
                    StoreAction::Remove => " -FLAGS",
                });
                self.text(if *silent { ".SILENT " } else { " " });
                self.list(flags, Self::flag);
            }
            CommandBody::Copy { numbering, set, mailbox } => {
                self.numbered("COPY", *numbering, set);
                self.text(" ");
                self.mailbox(mailbox);
            }
            CommandBody::Move { numbering, set, mailbox } => {
                self.numbered("MOVE", *numbering, set);
                self.text(" ");
                self.mailbox(mailbox);
            }
            _ => {}
        }
    }

    fn select_parameters(&mut self, parameters: &SelectParameters) {
        let mut open = " (";
        if parameters.condstore {
            self.text(" (CONDSTORE");
            open = " ";
        }
        if let Some(known) = &parameters.qresync {
            self.text(open);
            self.number_key("QRESYNC (", u64::from(known.uid_validity.value()));
            self.number_key(" ", known.modseq.0);
            if let Some(uids) = &known.known {
                self.text(" ");
                self.num_set(uids);
            }
            if let Some((seqs, uids)) = &known.matches {
                self.text(" (");
                self.num_set(seqs);
                self.text(" ");
                self.num_set(uids);
                self.text(")");
            }
            self.text(")");
        }
        self.text(if *parameters == SelectParameters::default() { "" } else { ")" });
    }

    fn fetch_modifiers(&mut self, modifiers: &FetchModifiers) {
        let mut open = " (";
        if let Some(modseq) = modifiers.changed_since {
            self.text(std::mem::replace(&mut open, " "));
            self.number_key("CHANGEDSINCE ", modseq.0);
        }
        if modifiers.vanished {
            self.text(std::mem::replace(&mut open, " "));
            self.text("VANISHED");
        }
        if let Some(range) = modifiers.partial {
            self.text(std::mem::replace(&mut open, " "));
            self.text("PARTIAL ");
            range.print(self.out);
        }
        self.text(if *modifiers == FetchModifiers::default() { "" } else { ")" });
    }

    fn list_command(&mut self, list: &List) {
        self.text("LIST ");
        let (s, r) = (&list.selection, &list.returns);
        if list.extended {
            let options = [
                (s.subscribed, "SUBSCRIBED"),
                (s.remote, "REMOTE"),
                (s.recursive_match, "RECURSIVEMATCH"),
                (s.special_use, "SPECIAL-USE"),
            ];
            self.list(options.iter().filter(|o| o.0), |w, o| w.text(o.1));
            self.text(" ");
        }
        self.mailbox(&list.reference);
        self.text(" ");
        match (list.extended, list.patterns.first()) {
            (false, Some(pattern)) => self.mailbox(pattern),
            _ => self.list(&list.patterns, Self::mailbox),
        }
        if !list.extended {
            return;
        }
        self.text(" RETURN ");
        let mut names = Vec::new();
        let options = [(r.subscribed, "SUBSCRIBED"), (r.children, "CHILDREN"), (r.special_use, "SPECIAL-USE")];
        names.extend(options.iter().filter(|o| o.0).map(|o| (o.1, None)));
        names.extend(r.status.as_ref().map(|items| ("STATUS ", Some(items))));
        names.extend(r.metadata.as_ref().map(|_| ("METADATA ", None)));
        self.list(names, |w, (name, items)| {
            w.text(name);
            if let Some(items) = items {
                w.status_items(items);
            }
            if let Some(entries) = r.metadata.as_ref().filter(|_| name == "METADATA ") {
                w.list(entries, Self::entry_name);
            }
        });
    }

    pub(super) fn fetch_item(&mut self, item: &FetchItem) {
        match item {
            FetchItem::Uid => self.text("UID"),
            FetchItem::Flags => self.text("FLAGS"),
            FetchItem::ModSeq => self.text("MODSEQ"),
            FetchItem::GmMsgId => self.text("X-GM-MSGID"),
            FetchItem::GmThrId => self.text("X-GM-THRID"),
            FetchItem::GmLabels => self.text("X-GM-LABELS"),
            FetchItem::InternalDate => self.text("INTERNALDATE"),
            FetchItem::Rfc822Size => self.text("RFC822.SIZE"),
            FetchItem::Envelope => self.text("ENVELOPE"),
            FetchItem::Body => self.text("BODY"),
            FetchItem::BodyStructure => self.text("BODYSTRUCTURE"),
            FetchItem::BodySection { section, partial, peek } => {
                self.text(if *peek { "BODY.PEEK" } else { "BODY" });
                print_section(self.out, section, self.strings);
                self.partial(*partial);
            }
            FetchItem::Binary { part, partial, peek } => {
                self.text(if *peek { "BINARY.PEEK[" } else { "BINARY[" });
                part_numbers(self.out, part);
                self.text("]");
                self.partial(*partial);
            }
            FetchItem::BinarySize { part } => {
                self.text("BINARY.SIZE[");
                part_numbers(self.out, part);
                self.text("]");
            }
            FetchItem::Rfc822 => self.text("RFC822"),
            FetchItem::Rfc822Header => self.text("RFC822.HEADER"),
            FetchItem::Rfc822Text => self.text("RFC822.TEXT"),
            FetchItem::EmailId => self.text("EMAILID"),
            FetchItem::ThreadId => self.text("THREADID"),
            FetchItem::SaveDate => self.text("SAVEDATE"),
            FetchItem::Preview { lazy } => self.text(if *lazy { "PREVIEW (LAZY)" } else { "PREVIEW" }),
        }
    }

    fn partial(&mut self, partial: Option<Partial>) {
        if let Some(Partial { offset, length }) = partial {
            self.text("<");
            decimal(self.out, offset);
            self.text(".");
            decimal(self.out, length);
            self.text(">");
        }
    }

    /// An objectid is never quoted (RFC 8474 §7).
    pub(super) fn gm_label(&mut self, label: &GmLabel) {
        match label {
            GmLabel::System(name) => {
                self.text("\\");
                self.text(name);
            }
            GmLabel::Name(name) => self.mailbox(name),
        }
    }

    pub(super) fn number_key(&mut self, name: &str, number: u64) {
        self.text(name);
        decimal(self.out, number);
    }

    fn numbered(&mut self, name: &str, numbering: Numbering, set: &MessageSet) {
        self.text(if numbering == Numbering::Uid { "UID " } else { "" });
        self.text(name);
        self.text(" ");
        self.set(set);
    }

    pub(super) fn set(&mut self, set: &MessageSet) {
        match set {
            MessageSet::Saved => self.text("$"),
            MessageSet::Set(set) => self.num_set(set),
        }
    }

    fn num_set(&mut self, NumSet(ranges): &NumSet) {
        for (i, range) in ranges.iter().enumerate() {
            self.text(if i > 0 { "," } else { "" });
            self.set_num(range.start);
            if range.end != range.start {
                self.text(":");
                self.set_num(range.end);
            }
        }
    }

    pub(super) fn set_num(&mut self, number: SetNum) {
        match number {
            SetNum::Num(number) => decimal(self.out, u64::from(number)),
            SetNum::Star => self.text("*"),
        }
    }

    fn named(&mut self, name: &str, mailbox: &RawMailbox) {
        self.text(name);
        self.text(" ");
        self.mailbox(mailbox);
    }

    /// A name or a pattern; quoted wherever it has a wildcard, which means the same (RFC 9051 §9 `list-mailbox`).
    pub(super) fn mailbox(&mut self, mailbox: &RawMailbox) {
        self.strings.astring(self.out, &mailbox.0);
    }

    fn status_items(&mut self, items: &[StatusItem]) {
        self.list(items, |w, item| w.text(item.name()));
    }

    pub(super) fn flag(&mut self, flag: &Flag) {
        match flag {
            Flag::System(flag) => self.text(flag.names().next().unwrap_or_default()),
            Flag::Keyword(keyword) => self.text(keyword.as_str()),
        }
    }

    pub(super) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, print: impl Fn(&mut Self, T)) {
        self.text("(");
        self.spaced(items, print);
        self.text(")");
    }

    pub(super) fn spaced<T>(&mut self, items: impl IntoIterator<Item = T>, print: impl Fn(&mut Self, T)) {
        for (i, item) in items.into_iter().enumerate() {
            self.text(if i > 0 { " " } else { "" });
            print(self, item);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary;
    use crate::framer::{Frame, FrameLimits, Framer};
    use crate::input::Input;
    use crate::parse::parse_command;
    use proptest::prelude::*;

    #[test]
    fn small_literals_do_not_wait_and_large_ones_do() {
        let login = |password: Vec<u8>| {
            let body = CommandBody::Login { user: b"bob".to_vec(), password: crate::command::Secret(password) };
            print_command(&Command { tag: crate::command::Tag("a".into()), body }, ParseMode::default())
        };
        assert_eq!(login(b"\xe4".to_vec()), b"a LOGIN bob {1+}\r\n\xe4");
        assert!(login(vec![0xe4; 4097]).starts_with(b"a LOGIN bob {4097}\r\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_parser_reads_back_what_is_printed(command in arbitrary::command(), utf8: bool) {
            let mode = ParseMode { utf8 };
            let octets = print_command(&command, mode);
            prop_assert_eq!(parse_command(&octets, mode), Ok(command), "{}", octets.escape_ascii());
        }

        #[test]
        fn the_framer_gives_back_what_is_printed(command in arbitrary::command(), utf8: bool) {
            let octets = print_command(&command, ParseMode { utf8 });
            let mut input = Input::new();
            input.push(&octets);
            input.push(b"\r\n");
            let mut framer = Framer::new(FrameLimits::AUTHENTICATED);
            let frame = loop {
                match framer.next(&mut input) {
                    Some(Frame::Literal(_)) => prop_assert!(framer.accept()),
                    frame => break frame,
                }
            };
            prop_assert_eq!(frame, Some(Frame::Command(octets)));
            prop_assert!(input.is_empty());
        }
    }
}
