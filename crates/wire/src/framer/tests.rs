//! What the framer gives for what arrives: lines, literals, messages, and each limit.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const SMALL: FrameLimits = FrameLimits { line_bytes: 40, command_bytes: 60, literals: 2, dropped_bytes: 2000 };

/// Feeds the pieces one by one, decides about literals by what the head says, and joins streamed data.
fn frames<'p>(limits: FrameLimits, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Frame> {
    let (mut framer, mut input, mut frames) = (Framer::new(limits), Input::new(), Vec::new());
    for piece in pieces {
        input.push(piece);
        while let Some(frame) = framer.next(&mut input) {
            if matches!(frame, Frame::Literal(_)) {
                match framer.head() {
                    head if head.windows(6).any(|w| w == b"APPEND") => framer.stream(),
                    head if head.windows(6).any(|w| w == b"REFUSE") => framer.refuse(),
                    _ => _ = framer.accept(),
                }
            }
            match (frames.last_mut(), frame) {
                (Some(Frame::Data(before)), Frame::Data(more)) => before.extend(more),
                (_, frame) => frames.push(frame),
            }
        }
    }
    frames
}

fn all(octets: &[u8]) -> Vec<Frame> {
    frames(SMALL, [octets])
}

fn command(octets: &[u8]) -> Frame {
    Frame::Command(octets.to_vec())
}

fn literal(size: u64, synchronizing: bool, literal8: bool) -> Frame {
    Frame::Literal(LiteralHead { size, synchronizing, literal8 })
}

fn refused(tag: Option<&str>, reason: RefusalReason) -> Frame {
    Frame::Refused(Refusal { tag: tag.map(|tag| Tag(tag.into())), reason })
}

// RFC 9051 §2.2.1; a bare LF and blank lines are what people at a terminal send.
#[test]
fn lines() {
    assert_eq!(all(b"a NOOP\r\nDONE\r\n\r\nb NOOP\nc NO"), [&b"a NOOP"[..], b"DONE", b"", b"b NOOP"].map(command));
    assert_eq!(all(b"a NO\0OP\r\nb NOOP\r\n"), [refused(Some("a"), RefusalReason::Nul), command(b"b NOOP")]);
    assert_eq!(all(b"a NO\rOP\r\nb NOOP\r\n"), [refused(Some("a"), RefusalReason::BareCr), command(b"b NOOP")]);
}

// RFC 9051 §4.3, RFC 7888 §3
#[test]
fn literals_are_inline() {
    let octets = b"a LOGIN {3}\r\nbob {4+}\r\n\r\n{9}\r\nb ~{0}\r\n\r\n";
    let expected = [
        literal(3, true, false),
        literal(4, false, false),
        command(b"a LOGIN {3}\r\nbob {4+}\r\n\r\n{9}"),
        literal(0, true, true),
        command(b"b ~{0}\r\n"),
    ];
    // "{9}" is inside the second literal, so it announces nothing.
    assert_eq!(all(&octets[..octets.len() - 2]).len(), 4);
    assert_eq!(all(octets), expected);
}

#[test]
fn a_marker_at_the_end_of_a_line_is_a_literal_whatever_is_around_it() {
    assert_eq!(all(b"a X \"{1}\r\n!\"\r\n"), [literal(1, true, false), command(b"a X \"{1}\r\n!\"")]);
    for line in [&b"a X {1} "[..], b"a X {}", b"a X {+}", b"a X {1-}", b"a X 1}", b"a X \"{1}\"", b"a {1", b"}"] {
        assert_eq!(all(&[line, b"\r\n"].concat()), [command(line)]);
    }
}

// RFC 9051 §6.3.12, RFC 3502 §6.3.11
#[test]
fn a_message_is_streamed_and_what_follows_comes_alone() {
    let octets =
        b"a APPEND x {5}\r\nHello\r\nb APPEND x {0+}\r\n (\\Seen) {4}\r\nab\r\n APPEND {3}\r\nxyz\r\nc NOOP\r\n";
    let mut framer = Framer::new(SMALL);
    let mut input = Input::new();
    input.push(octets);
    let mut seen = Vec::new();
    while let Some(frame) = framer.next(&mut input) {
        if matches!(frame, Frame::Literal(_)) {
            seen.push(command(framer.head()));
            framer.stream();
        } else {
            seen.push(frame);
        }
    }
    let data = |octets: &[u8]| Frame::Data(octets.to_vec());
    let expected = [
        command(b"a APPEND x {5}\r\n"),
        data(b"Hello"),
        Frame::DataEnd,
        command(b""),
        command(b"b APPEND x {0+}\r\n"),
        Frame::DataEnd,
        command(b" (\\Seen) {4}\r\n"),
        data(b"ab\r\n"),
        Frame::DataEnd,
        command(b" APPEND {3}\r\n"),
        data(b"xyz"),
        Frame::DataEnd,
        command(b""),
        command(b"c NOOP"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn nothing_follows_a_refused_synchronizing_literal() {
    assert_eq!(all(b"a REFUSE {9}\r\nb NOOP\r\n"), [literal(9, true, false), command(b"b NOOP")]);
}

// RFC 7888 §4: the octets come anyhow, and so do the rest of the command and its other literals.
#[test]
fn a_refused_non_synchronizing_literal_is_dropped_with_its_command() {
    let octets = b"a REFUSE {9+}\r\nb NOOP\r\n! {3+}\r\nx\r\n ~{1+}\r\n!\r\nc NOOP\r\n";
    assert_eq!(all(octets), [literal(9, false, false), command(b"c NOOP")]);
    let waits = b"a REFUSE {1+}\r\n! {3}\r\nc NOOP\r\n";
    assert_eq!(all(waits), [literal(1, false, false), command(b"c NOOP")]);
}

#[test]
fn a_stream_can_be_refused_half_way() {
    let (mut framer, mut input) = (Framer::new(SMALL), Input::new());
    input.push(b"a APPEND x {8}\r\n123");
    assert!(matches!(framer.next(&mut input), Some(Frame::Literal(_))));
    framer.stream();
    assert_eq!(framer.next(&mut input), Some(Frame::Data(b"123".to_vec())));
    framer.refuse();
    input.push(b"45678 {2+}\r\nxx\r\nb NOOP\r\n");
    assert_eq!(framer.next(&mut input), Some(command(b"b NOOP")));
}

// limits::COMMAND_LINE_BYTES, COMMAND_BYTES, COMMAND_LITERALS
#[test]
fn each_limit_refuses_and_the_next_command_is_taken() {
    let next = command(b"n NOOP");
    let fits = [&b"a "[..], &[b'x'; 36], b"\r\n"].concat();
    assert_eq!(all(&fits), [command(&fits[..38])]);
    let line = [&b"a "[..], &[b'x'; 37], b"\r\nn NOOP\r\n"].concat();
    assert_eq!(all(&line), [refused(Some("a"), RefusalReason::LineTooLong), next.clone()]);
    // The line that is too long announces a literal: it goes with it.
    let line = [&b"a "[..], &[b'x'; 60], b" {8+}\r\nx NOOP\r\n\r\nn NOOP\r\n"].concat();
    assert_eq!(all(&line), [refused(Some("a"), RefusalReason::LineTooLong), next.clone()]);

    let big = b"a X {50+}\r\n12345678901234567890123456789012345678901234567890 {1+}\r\n!\r\nn NOOP\r\n";
    let too_big = refused(Some("a"), RefusalReason::CommandTooBig);
    assert_eq!(all(big), [literal(50, false, false), too_big.clone(), next.clone()]);
    assert_eq!(all(b"a X {51}\r\nn NOOP\r\n"), [literal(51, true, false), too_big, next.clone()]);

    let many = b"a {0+}\r\n {0+}\r\n {2+}\r\n\r\n\r\nn NOOP\r\n";
    let too_many = refused(Some("a"), RefusalReason::TooManyLiterals);
    let zero = literal(0, false, false);
    assert_eq!(all(many), [zero.clone(), zero, literal(2, false, false), too_many, next.clone()]);

    let size = b"a {9223372036854775808}\r\nn NOOP\r\n";
    assert_eq!(all(size), [refused(Some("a"), RefusalReason::LiteralSize), next]);
    assert_eq!(all(b"a {9223372036854775807}\r\n")[0], literal(i64::MAX as u64, true, false));
}

// limits::DRAINED_BYTES
#[test]
fn what_never_ends_is_not_read_to_its_end() {
    let endless = refused(None, RefusalReason::Endless);
    let dropped = SMALL.dropped_bytes;
    let octets = format!("a REFUSE {{{}+}}\r\nb NOOP\r\n", dropped + 1);
    assert_eq!(all(octets.as_bytes()), [literal(dropped + 1, false, false), endless.clone()]);
    let octets = format!("a REFUSE {{{dropped}+}}\r\n");
    assert_eq!(all(octets.as_bytes()), [literal(dropped, false, false)]);
    // Many small ones count together.
    let octets = [b"a REFUSE {1+}\r\n".to_vec(), b"! {1+}\r\n".repeat(dropped as usize / 8)].concat();
    assert_eq!(all(&octets), [literal(1, false, false), endless.clone()]);
    // A size that is all zeros up to where nobody remembers its beginning.
    let octets = [b"a REFUSE {1+}\r\n!{".to_vec(), b"0".repeat(99), b"1+}\r\nx\r\n".to_vec()].concat();
    assert_eq!(all(&octets), [literal(1, false, false), endless]);
}

// A client that pushes a large message to a mailbox that is not there reads why and goes on: guide §6 point 55.
#[test]
fn after_login_as_much_is_dropped_as_a_message_may_have() {
    let size = limits::MESSAGE_BYTES;
    let refuse = |limits: FrameLimits| {
        let (mut framer, mut input) = (Framer::new(FrameLimits::UNAUTHENTICATED), Input::new());
        framer.set_limits(limits);
        input.push(format!("a APPEND x {{{size}+}}\r\n").as_bytes());
        assert_eq!(framer.next(&mut input), Some(literal(size, false, false)));
        framer.refuse();
        framer.next(&mut input)
    };
    assert_eq!(refuse(FrameLimits::AUTHENTICATED), None);
    assert_eq!(refuse(FrameLimits::UNAUTHENTICATED), Some(refused(None, RefusalReason::Endless)));
}

#[test]
fn nothing_is_held_when_nothing_is_there() {
    let (mut framer, mut input) = (Framer::new(FrameLimits::UNAUTHENTICATED), Input::new());
    input.push(&b"x".repeat(limits::COMMAND_LINE_BYTES_UNAUTHENTICATED + 1));
    assert!(matches!(framer.next(&mut input), Some(Frame::Refused(_))));
    for _ in 0..50 {
        assert_eq!(framer.next(&mut input), None);
        assert!(framer.command.capacity() < 4096 && input.is_empty() && !framer.is_idle());
        input.push(&[b'x'; 2000]);
    }
    input.push(b"\r\na APPEND x {2}\r\n");
    assert!(matches!(framer.next(&mut input), Some(Frame::Literal(_))));
    framer.stream();
    assert_eq!((framer.command.capacity(), framer.is_idle()), (0, false));
    input.push(b"ab\r\nb {1+}\r\n!\r\n");
    while let Some(frame) = framer.next(&mut input) {
        let _ = matches!(frame, Frame::Literal(_)) && framer.accept();
    }
    assert_eq!((framer.command.capacity(), framer.is_idle()), (0, true));
}

#[test]
fn streamed_data_comes_in_bounded_chunks_and_is_not_copied_when_alone() {
    let (mut framer, mut input) = (Framer::new(SMALL), Input::new());
    input.push(b"a APPEND x {600000}\r\n");
    assert!(matches!(framer.next(&mut input), Some(Frame::Literal(_))));
    framer.stream();
    input.push(&vec![7; limits::MESSAGE_CHUNK_BYTES]);
    let place = input.as_slice().as_ptr();
    let Some(Frame::Data(chunk)) = framer.next(&mut input) else { panic!("no data") };
    assert_eq!((chunk.as_ptr(), chunk.len()), (place, limits::MESSAGE_CHUNK_BYTES));
    input.push(&vec![7; limits::MESSAGE_CHUNK_BYTES + 5]);
    let Some(Frame::Data(chunk)) = framer.next(&mut input) else { panic!("no data") };
    assert_eq!((chunk.len(), input.len()), (limits::MESSAGE_CHUNK_BYTES, 5));
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "a[0-9] (APPEND|REFUSE|X) ",
        "~?\\{[0-9]{1,2}\\+?\\}(\r)?\n",
        "[a-z{}+~0-9 \r\n]{0,9}",
        "x{30,60}",
        Just("\r\n".to_owned()),
        Just("{2001+}\r\n".to_owned()),
        Just("{99999999999999999999}\r\n".to_owned()),
        Just("\0".to_owned()),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_split_gives_the_same_frames(octets in stream(), cuts in proptest::collection::vec(1usize..7, 1..9)) {
        let mut pieces = Vec::new();
        let mut rest = &octets[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(frames(SMALL, pieces), all(&octets));
    }
}
