//! Arbitrary octets from a client, cut in arbitrary pieces: the frames are the same, and memory stays bounded.

use columba_wire::{Frame, FrameLimits, Framer, Input, parse_append_head, parse_command};

const LIMITS: FrameLimits = FrameLimits { line_bytes: 128, command_bytes: 256, literals: 4, dropped_bytes: 4096 };

/// The first octet says how the rest is cut.
pub fn framer(octets: &[u8]) {
    let Some((&seed, octets)) = octets.split_first() else { return };
    let whole = frames([octets]);
    assert_eq!(frames(pieces(octets, seed)), whole);
    for frame in whole {
        if let Frame::Command(command) = frame {
            let _ = parse_command(&command, Default::default());
        }
    }
}

fn pieces(octets: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let (mut state, mut rest) = (u32::from(seed) | 1, octets);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = match seed {
            0 => 1,
            _ => (state >> 24) as usize % usize::from(seed) + 1,
        };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Decides about each literal by its size and what came before it; joins the pieces of a streamed one.
fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Frame> {
    let (mut framer, mut input, mut frames) = (Framer::new(LIMITS), Input::new(), Vec::new());
    for piece in pieces {
        input.push(piece);
        while let Some(frame) = framer.next(&mut input) {
            assert!(framer.head().len() <= LIMITS.command_bytes);
            if let Frame::Literal(literal) = frame {
                match parse_append_head(framer.head(), Default::default()) {
                    Some(_) => framer.stream(),
                    None if literal.size % 7 == 6 => framer.refuse(),
                    None => _ = framer.accept(),
                }
            }
            match (frames.last_mut(), frame) {
                (Some(Frame::Data(before)), Frame::Data(more)) => before.extend(more),
                (_, frame) => frames.push(frame),
            }
        }
        assert!(input.is_empty() && framer.head().len() <= LIMITS.command_bytes);
    }
    frames
}
