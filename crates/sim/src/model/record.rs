//! What was said in a run, in the order it was said, and how that is written as a script of `tests/scripts`.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

use crate::script::play::as_script;

#[derive(Clone, Debug)]
enum Event {
    Mailbox(String),
    Deliver { mailbox: String, flags: Vec<String>, octets: Vec<u8> },
    Login(String),
    Sent(String, String),
    Heard(String, Vec<u8>),
    Closed(String),
    Disconnected(String),
    Clock(u64),
    Disk(bool),
    MessageLimit(u32, Option<u32>),
    BatchSize(u32),
}

/// Shared by everybody who speaks or hears.
#[derive(Clone, Debug, Default)]
pub(super) struct Record(Rc<RefCell<Events>>);

#[derive(Debug, Default)]
struct Events {
    all: Vec<Event>,
    /// The response that was looked at last.
    looked_at: usize,
}

impl Record {
    fn add(&self, event: Event) {
        self.0.borrow_mut().all.push(event);
    }

    pub(super) fn mailbox(&self, name: &str) {
        self.add(Event::Mailbox(name.into()));
    }

    pub(super) fn deliver(&self, mailbox: &str, flags: &[String], octets: &[u8]) {
        self.add(Event::Deliver { mailbox: mailbox.into(), flags: flags.to_vec(), octets: octets.to_vec() });
    }

    pub(super) fn login(&self, connection: &str) {
        self.add(Event::Login(connection.into()));
    }

    /// A line as a script has it: literals in braces.
    pub(super) fn sent(&self, connection: &str, line: String) {
        self.add(Event::Sent(connection.into(), line));
    }

    /// Something was said; its place on record.
    pub(super) fn heard(&self, connection: &str, response: &[u8]) -> usize {
        self.add(Event::Heard(connection.into(), response.to_vec()));
        self.0.borrow().all.len() - 1
    }

    /// A client looks at what was said there.
    pub(super) fn looked_at(&self, place: usize) {
        self.0.borrow_mut().looked_at = place;
    }

    pub(super) fn closed(&self, connection: &str) {
        self.add(Event::Closed(connection.into()));
    }

    pub(super) fn disconnected(&self, connection: &str) {
        self.add(Event::Disconnected(connection.into()));
    }

    pub(super) fn disk(&self, hangs: bool) {
        self.add(Event::Disk(hangs));
    }

    pub(super) fn message_limit(&self, any: u32, saving: Option<u32>) {
        self.add(Event::MessageLimit(any, saving));
    }

    pub(super) fn batch_size(&self, least: u32) {
        self.add(Event::BatchSize(least));
    }

    pub(super) fn clock(&self, secs: u64) {
        self.add(Event::Clock(secs));
    }

    /// The run as a script. The response looked at last is what `wrong` is about, if `at_the_last`: it is a comment,
    /// so that the script fails at that line as long as the server says it.
    pub(super) fn script(&self, title: &str, wrong: &str, at_the_last: bool) -> String {
        let events = self.0.borrow();
        let last = at_the_last.then_some(events.looked_at);
        let mut text = format!("# {}\n# Shows: {}\n\n", one_line(title), one_line(wrong));
        for (at, event) in events.all.iter().enumerate() {
            if last == Some(at) {
                let _ = writeln!(text, "# Wrong: {}\n# {}", one_line(wrong), line(event));
            } else {
                let _ = writeln!(text, "{}", line(event));
            }
        }
        if last.is_none() {
            let _ = writeln!(text, "# In the end: {}", one_line(wrong));
        }
        text
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn line(event: &Event) -> String {
    match event {
        Event::Mailbox(name) => format!("mailbox {name}"),
        Event::Deliver { mailbox, flags, octets } => {
            let flags = if flags.is_empty() { String::new() } else { format!(" flags ({})", flags.join(" ")) };
            let text = String::from_utf8_lossy(octets);
            let lines: String = text.trim_end_matches("\r\n").split("\r\n").map(|line| format!("\n| {line}")).collect();
            format!("message {mailbox}{flags}{lines}")
        }
        Event::Login(connection) => format!("{connection} login"),
        Event::Sent(connection, line) => format!("{connection} C: {line}"),
        Event::Heard(connection, response) => format!("{connection} S: {}", without_text(&as_script(response))),
        Event::Closed(connection) => format!("{connection} S: (closed)"),
        Event::Disconnected(connection) => format!("{connection} C: (closes)"),
        Event::Clock(secs) => format!("clock {secs}s"),
        Event::MessageLimit(any, None) => format!("message-limit {any}"),
        Event::MessageLimit(any, Some(saving)) => format!("message-limit {any} {saving}"),
        Event::BatchSize(least) => format!("batch-size {least}"),
        Event::Disk(hangs) => format!("disk {}", if *hangs { "hangs" } else { "works" }),
    }
}

/// Status responses without what is only for people.
fn without_text(response: &str) -> &str {
    let mut words = response.splitn(3, ' ');
    let (first, second, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    if first == "+" {
        return "+";
    }
    if !["OK", "NO", "BAD", "BYE"].contains(&second) {
        return response;
    }
    let code = if rest.starts_with('[') { rest.find(']').map_or(0, |end| end + 2) } else { 0 };
    response[..first.len() + 1 + second.len() + code].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_a_script() {
        let record = Record::default();
        record.deliver("INBOX", &["\\Seen".into()], b"Subject: m1\r\n\r\nm1\r\n");
        record.login("a1");
        record.sent("a1", "t1 NOOP".into());
        record.heard("a1", b"* 3 EXPUNGE");
        let last = record.heard("a1", b"t1 OK [HIGHESTMODSEQ 5] Done");
        record.looked_at(last);
        let script = record.script("Seed 1", "too\nfew", true);
        assert_eq!(
            script,
            "# Seed 1\n# Shows: too few\n\nmessage INBOX flags (\\Seen)\n| Subject: m1\n| \n| m1\na1 login\na1 C: t1 NOOP\n\
             a1 S: * 3 EXPUNGE\n# Wrong: too few\n# a1 S: t1 OK [HIGHESTMODSEQ 5]\n"
        );
        crate::script::parse(&script, &|_| None).unwrap();
    }
}
