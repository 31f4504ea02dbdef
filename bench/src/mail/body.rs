//! Bodies: structures, transfer encodings and character sets. Text and attachments are cut from two seas that are made once:
//! making a million messages must not take longer than storing them.

use std::fmt::Write as _;

use super::RARE_WORD;
use super::random::Random;

const SEA: usize = 1 << 20;
const BASE64_LINE: usize = 76;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What texts and attachments are cut from.
#[derive(Debug)]
pub(super) struct Sea {
    words: Vec<String>,
    /// Lines of words, each with CRLF.
    text: Vec<u8>,
    /// Lines of base64, each with CRLF.
    base64: Vec<u8>,
}

impl Sea {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, u64::MAX);
        let syllables =
            ["ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sta", "tre", "wi", "lon", "der", "gan"];
        let word = |random: &mut Random| -> String {
            (0..=random.below(3)).filter_map(|_| syllables.get(random.below(16) as usize)).copied().collect()
        };
        let words: Vec<String> = (0..8_000).map(|_| word(&mut random)).collect();
        let mut text = Vec::with_capacity(SEA + 100);
        while text.len() < SEA {
            let mut line = String::new();
            while line.len() < 62 {
                // A few words are most of a text.
                let at = (random.unit().powi(4) * 8_000.0) as usize;
                line.push_str(words.get(at).map_or("word", |word| word));
                line.push(' ');
            }
            text.extend_from_slice(line.trim_end().as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        let mut base64 = Vec::with_capacity(SEA + 100);
        while base64.len() < SEA {
            base64.extend((0..BASE64_LINE).map(|_| ALPHABET[(random.next() >> 58) as usize]));
            base64.extend_from_slice(b"\r\n");
        }
        Self { words, text, base64 }
    }

    /// Words for a title.
    pub(super) fn words(&self, from: u64, count: usize) -> String {
        let from = from.wrapping_mul(31) as usize % self.words.len();
        let words: Vec<&str> = self.words.iter().cycle().skip(from).take(count).map(String::as_str).collect();
        words.join(" ")
    }
}

/// Whole lines of a sea, some `size` octets.
fn cut(octets: &mut Vec<u8>, sea: &[u8], random: &mut Random, size: usize) {
    let mut left = size;
    let mut from = random.below(sea.len() as u64) as usize;
    while left > 0 {
        let start = memchr::memchr(b'\n', sea.get(from..).unwrap_or_default()).map_or(0, |at| from + at + 1);
        let rest = sea.get(start..).unwrap_or_default();
        let piece = rest.get(..left).unwrap_or(rest);
        let end = memchr::memrchr(b'\n', piece).map_or(0, |at| at + 1);
        octets.extend_from_slice(piece.get(..end).unwrap_or_default());
        if end == 0 || piece.len() == left {
            return;
        }
        left -= end;
        from = 0;
    }
}

/// Lines of ASCII text, some `size` octets.
pub(super) fn paragraphs(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize) {
    cut(octets, &sea.text, random, size);
}

fn boundary(random: &mut Random) -> String {
    format!("=_{:016x}", random.next())
}

/// A leaf of text in one of the encodings that mail has, header and body.
fn text(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, subtype: &str, size: usize, rare: bool) {
    let mut plain = Vec::with_capacity(size + 100);
    if subtype == "html" {
        plain.extend_from_slice(b"<html><body><p class=3D>\r\n");
    }
    if rare {
        plain.extend_from_slice(format!("A {RARE_WORD} was seen\r\n").as_bytes());
    }
    paragraphs(&mut plain, sea, random, size);
    if subtype == "html" {
        plain.extend_from_slice(b"</body></html>\r\n");
    }
    let kind = |octets: &mut Vec<u8>, charset: &str, encoding: &str| {
        let lines =
            format!("Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        octets.extend_from_slice(lines.as_bytes());
    };
    match random.below(10) {
        0..4 => {
            kind(octets, "us-ascii", "7bit");
            octets.extend_from_slice(&plain);
        }
        4..7 => {
            kind(octets, "\"utf-8\"", "quoted-printable");
            quoted_printable(octets, &plain, b"=C3=BCber =E2=80=9C");
        }
        7 => {
            kind(octets, "windows-1252", "quoted-printable");
            quoted_printable(octets, &plain, b"caf=E9 =80=20");
        }
        8 => {
            kind(octets, "utf-8", "base64");
            plain.splice(0..0, "\u{dc}ber \u{201e}alles\u{201c} \u{43c}\u{438}\u{440}\r\n".bytes());
            base64(octets, &plain);
        }
        _ => {
            kind(octets, "koi8-r", "8bit");
            octets.extend_from_slice(b"\xd0\xd2\xc9\xd7\xc5\xd4 \xcd\xc9\xd2\r\n");
            octets.extend_from_slice(&plain);
        }
    }
}

/// Lines with what has to be encoded put before every fourth; a `=` is escaped.
fn quoted_printable(octets: &mut Vec<u8>, plain: &[u8], special: &[u8]) {
    for (number, line) in plain.split_inclusive(|octet| *octet == b'\n').enumerate() {
        if number % 4 == 0 {
            octets.extend_from_slice(special);
            // A soft line break: it belongs to the encoding, not to the text.
            octets.extend_from_slice(b" =\r\n");
        }
        for octet in line {
            match octet {
                b'=' => octets.extend_from_slice(b"=3D"),
                _ => octets.push(*octet),
            }
        }
    }
}

fn base64(octets: &mut Vec<u8>, plain: &[u8]) {
    for line in plain.chunks(BASE64_LINE / 4 * 3) {
        for group in line.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|at| u32::from(group.get(at).copied().unwrap_or(0)));
            let bits = a << 16 | b << 8 | c;
            for at in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
                octets.push(if at <= group.len() { digit } else { b'=' });
            }
        }
        octets.extend_from_slice(b"\r\n");
    }
}

fn attachment(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize) {
    let (kind, name) =
        [("application/pdf", "report.pdf"), ("image/jpeg", "photo.jpg"), ("application/zip", "data.zip")]
            [random.below(3) as usize];
    let header = format!(
        "Content-Type: {kind}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"; size={}\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
        size / 78 * 57
    );
    octets.extend_from_slice(header.as_bytes());
    cut(octets, &sea.base64, random, size);
}

/// One leaf.
pub(super) fn plain(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize, rare: bool) {
    octets.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n");
    if rare {
        octets.extend_from_slice(format!("A {RARE_WORD} was seen\r\n").as_bytes());
    }
    paragraphs(octets, sea, random, size);
}

/// A body of some `size` octets in any structure.
pub(super) fn real(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize, rare: bool) {
    match random.below(100) {
        0..40 => text(octets, sea, random, "plain", size, rare),
        40..72 => alternative(octets, sea, random, size, rare),
        72..93 => mixed(octets, sea, random, size, rare),
        _ => forwarded(octets, sea, random, size, rare),
    }
}

fn multipart(octets: &mut Vec<u8>, random: &mut Random, subtype: &str) -> String {
    let boundary = boundary(random);
    octets.extend_from_slice(
        format!("Content-Type: multipart/{subtype};\r\n\tboundary=\"{boundary}\"\r\n\r\n").as_bytes(),
    );
    if random.below(2) == 0 {
        octets.extend_from_slice(b"This is a multi-part message in MIME format.\r\n");
    }
    boundary
}

fn part(octets: &mut Vec<u8>, boundary: &str) {
    octets.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
}

fn last(octets: &mut Vec<u8>, boundary: &str) {
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

fn alternative(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize, rare: bool) {
    let boundary = multipart(octets, random, "alternative");
    part(octets, &boundary);
    text(octets, sea, random, "plain", size / 4, rare);
    part(octets, &boundary);
    text(octets, sea, random, "html", size - size / 4, rare);
    last(octets, &boundary);
}

fn mixed(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize, rare: bool) {
    let boundary = multipart(octets, random, "mixed");
    part(octets, &boundary);
    if random.below(2) == 0 {
        alternative(octets, sea, random, size / 5, rare);
    } else {
        text(octets, sea, random, "plain", size / 5, rare);
    }
    let attachments = 1 + random.below(3) as usize;
    for _ in 0..attachments {
        part(octets, &boundary);
        attachment(octets, sea, random, size * 4 / 5 / attachments);
    }
    last(octets, &boundary);
}

fn forwarded(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize, rare: bool) {
    let boundary = multipart(octets, random, "mixed");
    part(octets, &boundary);
    text(octets, sea, random, "plain", 400, rare);
    part(octets, &boundary);
    let mut header = String::from("Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n");
    let inner = random.next();
    _ = write!(
        header,
        "From: Somebody <some{}@example.com>\r\nTo: all@example.com\r\nSubject: Inner {inner:x}\r\n\
         Date: Tue, 5 Jan 2016 08:00:00 +0100\r\nMessage-ID: <{inner:x}@example.com>\r\nMIME-Version: 1.0\r\n",
        inner % 100
    );
    octets.extend_from_slice(header.as_bytes());
    if inner.is_multiple_of(2) {
        alternative(octets, sea, random, size, false);
    } else {
        mixed(octets, sea, random, size, false);
    }
    last(octets, &boundary);
}

/// Text, and an attachment that makes the whole of it just so long.
pub(super) fn attached(octets: &mut Vec<u8>, sea: &Sea, random: &mut Random, size: usize) {
    let boundary = multipart(octets, random, "mixed");
    part(octets, &boundary);
    text(octets, sea, random, "plain", 500, false);
    part(octets, &boundary);
    let closing = boundary.len() + 8;
    let left = size.saturating_sub(octets.len() + closing + 300);
    attachment(octets, sea, random, left);
    // The last line of the attachment takes up what is left, in lines that base64 may have.
    let mut missing = size.saturating_sub(octets.len() + closing);
    while missing >= 3 {
        let line = (missing - 2).min(BASE64_LINE);
        // What would be left is no line: this one is shorter.
        let line = if (1..3).contains(&(missing - 2 - line)) { line - 3 } else { line };
        octets.extend(std::iter::repeat_n(b'A', line));
        octets.extend_from_slice(b"\r\n");
        missing -= line + 2;
    }
    last(octets, &boundary);
}
