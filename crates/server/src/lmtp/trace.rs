//! The fields final delivery puts on top of a message (RFC 5321 §4.4): Return-Path, Delivered-To, Received.

use std::fmt::Write as _;

use columba_types::{Date, DateTime};

/// What is known of one transaction.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// As written; empty for `<>`.
    pub(crate) sender: String,
    /// What the client calls itself.
    pub(crate) client_name: String,
    /// Where it really comes from; `None` on a Unix socket.
    pub(crate) client_address: Option<std::net::IpAddr>,
    /// Our name.
    pub(crate) host_name: String,
    /// For logs and the Received field.
    pub(crate) id: String,
    /// Whether the client said SMTPUTF8.
    pub(crate) utf8: bool,
    /// When the message was complete.
    pub(crate) arrived: DateTime,
}

impl Envelope {
    /// The fields for one recipient, address as written.
    pub(crate) fn trace(&self, recipient: &str) -> String {
        let mut text = format!("Return-Path: <{}>\r\nDelivered-To: {recipient}\r\n", self.sender);
        let from = match self.client_address {
            // RFC 5321 §4.1.3: address literals name their kind but for IPv4.
            Some(std::net::IpAddr::V6(v6)) => format!("([IPv6:{v6}])"),
            Some(v4) => format!("([{v4}])"),
            None => "(local)".to_owned(),
        };
        // RFC 6531 §4.3: UTF8LMTP.
        let with = if self.utf8 { "UTF8LMTP" } else { "LMTP" };
        _ = write!(
            text,
            "Received: from {} {from}\r\n\tby {} with {with} id {}\r\n\tfor <{recipient}>; {}\r\n",
            self.client_name,
            self.host_name,
            self.id,
            rfc5322(self.arrived)
        );
        text
    }
}

/// A `date-time` of RFC 5322 §3.3.
fn rfc5322(moment: DateTime) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let date = moment.local_date();
    // 1970-01-01 was a Thursday.
    let weekday = WEEKDAYS[date.days_since_epoch().rem_euclid(7) as usize];
    let (hour, minute, second) = moment.local_time();
    let zone = moment.zone_minutes.unsigned_abs();
    let sign = if moment.zone_minutes < 0 { '-' } else { '+' };
    format!(
        "{weekday}, {} {} {:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}",
        date.day,
        Date::month_name(date.month),
        date.year,
        zone / 60,
        zone % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_their_weekday() {
        assert_eq!(rfc5322(DateTime::utc(0)), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(
            rfc5322(DateTime { unix_secs: 1_700_000_000, zone_minutes: -90 }),
            "Tue, 14 Nov 2023 20:43:20 -0130"
        );
    }

    #[test]
    fn the_fields_in_their_order() {
        let envelope = Envelope {
            sender: "a@b.example".into(),
            client_name: "mx.example".into(),
            client_address: Some("2001:db8::1".parse().unwrap()),
            host_name: "mail.example".into(),
            id: "7.1".into(),
            utf8: false,
            arrived: DateTime::utc(0),
        };
        assert_eq!(
            envelope.trace("ann+x@c.example"),
            "Return-Path: <a@b.example>\r\nDelivered-To: ann+x@c.example\r\nReceived: from mx.example ([IPv6:2001:db8::1])\r\n\
             \tby mail.example with LMTP id 7.1\r\n\tfor <ann+x@c.example>; Thu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
    }
}
