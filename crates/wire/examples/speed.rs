//! How fast framing, parsing and printing are: `cargo run --release -p columba-wire --example speed`.

use std::hint::black_box;
use std::time::Instant;

use columba_types::{SeqNum, SystemFlags, Uid};
use columba_wire::{Frame, FrameLimits, Framer, Input, ParseMode, PrintMode, Printer, parse_command};

fn measure(what: &str, unit: &str, count: u64, mut work: impl FnMut()) {
    work();
    let mut best = f64::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what:<44} {:>9.1} ns/{unit} {:>12.0} {unit}/s", best / count as f64 * 1e9, count as f64 / best);
}

fn main() {
    let commands: [&[u8]; 5] = [
        b"a1 NOOP",
        b"a2 UID FETCH 1:* (UID FLAGS)",
        b"a3 UID FETCH 1:500,600:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID)])",
        b"a4 UID SEARCH RETURN (MIN MAX COUNT) UNSEEN OR FROM \"alice\" SUBJECT {5}\r\nhello SINCE 1-Feb-2024",
        b"a5 UID STORE 1,2,3,7:9 +FLAGS.SILENT (\\Seen $Forwarded)",
    ];
    for command in commands {
        let name = String::from_utf8_lossy(&command[3..command.len().min(40)]).replace("\r\n", " ");
        measure(&format!("parse {name}"), "command", 10_000, || {
            for _ in 0..10_000 {
                let _ = black_box(parse_command(black_box(command), ParseMode::default()));
            }
        });
    }
    let batch = b"a1 UID FETCH 1:* (UID FLAGS)\r\n".repeat(1000);
    measure("frame a pipelined batch", "command", 1000, || {
        let (mut framer, mut input) = (Framer::new(FrameLimits::AUTHENTICATED), Input::new());
        input.push(&batch);
        while let Some(frame) = framer.next(&mut input) {
            black_box(frame);
        }
    });
    let chunk = vec![b'x'; 64 * 1024];
    measure("stream a literal in reads of 64 KiB", "MiB", 64, || {
        let (mut framer, mut input) = (Framer::new(FrameLimits::AUTHENTICATED), Input::new());
        input.push(b"a APPEND x {67108864}\r\n");
        assert!(matches!(framer.next(&mut input), Some(Frame::Literal(_))));
        framer.stream();
        for _ in 0..1024 {
            input.push(&chunk);
            while let Some(frame) = framer.next(&mut input) {
                black_box(frame);
            }
        }
    });
    let mut out = Vec::with_capacity(8 << 20);
    measure("print FETCH (UID FLAGS)", "response", 100_000, || {
        out.clear();
        for n in 1..=100_000 {
            let mut printer = Printer::new(&mut out, PrintMode::default());
            let (Some(seq), Some(uid)) = (SeqNum::new(n), Uid::new(n * 3)) else { continue };
            printer.fetch_begin(seq, Uid::MIN);
            printer.fetch_uid(uid);
            printer.fetch_flags(false, SystemFlags::SEEN.union(SystemFlags::ANSWERED), ["$Forwarded"]);
            printer.fetch_end();
        }
        black_box(&out);
    });
}
