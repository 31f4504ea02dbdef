//! Date fields: RFC 5322 with its obsolete forms, and what else is found in Date fields. Looks at no clock.

use columba_types::{Date, DateTime};

/// Octets of a Date field that are looked at; an honest one has 40.
const DATE_BYTES: usize = 256;

/// Reads the value of a Date field; `None` if no day can be made out.
///
/// A time that is missing or invalid is 00:00:00, a zone that is missing or invalid is UTC (RFC 5256 §2.2).
pub fn parse_date(raw: &[u8]) -> Option<DateTime> {
    let text = tight_colons(&without_comments(raw.get(..raw.len().min(DATE_BYTES))?));
    let mut found = Found::default();
    for token in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|t| !t.is_empty()) {
        found.take(token);
    }
    let date = found.date()?;
    let (hour, minute, second) = found.time.unwrap_or_default();
    let zone = found.zone.unwrap_or(0);
    DateTime::from_local(date, hour, minute, second, zone)
        .or_else(|| DateTime::from_local(date, 0, 0, 0, zone))
        .or_else(|| DateTime::from_local(date, 0, 0, 0, 0))
}

// RFC 5322 §3.2.2: comments may stand between any two tokens, and nest.
fn without_comments(raw: &[u8]) -> String {
    let mut depth = 0usize;
    let mut out = String::with_capacity(raw.len());
    for byte in raw {
        match byte {
            b'(' => {
                depth += 1;
                out.push(' ');
            }
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && byte.is_ascii() => out.push(char::from(*byte)),
            _ => {}
        }
    }
    out
}

// RFC 5322 §4.3: an obsolete time may have white space around its colons.
fn tight_colons(text: &str) -> String {
    text.split(':').map(str::trim).collect::<Vec<_>>().join(":")
}

/// What the tokens so far have told.
#[derive(Default)]
struct Found {
    /// Numbers in the order they came: day and year, or year and day.
    numbers: Vec<Number>,
    month: Option<u8>,
    time: Option<(u8, u8, u8)>,
    zone: Option<i16>,
}

#[derive(Clone, Copy)]
struct Number {
    value: u16,
    digits: usize,
}

impl Found {
    fn take(&mut self, token: &str) {
        if let Some(number) = number(token)
            && self.numbers.len() < 2
        {
            self.numbers.push(number);
        } else if let Some(month) = self.month.is_none().then(|| month(token)).flatten() {
            self.month = Some(month);
        } else if token.contains(':') && !token.starts_with(['+', '-']) {
            self.take_time(token);
        } else if let Some(hours) = self.time.and_then(|_| zone(token)) {
            self.zone = self.zone.or(Some(hours));
        } else if token.contains(['-', '/']) {
            self.take_joined(token);
        } else if let Some((hour, minute, second)) = self.time {
            match token.to_ascii_lowercase().as_str() {
                "pm" if hour < 12 => self.time = Some((hour + 12, minute, second)),
                "am" if hour == 12 => self.time = Some((0, minute, second)),
                _ => {}
            }
        }
    }

    /// `1-Jan-2001`, `2001-01-31`, and `2001-01-31T10:00:00Z` (RFC 3339).
    fn take_joined(&mut self, token: &str) {
        let (day, time) = token
            .split_once(['T', 't'])
            .filter(|(d, _)| number(d.get(..4).unwrap_or("")).is_some())
            .unwrap_or((token, ""));
        let pieces: Vec<&str> = day.split(['-', '/']).collect();
        let [first, middle, last] = pieces.as_slice() else { return };
        let month = month(middle).or_else(|| number(middle).and_then(|n| u8::try_from(n.value).ok()));
        if let (Some(first), Some(month), Some(last)) = (number(first), month, number(last))
            && self.numbers.is_empty()
        {
            self.numbers = vec![first, last];
            self.month = self.month.or(Some(month));
        }
        if !time.is_empty() {
            self.take_time(time);
        }
    }

    /// `10:00`, `10:00:00`, `10:00:00.000`, perhaps with a zone stuck to it.
    fn take_time(&mut self, token: &str) {
        if let Some((date, time)) = token.split_once(['T', 't']).filter(|(date, _)| date.contains('-')) {
            self.take_joined(date);
            return self.take_time(time);
        }
        let end = token.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(token.len());
        let (clock, rest) = token.split_at(end);
        let mut pieces = clock.split(['.', ':']).map(|piece| piece.parse::<u8>().ok());
        let (hour, minute, second) = (pieces.next().flatten(), pieces.next().flatten(), pieces.next());
        if let (Some(hour), Some(minute)) = (hour, minute) {
            // A leap second is legal, anything else out of range makes the whole time invalid.
            let second = second.flatten().unwrap_or(0);
            let valid = hour < 24 && minute < 60 && second <= 60;
            self.time = Some(if valid { (hour, minute, second) } else { (0, 0, 0) });
        }
        if self.time.is_some() && !rest.is_empty() {
            self.zone = self.zone.or(zone(rest));
        }
    }

    fn date(&self) -> Option<Date> {
        let [first, second] = self.numbers.as_slice() else { return None };
        let (year, day) = if first.digits >= 4 { (first, second) } else { (second, first) };
        Date::new(full_year(*year), self.month?, u8::try_from(day.value).ok()?)
    }
}

// RFC 5322 §4.3: two digits are 2000 to 2049 or 1950 to 1999; three are counted from 1900.
fn full_year(year: Number) -> u16 {
    match year.digits {
        0..=2 if year.value < 50 => year.value + 2000,
        0..=3 => year.value + 1900,
        _ => year.value,
    }
}

fn number(token: &str) -> Option<Number> {
    let plain = !token.is_empty() && token.len() <= 4 && token.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| token.parse().ok()).flatten().map(|value| Number { value, digits: token.len() })
}

/// The month whose name begins the token: `Jan`, `January`, `Jan.`.
fn month(token: &str) -> Option<u8> {
    let name = token.get(..3)?;
    let rest = token.get(3..)?;
    rest.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.').then(|| Date::month_from_name(name.as_bytes())).flatten()
}

/// Minutes east of UTC.
fn zone(token: &str) -> Option<i16> {
    let name = token.to_ascii_uppercase();
    if let Some((_, hours)) = ZONES.iter().find(|(zone, _)| *zone == name) {
        return Some(hours * 60);
    }
    let digits = name.strip_prefix("GMT").or(name.strip_prefix("UTC")).unwrap_or(&name);
    let (sign, digits) = match digits.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        // RFC 5322 §4.3: the military letters were defined the wrong way round and mean nothing: UTC.
        (letter, "") if letter.bytes().all(|b| b.is_ascii_alphabetic()) => return Some(0),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match digits.len() {
        4 => digits.split_at(2),
        1 | 2 => (digits.as_str(), "0"),
        _ => return None,
    };
    let (hours, minutes) = (hours.parse::<i16>().ok()?, minutes.parse::<i16>().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

// RFC 5322 §4.3 `obs-zone`, hours east of UTC, and a few that are seen as often.
const ZONES: [(&str, i16); 14] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("CET", 1),
    ("CEST", 2),
    ("JST", 9),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> String {
        parse_date(text.as_bytes()).map_or("none".to_owned(), |date| date.to_string())
    }

    // RFC 5322 Appendix A and §4.3.
    #[test]
    fn dates_of_the_rfc() {
        assert_eq!(parsed("Fri, 21 Nov 1997 09:55:06 -0600"), "21-Nov-1997 09:55:06 -0600");
        assert_eq!(parsed("21 Nov 97 09:55:06 GMT"), "21-Nov-1997 09:55:06 +0000");
        assert_eq!(
            parsed("Thu,\r\n      13\r\n  Feb\r\n  1969\r\n 23:32\r\n -0330 (Newfoundland Time)"),
            "13-Feb-1969 23:32:00 -0330"
        );
        assert_eq!(parsed("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600"), "21-Nov-1997 09:55:06 -0600");
        assert_eq!(parsed("1 Jan 49 00:00 EST"), " 1-Jan-2049 00:00:00 -0500");
        assert_eq!(parsed("1 Jan 103 00:00 A"), " 1-Jan-2003 00:00:00 +0000");
    }

    #[test]
    fn dates_found_in_mail() {
        for (text, date) in [
            ("Mon Sep  2 10:11:12 2002", " 2-Sep-2002 10:11:12 +0000"),
            ("Mon Sep  2 10:11:12 CEST 2002", " 2-Sep-2002 10:11:12 +0200"),
            ("Mon, 2-Sep-2002 10:11:12 +02:00", " 2-Sep-2002 10:11:12 +0200"),
            ("2002-09-02T10:11:12.5+0200", " 2-Sep-2002 10:11:12 +0200"),
            ("2002-09-02T10:11:12Z", " 2-Sep-2002 10:11:12 +0000"),
            ("2002-09-02 10:11:12", " 2-Sep-2002 10:11:12 +0000"),
            ("Monday, September 2, 2002 3:04 PM", " 2-Sep-2002 15:04:00 +0000"),
            ("2 Sep 2002 12:04:05 AM +0100", " 2-Sep-2002 00:04:05 +0100"),
            ("2 Sep 2002", " 2-Sep-2002 00:00:00 +0000"),
            ("2 Sep 2002 25:99 nonsense", " 2-Sep-2002 00:00:00 +0000"),
            ("2 Sep 2002 10:11:60 +9999", " 2-Sep-2002 10:11:59 +0000"),
            ("2 Sep 2002 10:11:12 GMT+1", " 2-Sep-2002 10:11:12 +0100"),
        ] {
            assert_eq!(parsed(text), date, "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in ["", "yesterday", "32 Jan 2001 00:00:00 +0000", "1 Foo 2001", "29 Feb 2001", "1 2 3 4 5"] {
            assert_eq!(parsed(text), "none", "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(raw: Vec<u8>, text in "[0-9A-Za-z:+,()/ -]{0,40}") {
            parse_date(&raw);
            parse_date(text.as_bytes());
        }
    }
}
