//! Measures walk, summarise and text decoding: `cargo run --release -p columba-mime --example speed`.
//!
//! Prints for each kind of message its size, the time for one, and MB (10^6 octets) per second.

use std::hint::black_box;
use std::time::Instant;

use columba_mime::{Finder, TextDecoder, TransferEncoding, search_form, search_form_into, summarise, walk};

const HEADER: &str = "Return-Path: <bounce-1234567@lists.example.org>\r\n\
Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx.example.com (Postfix) with ESMTPS id 4F1A2B3C4D\r\n\
\tfor <someone@example.com>; Mon, 17 Aug 2026 10:11:12 +0200 (CEST)\r\n\
Received: from localhost (localhost [127.0.0.1])\r\n\tby mail.example.org (Postfix) with ESMTP id 5E6F7A8B9C\r\n\
\tfor <someone@example.com>; Mon, 17 Aug 2026 10:11:10 +0200 (CEST)\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\r\n\
\th=from:to:cc:subject:date:message-id:mime-version:content-type:references;\r\n\
\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\
\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzRdzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZ\r\n\
\t VoG4ZHRNiYzRdzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR==\r\n\
Authentication-Results: mx.example.com; dkim=pass header.d=example.org; spf=pass; dmarc=pass\r\n\
Date: Mon, 17 Aug 2026 10:11:09 +0200\r\n\
From: \"J. Random Sender\" <sender@example.org>\r\n\
To: Some One <someone@example.com>, =?utf-8?q?J=C3=B6rg?= <joerg@example.com>\r\n\
Cc: list@lists.example.org\r\n\
Subject: Re: [list] =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from the measurement\r\n\
Message-ID: <20260817101109.12345.67890@mail.example.org>\r\n\
In-Reply-To: <20260816090807.11111@example.com>\r\n\
References: <20260815090807.00001@example.com>\r\n\t<20260816090807.11111@example.com>\r\n\
List-Id: A list <list.lists.example.org>\r\nList-Unsubscribe: <mailto:list-leave@lists.example.org>\r\n\
X-Mailer: Measure 1.0\r\nX-Spam-Status: No, score=-1.9 required=5.0 tests=BAYES_00,DKIM_SIGNED,\r\n\tDKIM_VALID,SPF_PASS\r\n\
MIME-Version: 1.0\r\n";

const LINE: &str = "This is a line of the text of a message, about as long as most of them are.\r\n";

fn plain(bytes: usize) -> Vec<u8> {
    let text = LINE.repeat(bytes / LINE.len() + 1);
    format!("{HEADER}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}").into_bytes()
}

fn base64_lines(bytes: usize) -> String {
    let line = format!("{}\r\n", "QUJDREVGR0hJSktMTU5P".repeat(4).get(..76).unwrap_or_default());
    line.repeat(bytes / 78 + 1)
}

fn alternative(text: usize) -> Vec<u8> {
    let plain = LINE.repeat(text / 2 / LINE.len() + 1);
    let html =
        "<p style=3D\"margin: 0\">A line of HTML in quoted-printable, as long as those=\r\n of real mail are.</p>\r\n"
            .repeat(text / 2 / 100 + 1);
    format!(
        "{HEADER}Content-Type: multipart/alternative; boundary=\"----=_Part_1\"\r\n\r\n------=_Part_1\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{plain}\r\n------=_Part_1\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{html}\r\n------=_Part_1--\r\n"
    )
    .into_bytes()
}

fn attachment(bytes: usize) -> Vec<u8> {
    format!(
        "{HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\n\
         Content-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename*=utf-8''%C3%BC.pdf\r\n\r\n{}--b--\r\n",
        base64_lines(bytes)
    )
    .into_bytes()
}

/// Seconds that one call takes: the best of many small batches, so that a busy machine spoils less.
fn seconds(batch: usize, batches: usize, mut call: impl FnMut()) -> f64 {
    let one = |_| {
        let start = Instant::now();
        (0..batch).for_each(|_| call());
        start.elapsed().as_secs_f64() / batch as f64
    };
    (0..batches).map(one).fold(f64::MAX, f64::min)
}

fn measure(name: &str, message: &[u8]) {
    let batch = (100_000 / message.len().max(1)).max(1);
    let batches = (100_000_000 / message.len().max(1) / batch).clamp(5, 500);
    let walking = seconds(batch, batches, || drop(black_box(walk(black_box(message)))));
    let structure = walk(message);
    let summarising = seconds(batch, batches, || drop(black_box(summarise(black_box(&structure)))));
    println!(
        "{name:<48}{:>9} B  walk {:>9.1} µs  summarise {:>9.1} µs {:>6.0} MB/s",
        message.len(),
        walking * 1e6,
        summarising * 1e6,
        message.len() as f64 / (walking + summarising) / 1e6
    );
}

fn measure_text(name: &str, encoding: TransferEncoding, charset: &str, body: &str) {
    let mut found = Finder::new(&search_form("Not There At All"));
    let (mut text, mut form) = (String::new(), String::new());
    let time = seconds(1, 100, || {
        let mut decoder = TextDecoder::new(encoding, charset);
        for chunk in body.as_bytes().chunks(256 * 1024) {
            text.clear();
            form.clear();
            decoder.feed(chunk, &mut text);
            search_form_into(&text, &mut form);
            found.feed(&form);
        }
    });
    println!("{name:<48}decode, fold, find {:>9.0} MB/s", body.len() as f64 / time / 1e6);
}

fn main() {
    println!("realistic");
    measure("plain text, 4 KB", &plain(1_800));
    measure("multipart/alternative, 30 KB", &alternative(28_000));
    measure("attachment, 1 MB", &attachment(1_000_000));
    measure("attachment, 20 MB", &attachment(20_000_000));
    if std::env::args().nth(1).is_some_and(|which| which == "realistic") {
        return;
    }
    println!("worst cases");
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    measure("10,000 parts", format!("{mixed}{}", "--b\r\n\r\nx\r\n".repeat(10_000)).as_bytes());
    let nest: String = (0..99)
        .map(|n| format!("Content-Type: multipart/mixed; boundary={}{n:03}\r\n\r\n--{0}{n:03}\r\n", "a".repeat(900)))
        .collect();
    let nearly = format!("--{}xxx\r\n", "a".repeat(900));
    measure("99 long boundaries, 20 MB of near misses", format!("{nest}\r\n{}", nearly.repeat(22_000)).as_bytes());
    let ladder: String = (1..99)
        .map(|n| format!("Content-Type: multipart/mixed; boundary={0}b\r\n\r\n--{0}b\r\n", "a".repeat(n * 10)))
        .collect();
    let rung = format!("--{}c\r\n", "a".repeat(1000));
    measure(
        "98 boundaries of rising length, 20 MB of misses",
        format!("{ladder}\r\n{}", rung.repeat(20_000)).as_bytes(),
    );
    measure("20 MB of hyphens", format!("{mixed}{}", "--\r\n".repeat(5_000_000)).as_bytes());
    measure("20 MB of LF", format!("{mixed}{}", "\n".repeat(20_000_000)).as_bytes());
    measure("20 MB of header", "a: b\r\n".repeat(3_400_000).as_bytes());
    measure("20 MB without a line end", "a".repeat(20_000_000).as_bytes());
    let heavy =
        format!("--b\r\nContent-Type: a/b; {}\r\n\r\n", (0..199).map(|n| format!("a*{n}=;")).collect::<String>());
    measure("10,000 parts of 199 continuations", format!("{mixed}{}", heavy.repeat(10_000)).as_bytes());
    let digest = "Content-Type: multipart/digest; boundary=b\r\n\r\n";
    let crowd = format!("--b\r\n\r\nTo: {}\r\n\r\n", "a,".repeat(1_000));
    measure("5,000 messages to 1,000 addresses", format!("{digest}{}", crowd.repeat(5_000)).as_bytes());
    for (name, piece) in
        [("quotes", "\""), ("brackets", "<"), ("comments", "("), ("colons", "a@b:"), ("routes", "<@a,")]
    {
        let value = piece.repeat(65_000 / piece.len());
        let fields = ["From", "To", "Cc", "Bcc", "Sender", "Reply-To"].map(|field| format!("{field}: {value}\r\n"));
        measure(&format!("64 KB of {name} in each address field"), fields.concat().as_bytes());
    }
    println!("search");
    measure_text("plain text, UTF-8", TransferEncoding::SevenBit, "utf-8", &LINE.repeat(10_000));
    measure_text("plain text, ISO-8859-1", TransferEncoding::SevenBit, "iso-8859-1", &LINE.repeat(10_000));
    measure_text(
        "German, UTF-8",
        TransferEncoding::EightBit,
        "utf-8",
        &"Größere Übungen für größere Köpfe\r\n".repeat(10_000),
    );
    measure_text("Greek, UTF-8", TransferEncoding::EightBit, "utf-8", &"ΑΒΓΔΕΖΗΘ ικλμνξοπ\r\n".repeat(10_000));
    measure_text("base64", TransferEncoding::Base64, "utf-8", &base64_lines(1_000_000));
    measure_text(
        "quoted-printable",
        TransferEncoding::QuotedPrintable,
        "utf-8",
        &"Gr=C3=BC=C3=9Fe and then some text that is plain, with a soft=\r\n line break\r\n".repeat(10_000),
    );
}
