//! The line in front of each message of an mbox: `From sender date`, in the forms that are found.

use columba_types::{Date, DateTime};

/// The date of a line that begins a message; `None` if the line is no such line. A line that begins with `From ` and
/// has no date is text: without that test, careless writers' mail would fall apart.
pub(super) fn parse(line: &[u8]) -> Option<DateTime> {
    let text = String::from_utf8_lossy(line.strip_prefix(b"From ")?);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    // `Tue Nov 22 22:15:46 2026`, with a zone before or after the year in some programs' files.
    words.windows(2).enumerate().rev().find_map(|(at, pair)| {
        let month = Date::month_from_name(pair.first()?.as_bytes())?;
        let day: u8 = pair.get(1)?.parse().ok()?;
        let rest = words.get(at + 2..)?;
        let (hour, minute, second) = rest.first().and_then(|word| parse_time(word))?;
        let year = rest.iter().skip(1).find_map(|word| parse_year(word))?;
        let zone = rest.iter().skip(1).find_map(|word| parse_zone(word)).unwrap_or(0);
        DateTime::from_local(Date::new(year, month, day)?, hour, minute, second, zone)
    })
}

fn parse_time(word: &str) -> Option<(u8, u8, u8)> {
    let mut parts = word.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    parts.next().is_none().then_some((hour, minute, second))
}

fn parse_year(word: &str) -> Option<u16> {
    (word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok())?
}

fn parse_zone(word: &str) -> Option<i16> {
    let sign = match word.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = word.get(1..).filter(|d| d.len() == 4 && d.bytes().all(|b| b.is_ascii_digit()))?;
    let number: i16 = digits.parse().ok()?;
    let minutes = number / 100 * 60 + number % 100;
    (minutes < 24 * 60).then_some(sign * minutes)
}

/// The line for a message that arrived then, in UTC as the format has it (RFC 4155, Appendix A).
pub(super) fn print(date: DateTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let utc = DateTime::utc(date.unix_secs);
    let (day, (hour, minute, second)) = (utc.local_date(), utc.local_time());
    let weekday = usize::try_from(day.days_since_epoch().rem_euclid(7)).unwrap_or(0);
    let weekday = DAYS.get(weekday).copied().unwrap_or_default();
    let month = Date::month_name(day.month);
    format!("From MAILER-DAEMON {weekday} {month} {:2} {hour:02}:{minute:02}:{second:02} {:04}\n", day.day, day.year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_are_found_are_read() {
        let utc = 1_795_385_746;
        let lines = [
            ("From ann@example.org Sun Nov 22 22:15:46 2026", utc, 0),
            ("From ann@example.org  Sun Nov 22 22:15:46 2026\r\n", utc, 0),
            ("From - Sun Nov 22 22:15:46 2026\n", utc, 0),
            ("From MAILER-DAEMON Sun Nov 22 22:15 2026", utc - 46, 0),
            ("From a Sun Nov 22 23:15:46 2026 +0100", utc, 60),
            ("From a Sun Nov 22 23:15:46 +0100 2026", utc, 60),
            ("From a Sun Nov 22 22:15:46 GMT 2026", utc, 0),
            ("From \"May 5\"@x Sun Nov 22 22:15:46 2026", utc, 0),
        ];
        for (line, unix_secs, zone_minutes) in lines {
            assert_eq!(parse(line.as_bytes()), Some(DateTime { unix_secs, zone_minutes }), "{line}");
        }
    }

    #[test]
    fn text_is_no_from_line() {
        for line in
            ["From here on, all is well", "From ", "From the desk of May 5 at ten", "from a Sun Nov 22 22:15:46 2026"]
        {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        for secs in [0, 1_795_385_746, -1] {
            let line = print(DateTime { unix_secs: secs, zone_minutes: 60 });
            assert_eq!(parse(line.as_bytes()), Some(DateTime::utc(secs)), "{line}");
        }
        assert_eq!(print(DateTime::utc(0)), "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n");
    }
}
