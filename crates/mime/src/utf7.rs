//! UTF-7 (RFC 2152), which encoding_rs does not have. Tolerant: what is broken is dropped or taken as it stands.

/// Decodes UTF-7 in chunks of any size.
#[derive(Debug, Default)]
pub(crate) struct Utf7 {
    /// Inside `+…-`; else octets are characters.
    shifted: bool,
    /// Nothing has followed the `+` yet.
    just_shifted: bool,
    /// Bits that are not yet a UTF-16 unit, and how many.
    bits: u32,
    count: u32,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

impl Utf7 {
    /// Appends what can be decided.
    pub(crate) fn feed(&mut self, octets: &[u8], out: &mut String) {
        for octet in octets {
            match letter(*octet).filter(|_| self.shifted) {
                Some(value) => {
                    self.just_shifted = false;
                    self.shift_in(value, out);
                }
                None => self.plain(*octet, out),
            }
        }
    }

    /// Appends what was held back.
    pub(crate) fn finish(mut self, out: &mut String) {
        self.end_pair(out);
    }

    fn shift_in(&mut self, value: u8, out: &mut String) {
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 6;
        if self.count < 16 {
            return;
        }
        self.count -= 16;
        let unit = (self.bits >> self.count) as u16;
        self.bits &= (1 << self.count) - 1;
        match (self.high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                out.extend(char::decode_utf16([high, unit]).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
                self.high = None;
            }
            _ => {
                self.end_pair(out);
                match char::from_u32(u32::from(unit)) {
                    Some(c) => out.push(c),
                    None if unit < 0xdc00 => self.high = Some(unit),
                    None => out.push(char::REPLACEMENT_CHARACTER),
                }
            }
        }
    }

    /// An octet that is not of the alphabet, or not inside a shifted run.
    fn plain(&mut self, octet: u8, out: &mut String) {
        if !self.shifted && octet == b'+' {
            (self.shifted, self.just_shifted) = (true, true);
            return;
        }
        // RFC 2152 rule 2: `+-` is a plus; the `-` that ends a run is no character; any other end is one.
        if self.just_shifted && octet == b'-' {
            out.push('+');
        }
        self.end_pair(out);
        let ends_run = std::mem::take(&mut self.shifted) && octet == b'-';
        (self.just_shifted, self.bits, self.count) = (false, 0, 0);
        if !ends_run {
            out.push(char::from(octet));
        }
    }

    fn end_pair(&mut self, out: &mut String) {
        if self.high.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// The value of a letter of the base64 alphabet.
fn letter(octet: u8) -> Option<u8> {
    match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(octets: &[u8], cut: usize) -> String {
        let mut out = String::new();
        let mut decoder = Utf7::default();
        octets.chunks(cut).for_each(|chunk| decoder.feed(chunk, &mut out));
        decoder.finish(&mut out);
        out
    }

    // The examples of RFC 2152.
    #[test]
    fn examples_of_the_rfc() {
        for cut in 1..5 {
            assert_eq!(decoded(b"A+ImIDkQ.", cut), "A\u{2262}\u{391}.");
            assert_eq!(decoded(b"Hi Mom -+Jjo--!", cut), "Hi Mom -\u{263a}-!");
            assert_eq!(decoded(b"+ZeVnLIqe-", cut), "\u{65e5}\u{672c}\u{8a9e}");
            assert_eq!(decoded(b"Item 3 is +AKM-1.", cut), "Item 3 is \u{a3}1.");
        }
    }

    #[test]
    fn odd_runs() {
        assert_eq!(decoded(b"1 +- 1 = +2D3eAA", 2), "1 + 1 = \u{1f600}");
        assert_eq!(decoded(b"+2D0-x+3gA-y", 2), "\u{fffd}x\u{fffd}y");
        assert_eq!(decoded(b"+\r\n+A", 2), "\r\n");
    }
}
