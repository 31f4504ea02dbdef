//! Calendar dates and moments with a zone, as INTERNALDATE and SEARCH need them. No clock is read here.

use std::fmt;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day of the Gregorian calendar, without time or zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    /// Year, 0 to 9999.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
}

impl Date {
    /// `None` if there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let valid = year <= 9999 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        valid.then_some(Self { year, month, day })
    }

    /// Days since 1970-01-01, by the proleptic Gregorian calendar (years counted from March, in eras of 400).
    pub fn days_since_epoch(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The inverse of [`Date::days_since_epoch`], held within the years 0 to 9999.
    pub fn from_days_since_epoch(days: i64) -> Self {
        let days = days.clamp(-719_528, 2_932_896) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year: year as u16, month: month as u8, day: day as u8 }
    }

    /// The English name of a month in three letters; `month` is 1 to 12.
    pub fn month_name(month: u8) -> &'static str {
        MONTHS[usize::from(month.clamp(1, 12) - 1)]
    }

    /// The month of that three-letter name, in any case.
    pub fn month_from_name(name: &[u8]) -> Option<u8> {
        MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(name)).map(|i| i as u8 + 1)
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// A moment, with the zone it was written in (RFC 9051 §9 `date-time`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_secs: i64,
    /// Minutes east of UTC, -1439 to 1439.
    pub zone_minutes: i16,
}

impl DateTime {
    /// A moment in UTC.
    pub const fn utc(unix_secs: i64) -> Self {
        Self { unix_secs, zone_minutes: 0 }
    }

    /// From what a clock on the wall shows; `None` if there is no such time. A leap second counts as the one before.
    pub fn from_local(date: Date, hour: u8, minute: u8, second: u8, zone_minutes: i16) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 60 || zone_minutes.unsigned_abs() >= 24 * 60 {
            return None;
        }
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
        let local = date.days_since_epoch() * 86_400 + seconds;
        Some(Self { unix_secs: local - i64::from(zone_minutes) * 60, zone_minutes })
    }

    /// The day the wall clock shows in the moment's own zone: what SEARCH compares (RFC 9051 §6.4.4).
    pub fn local_date(self) -> Date {
        Date::from_days_since_epoch(self.local_secs().div_euclid(86_400))
    }

    /// Hour, minute and second in the moment's own zone.
    pub fn local_time(self) -> (u8, u8, u8) {
        let secs = self.local_secs().rem_euclid(86_400);
        ((secs / 3600) as u8, (secs / 60 % 60) as u8, (secs % 60) as u8)
    }

    fn local_secs(self) -> i64 {
        self.unix_secs.saturating_add(i64::from(self.zone_minutes) * 60)
    }
}

/// Prints ` 5-Nov-2026 23:04:05 +0100`, the day padded by a space (RFC 9051 §9 `date-time`, without its quotes).
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.local_date();
        let (hour, minute, second) = self.local_time();
        let zone = self.zone_minutes.unsigned_abs();
        let sign = if self.zone_minutes < 0 { '-' } else { '+' };
        write!(
            f,
            "{:>2}-{}-{:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}",
            date.day,
            Date::month_name(date.month),
            date.year,
            zone / 60,
            zone % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        assert_eq!(Date::new(1970, 1, 1).unwrap().days_since_epoch(), 0);
        assert_eq!(Date::new(2000, 3, 1).unwrap().days_since_epoch(), 11_017);
        assert_eq!(Date::new(1900, 2, 29), None);
        assert!(Date::new(2000, 2, 29).is_some());
    }

    #[test]
    fn prints_the_example_of_the_rfc() {
        let date = Date::new(1996, 7, 17).unwrap();
        let moment = DateTime::from_local(date, 2, 44, 25, -7 * 60).unwrap();
        assert_eq!(moment.to_string(), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(moment.local_date(), date);
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in -719_528i64..=2_932_896) {
            let date = Date::from_days_since_epoch(days);
            prop_assert_eq!(date.days_since_epoch(), days);
            prop_assert_eq!(Date::new(date.year, date.month, date.day), Some(date));
        }
    }
}
