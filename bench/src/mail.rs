//! Mail that looks like mail: sizes, structures, encodings, character sets, threads and dates as mailboxes of years have them.
//! Every message follows from the seed and its number alone, so that servers get the same and answers can be checked.

mod body;
mod random;

use std::fmt::Write as _;

use body::{Sea, paragraphs};
use random::Random;

/// What the messages of a mailbox are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Lognormal sizes with a median of 6 KB, a twentieth of them over 30 KB; every structure and encoding.
    Real,
    /// Plain text of some 600 octets: for mailboxes whose number of messages is what matters.
    Tiny,
    /// Plain text, just so many octets in all (no fewer than the header needs).
    Sized(usize),
    /// Plain text and one attachment that makes it just so many octets.
    Attached(usize),
}

/// One message in twenty has this word in its text, decoded; no other has it.
pub(crate) const RARE_WORD: &str = "quaggamire";
const RARE_EVERY: u64 = 20;
/// Messages of a thread follow each other, and have a project in their subject.
const THREAD: u64 = 8;
const PROJECTS: u64 = 100;
/// Correspondents of a mailbox.
const PEOPLE: u64 = 400;
/// Messages arrive a little apart, from 2016 on.
const FIRST_DAY: u64 = 16_801;
const MEDIAN: f64 = 6_000.0;
const SPREAD: f64 = 1.1;
const LARGEST: f64 = 4_000_000.0;

/// A source of messages.
#[derive(Debug)]
pub(crate) struct Mail {
    seed: u64,
    sea: Sea,
}

/// One of them.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) octets: Vec<u8>,
    /// Flags and internal date as APPEND has them: `(\Seen) "01-Jan-2026 10:00:00 +0000"`.
    pub(crate) attributes: String,
}

impl Mail {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, sea: Sea::new(seed) }
    }

    /// How many of the first `messages` have [`RARE_WORD`] in their text.
    pub(crate) fn with_rare_word(messages: u64) -> u64 {
        messages.div_ceil(RARE_EVERY)
    }

    /// How many of the first `messages` have [`Self::project`] of that number in their subject.
    pub(crate) fn of_project(messages: u64, project: u64) -> u64 {
        let (rounds, rest) = (messages / (THREAD * PROJECTS), messages % (THREAD * PROJECTS));
        rounds * THREAD + rest.saturating_sub(project * THREAD).min(THREAD)
    }

    /// What subjects have of a project.
    pub(crate) fn project(number: u64) -> String {
        format!("project-{number:03}")
    }

    /// How many of the first `messages` came with `\Flagged`.
    pub(crate) fn flagged(messages: u64) -> u64 {
        messages.div_ceil(50)
    }

    /// The day on which message `number` came, as SEARCH has it.
    pub(crate) fn day(number: u64) -> String {
        let (year, month, day) = civil(FIRST_DAY + number / 25);
        format!("{day}-{}-{year}", MONTHS[month])
    }

    /// How many came before the day of message `number`.
    pub(crate) fn before_day_of(number: u64) -> u64 {
        number / 25 * 25
    }

    /// Its Message-ID, without the angle brackets.
    pub(crate) fn message_id(number: u64) -> String {
        format!("{:016x}.{number}@mail.example.org", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Message `number` of a mailbox.
    pub(crate) fn message(&self, shape: Shape, number: u64) -> Message {
        let mut random = Random::new(self.seed, number);
        let date = Date::of(number);
        let mut octets = Vec::new();
        let header = self.header(number, &date, &mut random);
        octets.extend_from_slice(header.as_bytes());
        let rare = number.is_multiple_of(RARE_EVERY);
        match shape {
            Shape::Real => {
                let size = (MEDIAN * (random.normal() * SPREAD).exp()).clamp(200.0, LARGEST);
                body::real(&mut octets, &self.sea, &mut random, size as usize, rare);
            }
            Shape::Tiny => body::plain(&mut octets, &self.sea, &mut random, 150, rare),
            Shape::Sized(size) => {
                octets.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n");
                let room = size.saturating_sub(octets.len());
                paragraphs(&mut octets, &self.sea, &mut random, room);
                fit(&mut octets, size);
            }
            Shape::Attached(size) => body::attached(&mut octets, &self.sea, &mut random, size),
        }
        Message { octets, attributes: attributes(number, &date, &mut random) }
    }

    fn header(&self, number: u64, date: &Date, random: &mut Random) -> String {
        let thread = number / THREAD;
        let place = number % THREAD;
        let mut header = String::with_capacity(1200);
        let host = random.below(40);
        let [a, b] = [random.below(250), random.below(250)];
        // What mail picks up on its way: most of a header is of no use to anybody but is stored all the same.
        _ = write!(
            header,
            "Return-Path: <{from}>\r\nReceived: from mx{host}.example.org (mx{host}.example.org [192.0.2.{a}])\r\n\
             \tby mail.example.net with ESMTPS id {number:010X}\r\n\tfor <ann@example.net>; {date}\r\n\
             Received: from [198.51.100.{b}] (unknown [198.51.100.{b}])\r\n\tby mx{host}.example.org; {date}\r\n",
            from = address(thread * 3 + place % 3),
            date = date.header,
        );
        _ = write!(
            header,
            "From: {} <{}>\r\nTo: Ann Example <ann@example.net>\r\n",
            person(thread * 3 + place % 3),
            address(thread * 3 + place % 3)
        );
        if random.below(3) == 0 {
            let others: Vec<String> = (0..=random.below(4)).map(|other| address(thread + other * 7)).collect();
            _ = write!(header, "Cc: {}\r\n", others.join(",\r\n\t"));
        }
        let prefix = if place == 0 { "" } else { "Re: " };
        let title = self.sea.words(thread, 3 + (thread % 5) as usize);
        let project = Self::project(thread % PROJECTS);
        match thread % 10 {
            0 => _ = write!(header, "Subject: {prefix}{project} =?utf-8?Q?Gr=C3=BC=C3=9Fe_und?= {title}\r\n"),
            1 => _ = write!(header, "Subject: {prefix}{project} =?iso-8859-1?Q?caf=E9_?=\r\n {title}\r\n"),
            _ => _ = write!(header, "Subject: {prefix}[{project}] {title}\r\n"),
        }
        _ = write!(header, "Date: {}\r\nMessage-ID: <{}>\r\n", date.header, Self::message_id(number));
        if place > 0 {
            let parents: Vec<String> =
                (thread * THREAD..number).map(|parent| format!("<{}>", Self::message_id(parent))).collect();
            _ = write!(header, "In-Reply-To: <{}>\r\n", Self::message_id(number - 1));
            _ = write!(header, "References: {}\r\n", parents.join("\r\n "));
        }
        if thread.is_multiple_of(4) {
            _ = write!(
                header,
                "List-Id: <list{}.example.org>\r\nList-Unsubscribe: <https://example.org/u/{number}>\r\nPrecedence: list\r\n",
                thread % 12
            );
        }
        header.push_str("X-Mailer: Example Mail 5.1\r\nMIME-Version: 1.0\r\n");
        header
    }
}

/// Makes it just so long, in a way that leaves its last line whole.
fn fit(octets: &mut Vec<u8>, size: usize) {
    octets.truncate(size.saturating_sub(2));
    if octets.last() == Some(&b'\r') {
        octets.pop();
    }
    while octets.len() + 2 < size {
        octets.push(b'.');
    }
    octets.extend_from_slice(b"\r\n");
}

fn attributes(number: u64, date: &Date, random: &mut Random) -> String {
    let mut flags = Vec::new();
    if random.below(100) < 85 {
        flags.push("\\Seen");
    }
    if random.below(100) < 20 {
        flags.push("\\Answered");
    }
    if number.is_multiple_of(50) {
        flags.push("\\Flagged");
    }
    if random.below(100) < 5 {
        flags.push("$Label1");
    }
    format!("({}) \"{}\"", flags.join(" "), date.internal)
}

fn address(person: u64) -> String {
    let person = person % PEOPLE;
    format!("person{person}@{}.example.org", ["north", "south", "east", "west"][(person % 4) as usize])
}

fn person(person: u64) -> String {
    let person = person % PEOPLE;
    match person % 5 {
        0 => format!("\"Example, Person {person}\""),
        1 => format!("=?utf-8?B?SsO8cmdlbg==?= Person {person}"),
        _ => format!("Person {person}"),
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

struct Date {
    /// As a header has it, and as APPEND has it.
    header: String,
    internal: String,
}

impl Date {
    /// 25 messages a day.
    fn of(number: u64) -> Self {
        let days = FIRST_DAY + number / 25;
        let minute = number % 25 * 57;
        let (year, month, day) = civil(days);
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
        let time = format!("{:02}:{:02}:{:02} +0000", minute / 60, minute % 60, number % 60);
        Self {
            header: format!("{weekday}, {day} {} {year} {time}", MONTHS[month]),
            internal: format!("{day:02}-{}-{year} {time}", MONTHS[month]),
        }
    }
}

/// Year, month from 0, and day of a number of days since 1970-01-01: years are counted from March, so that leap days are their last.
fn civil(days: u64) -> (u64, usize, u64) {
    let from_era = days + 719_468;
    let (era, of_era) = (from_era / 146_097, from_era % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    (era * 400 + year_of_era + u64::from(month < 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_from_seed_and_number() {
        let [one, again, other] = [Mail::new(7), Mail::new(7), Mail::new(8)];
        for number in [0, 1, 19, 20, 399] {
            assert_eq!(one.message(Shape::Real, number), again.message(Shape::Real, number));
            assert_ne!(one.message(Shape::Real, number), other.message(Shape::Real, number));
        }
    }

    #[test]
    fn sizes_are_what_they_have_to_be() {
        let mail = Mail::new(1);
        for size in [4_096, 30_000, 2_000_000] {
            assert_eq!(mail.message(Shape::Sized(size), 3).octets.len(), size);
            assert_eq!(mail.message(Shape::Attached(size), 3).octets.len(), size);
        }
        let mut sizes: Vec<usize> = (0..2_000).map(|number| mail.message(Shape::Real, number).octets.len()).collect();
        sizes.sort_unstable();
        let (median, large) = (sizes[1_000], sizes[1_900]);
        assert!((5_000..10_000).contains(&median), "median {median}");
        assert!(large > 30_000, "95th percentile {large}");
        assert!((500..1_600).contains(&mail.message(Shape::Tiny, 5).octets.len()));
    }

    #[test]
    fn every_line_ends_with_crlf_and_is_short() {
        let mail = Mail::new(1);
        for number in 0..500 {
            let octets = mail.message(Shape::Real, number).octets;
            assert!(octets.ends_with(b"\r\n"));
            for line in octets.split_inclusive(|octet| *octet == b'\n') {
                assert!(
                    line.ends_with(b"\r\n") && line.len() <= 1_000,
                    "message {number}: {:?}",
                    String::from_utf8_lossy(line)
                );
                assert!(!line[..line.len() - 2].contains(&b'\r'), "message {number}");
            }
        }
    }

    #[test]
    fn what_searches_look_for_is_counted_right() {
        let mail = Mail::new(3);
        let messages: Vec<_> = (0..1_700).map(|number| mail.message(Shape::Tiny, number)).collect();
        let having =
            |what: &str| messages.iter().filter(|m| String::from_utf8_lossy(&m.octets).contains(what)).count() as u64;
        assert_eq!(having(RARE_WORD), Mail::with_rare_word(1_700));
        for project in [0, 7, 12, 99] {
            assert_eq!(having(&Mail::project(project)), Mail::of_project(1_700, project), "project {project}");
        }
        let flagged = messages.iter().filter(|m| m.attributes.contains("Flagged")).count() as u64;
        assert_eq!(flagged, Mail::flagged(1_700));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(civil(0), (1970, 0, 1));
        assert_eq!(civil(FIRST_DAY), (2016, 0, 1));
        assert_eq!(civil(FIRST_DAY + 59), (2016, 1, 29));
        assert_eq!(civil(20_513), (2026, 2, 1));
        assert_eq!(Date::of(25).header, "Sat, 2 Jan 2016 00:00:25 +0000");
        assert_eq!(Mail::day(25), "2-Jan-2016");
        assert_eq!(Mail::before_day_of(60), 50);
    }
}
