//! Dates and moments.

use columba_types::{Date, DateTime};

use super::cursor::{Cursor, Parsed};

const DATE: &str = "expected a date like 17-Jul-1996";
const DATE_TIME: &str = "expected a date and time like \"17-Jul-1996 02:44:25 -0700\"";

// date            = date-text / DQUOTE date-text DQUOTE
pub(super) fn date(c: &mut Cursor<'_>) -> Parsed<Date> {
    let quoted = c.take(b'"');
    // date-text       = date-day "-" date-month "-" date-year
    // date-day        = 1*2DIGIT
    let date = day_month_year(c, 1, DATE)?;
    if quoted {
        c.expect(b'"', "expected \" after the date")?;
    }
    Ok(date)
}

// date-time       = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
// date-day-fixed  = (SP DIGIT) / 2DIGIT
// time            = 2DIGIT ":" 2DIGIT ":" 2DIGIT
// zone            = ("+" / "-") 4DIGIT
pub(super) fn date_time(c: &mut Cursor<'_>) -> Parsed<DateTime> {
    let at = c.place();
    c.expect(b'"', DATE_TIME)?;
    let padded = c.take(b' ');
    let date = day_month_year(c, if padded { 1 } else { 2 }, DATE_TIME)?;
    c.expect(b' ', DATE_TIME)?;
    let hour = digits(c, 2, DATE_TIME)?;
    c.expect(b':', DATE_TIME)?;
    let minute = digits(c, 2, DATE_TIME)?;
    c.expect(b':', DATE_TIME)?;
    let second = digits(c, 2, DATE_TIME)?;
    c.expect(b' ', DATE_TIME)?;
    let west = c.take(b'-');
    if !west {
        c.expect(b'+', DATE_TIME)?;
    }
    let (hours, minutes) = (digits(c, 2, DATE_TIME)?, digits(c, 2, DATE_TIME)?);
    c.expect(b'"', DATE_TIME)?;
    let zone = i16::try_from(hours * 60 + minutes).unwrap_or(i16::MAX);
    let zone = if west { -zone } else { zone };
    let moment = DateTime::from_local(date, hour as u8, minute as u8, second as u8, zone);
    match moment.filter(|_| minutes < 60) {
        Some(moment) => Ok(moment),
        None => c.fail_at(at, "there is no such time"),
    }
}

fn day_month_year(c: &mut Cursor<'_>, least_day_digits: usize, expected: &'static str) -> Parsed<Date> {
    let at = c.place();
    let day = c.run(|b| b.is_ascii_digit());
    if !(least_day_digits..=2).contains(&day.len()) {
        return c.fail_at(at, expected);
    }
    let day = day.iter().fold(0, |n, b| n * 10 + (b - b'0'));
    c.expect(b'-', expected)?;
    let Some(month) = Date::month_from_name(c.run(|b| b.is_ascii_alphabetic())) else {
        return c.fail("expected the name of a month in three letters");
    };
    c.expect(b'-', expected)?;
    let year = digits(c, 4, expected)?;
    match Date::new(year, month, day) {
        Some(date) => Ok(date),
        None => c.fail_at(at, "there is no such day"),
    }
}

/// Exactly `count` digits, at most 4.
fn digits(c: &mut Cursor<'_>, count: usize, expected: &'static str) -> Parsed<u16> {
    let at = c.place();
    let mut number = 0;
    for _ in 0..count {
        match c.peek() {
            Some(b @ b'0'..=b'9') => {
                c.skip();
                number = number * 10 + u16::from(b - b'0');
            }
            _ => return c.fail_at(at, expected),
        }
    }
    Ok(number)
}
