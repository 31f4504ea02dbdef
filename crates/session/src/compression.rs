//! COMPRESS=DEFLATE (RFC 4978): octets of a connection to and from raw DEFLATE (RFC 1951). It knows no command and no
//! link; the channel between session and link puts it in the way.
//!
//! What a connection that waits may hold decides how: a compressor is about 300 KB, so it is dropped after a moment of
//! silence, and short answers are sent as stored blocks without one. That is legal at any time, because every batch of
//! answers ends on an octet's boundary and a new compressor refers to nothing before itself. The other way the client
//! decides what its octets refer to, up to 32 KiB back, so these are kept, as many as came, and nothing else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use columba_types::limits;
use columba_wire::Input;
use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

/// How hard to look for repetitions: the least, which finds nearly all there are in what a mail server says.
const LEVEL: u8 = 1;
/// Octets of the largest stored block (RFC 1951 §3.2.4).
const STORED_BYTES: usize = 65_535;

/// Counts the compressors of a server, so that its memory is bounded however many clients ask for answers at once.
#[derive(Clone, Debug, Default)]
pub struct Compressors(Arc<AtomicUsize>);

impl Compressors {
    /// A compressor, unless there are [`limits::COMPRESSORS`] already.
    fn begin(&self) -> Option<Compressor> {
        if self.0.fetch_add(1, Ordering::Relaxed) >= limits::COMPRESSORS {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut state = Box::<CompressorOxide>::default();
        state.set_format_and_level(DataFormat::Raw, LEVEL);
        Some(Compressor { state, counted: self.0.clone() })
    }
}

/// One compressor at work; dropping it counts it out.
struct Compressor {
    state: Box<CompressorOxide>,
    counted: Arc<AtomicUsize>,
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.counted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What goes out.
pub(crate) struct Deflate {
    compressors: Compressors,
    /// Without one the stream stands on an octet's boundary, and what follows refers to nothing before.
    compressor: Option<Compressor>,
    /// Whether the compressor holds octets that were not put out.
    holds: bool,
}

impl std::fmt::Debug for Deflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflate").field("compressor", &self.compressor.is_some()).finish_non_exhaustive()
    }
}

impl Deflate {
    pub(crate) fn new(compressors: Compressors) -> Self {
        Self { compressors, compressor: None, holds: false }
    }

    /// Compresses `octets` onto `out`. Some of them may be held back until the next [`Self::flush`].
    ///
    /// # Errors
    /// None is known; the library could tell one.
    pub(crate) fn write(&mut self, octets: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        if self.compressor.is_none() && octets.len() >= limits::COMPRESSED_BYTES {
            self.compressor = self.compressors.begin();
        }
        let Some(compressor) = &mut self.compressor else {
            stored(octets, false, out);
            return Ok(());
        };
        self.holds = true;
        run(compressor, octets, TDEFLFlush::None, out)
    }

    /// Puts out all that is held back, up to an octet's boundary (a "sync flush"): without it a client would wait for the
    /// end of an answer.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.compressor {
            Some(compressor) if std::mem::take(&mut self.holds) => run(compressor, &[], TDEFLFlush::Sync, out),
            _ => Ok(()),
        }
    }

    /// Whether there is memory to be given back.
    pub(crate) fn is_at_work(&self) -> bool {
        self.compressor.is_some()
    }

    /// Gives the memory back, if all was flushed.
    pub(crate) fn rest(&mut self) {
        if !self.holds {
            self.compressor = None;
        }
    }

    /// The last octets, and the mark that none follow: what comes next on the connection is not compressed.
    pub(crate) fn finish(mut self, octets: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.flush(out)?;
        stored(octets, true, out);
        Ok(())
    }
}

fn run(compressor: &mut Compressor, mut octets: &[u8], flush: TDEFLFlush, out: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let (status, taken) = compress_to_output(&mut compressor.state, octets, flush, |some| {
            out.extend_from_slice(some);
            true
        });
        octets = octets.get(taken..).unwrap_or_default();
        match status {
            TDEFLStatus::Okay | TDEFLStatus::Done if octets.is_empty() => return Ok(()),
            TDEFLStatus::Okay if taken > 0 => {}
            _ => return Err(io::Error::other("the compressor failed")),
        }
    }
}

/// Stored blocks (RFC 1951 §3.2.4). The stream has to stand on an octet's boundary.
fn stored(octets: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut blocks = octets.chunks(STORED_BYTES).peekable();
    if blocks.peek().is_none() && last {
        return out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(last && blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Where in the stream the next octet belongs.
enum Place {
    /// Between two blocks; up to seven bits of the last octet belong to the next one.
    Between { bits: u8, of: u8 },
    /// Within a block.
    Within(Box<DecompressorOxide>),
    /// Behind the last block.
    Ended,
}

/// What comes in.
pub(crate) struct Inflate {
    /// Received and not looked at.
    raw: Input,
    place: Place,
    /// What the octets to come may refer to, and the room for the next ones while they are made.
    window: Vec<u8>,
    /// The client was told that compression ends.
    ending: bool,
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (raw, window) = (self.raw.len(), self.window.len());
        f.debug_struct("Inflate").field("raw", &raw).field("window", &window).finish_non_exhaustive()
    }
}

/// What [`Inflate::read`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inflated {
    /// There are this many octets more, never none.
    Octets(usize),
    /// Nothing: first more has to be received.
    Hungry,
    /// The client's compression is over, as it was told; what it has sent since is appended as it came.
    Over(usize),
}

impl Inflate {
    /// Begins with what came behind COMPRESS: it has to be compressed already.
    pub(crate) fn new(raw: Input) -> Self {
        Self { raw, place: Place::Between { bits: 0, of: 0 }, window: Vec::new(), ending: false }
    }

    /// Where received octets belong.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        self.raw.space(0)
    }

    /// Compression ends behind the command that was read last (RFC 8437 §4.1).
    pub(crate) fn end(&mut self) {
        self.ending = true;
    }

    /// Appends at most [`limits::READ_BYTES`] octets to `into`, and stops at the end of a block, so that the commands
    /// in it are dealt with before anything behind it is taken for compressed.
    ///
    /// # Errors
    /// `InvalidData` if that is no DEFLATE stream.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> io::Result<Inflated> {
        loop {
            if self.ending && self.is_over() {
                into.extend_from_slice(self.raw.as_slice());
                return Ok(Inflated::Over(self.raw.len()));
            }
            if self.raw.is_empty() {
                return Ok(Inflated::Hungry);
            }
            let made = self.block()?;
            if made == 0 {
                continue;
            }
            if self.ending {
                return Err(invalid("commands that are compressed behind the end of compression"));
            }
            let old = self.window.len() - made;
            into.extend_from_slice(self.window.get(old..).unwrap_or_default());
            return Ok(Inflated::Octets(made));
        }
    }

    /// Whether the next octet is no longer compressed. The end of the client's stream may be marked in three ways: by a
    /// last block, by a flush that ends on an octet's boundary, or by that and an empty block. What follows is a command,
    /// and no command begins with a control character as those blocks do.
    fn is_over(&self) -> bool {
        match self.place {
            Place::Ended => true,
            Place::Between { bits: 0, .. } => {
                self.raw.as_slice().first().is_some_and(|octet| *octet >= b' ' || matches!(octet, b'\r' | b'\n'))
            }
            Place::Between { .. } | Place::Within(_) => false,
        }
    }

    /// Goes on to the end of a block, of the octets that are there, or of the room; how many octets came of it.
    fn block(&mut self) -> io::Result<usize> {
        const FLAGS: u32 =
            TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let mut at_work = match std::mem::replace(&mut self.place, Place::Ended) {
            Place::Ended => return Err(invalid("octets behind the end of the compressed stream")),
            Place::Within(at_work) => at_work,
            Place::Between { bits, of } => {
                let between = BlockBoundaryState { num_bits: bits, bit_buf: of, ..BlockBoundaryState::default() };
                Box::new(DecompressorOxide::from_block_boundary_state(&between))
            }
        };
        self.forget_old(2 * TINFL_LZ_DICT_SIZE);
        let known = self.window.len();
        self.window.resize(known + limits::READ_BYTES, 0);
        let (status, taken, made) = decompress(&mut at_work, self.raw.as_slice(), &mut self.window, known, FLAGS);
        self.window.truncate(known + made);
        self.raw.consume(taken);
        self.place = match status {
            TINFLStatus::Done => Place::Ended,
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => Place::Within(at_work),
            TINFLStatus::BlockBoundary => match at_work.block_boundary_state() {
                Some(state) => Place::Between { bits: state.num_bits, of: state.bit_buf },
                None => Place::Within(at_work),
            },
            _ => return Err(invalid("octets that are not compressed as they should be")),
        };
        Ok(made)
    }

    /// Forgets what nothing can refer to any more, once there is more than `most`.
    fn forget_old(&mut self, most: usize) {
        if self.window.len() > most {
            self.window.drain(..self.window.len() - TINFL_LZ_DICT_SIZE);
        }
    }

    /// Gives back what a connection that waits does not need.
    pub(crate) fn rest(&mut self) {
        self.raw.clear();
        self.forget_old(TINFL_LZ_DICT_SIZE);
        self.window.shrink_to_fit();
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a client's library compresses, with a flush of its kind behind.
    fn compressed(octets: &[u8], level: u8, flush: TDEFLFlush) -> Vec<u8> {
        let mut state = Box::<CompressorOxide>::default();
        state.set_format_and_level(DataFormat::Raw, level);
        let mut out = Vec::new();
        let (_, taken) = compress_to_output(&mut state, octets, flush, |some| {
            out.extend_from_slice(some);
            true
        });
        assert_eq!(taken, octets.len());
        out
    }

    /// Feeds `octets` in pieces, with a rest before each, until there is no more to be had.
    fn inflate_all(inflate: &mut Inflate, octets: &[u8], piece: usize) -> io::Result<(Vec<u8>, Inflated)> {
        let (mut out, mut last) = (Vec::new(), Inflated::Hungry);
        for piece in octets.chunks(piece.max(1)) {
            inflate.raw().extend_from_slice(piece);
            loop {
                last = inflate.read(&mut out)?;
                if !matches!(last, Inflated::Octets(_)) {
                    break;
                }
            }
            if last == Inflated::Hungry {
                inflate.rest();
            }
        }
        Ok((out, last))
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![Just("FETCH ".to_owned()), Just("(FLAGS)\r\n".to_owned()), "[a-z]{1,9} "];
        prop_oneof![
            proptest::collection::vec(word, 0..400).prop_map(|words| words.concat().into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..2000),
            (any::<u8>(), 0..100_000_usize).prop_map(|(octet, times)| vec![octet; times]),
        ]
    }

    proptest! {
        #[test]
        fn what_goes_out_comes_back_whatever_rests_lie_between(batches in proptest::collection::vec(
            (proptest::collection::vec(text(), 0..4), any::<bool>(), any::<bool>()), 0..8), piece in 1..5000_usize)
        {
            let mut deflate = Deflate::new(Compressors::default());
            let mut inflate = Inflate::new(Input::new());
            let (mut sent, mut received) = (Vec::new(), Vec::new());
            for (texts, flush_all, rest) in batches {
                let mut out = Vec::new();
                for text in texts {
                    deflate.write(&text, &mut out).unwrap();
                    sent.extend_from_slice(&text);
                }
                if flush_all {
                    deflate.flush(&mut out).unwrap();
                }
                if rest {
                    deflate.rest();
                }
                received.extend(inflate_all(&mut inflate, &out, piece).unwrap().0);
                if flush_all {
                    prop_assert_eq!(&received, &sent);
                }
            }
            let mut out = Vec::new();
            deflate.finish(b"the last", &mut out).unwrap();
            sent.extend_from_slice(b"the last");
            received.extend(inflate_all(&mut inflate, &out, piece).unwrap().0);
            prop_assert_eq!(received, sent);
            prop_assert!(matches!(inflate.place, Place::Ended));
        }

        #[test]
        fn what_comes_in_is_read_in_any_pieces(text in text(), level in 0..10_u8, piece in 1..300_usize) {
            let mut inflate = Inflate::new(Input::new());
            for _ in 0..3 {
                let octets = compressed(&text, level, TDEFLFlush::Sync);
                let (out, last) = inflate_all(&mut inflate, &octets, piece).unwrap();
                prop_assert_eq!(&out, &text);
                prop_assert_eq!(last, Inflated::Hungry);
                prop_assert!(matches!(inflate.place, Place::Between { .. }), "within a block");
                prop_assert!(inflate.window.capacity() <= TINFL_LZ_DICT_SIZE);
            }
        }

        #[test]
        fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..3000), piece in 1..100_usize, end in any::<bool>()) {
            let mut inflate = Inflate::new(Input::new());
            if end {
                inflate.end();
            }
            _ = inflate_all(&mut inflate, &octets, piece);
        }
    }

    // Guide §6 point 59: what stands behind the end of compression is plain, and nothing of it is taken for compressed.
    #[test]
    fn the_clients_end_is_found_however_it_is_marked() {
        let line = b"a UNAUTHENTICATE\r\n";
        let stored_only = [&[0, 18, 0, 237, 255][..], line].concat();
        let flushed_and_finished = [&compressed(line, 6, TDEFLFlush::Sync)[..], &[3, 0]].concat();
        let streams = [
            compressed(line, 6, TDEFLFlush::Sync),
            compressed(line, 6, TDEFLFlush::Full),
            compressed(line, 6, TDEFLFlush::Finish),
            compressed(line, 0, TDEFLFlush::Finish),
            stored_only,
            flushed_and_finished,
        ];
        for (which, stream) in streams.iter().enumerate() {
            for split in 0..stream.len() {
                let mut inflate = Inflate::new(Input::new());
                let mut out = Vec::new();
                inflate.raw().extend_from_slice(&stream[..split]);
                while let Inflated::Octets(_) = inflate.read(&mut out).unwrap() {}
                inflate.raw().extend_from_slice(&[&stream[split..], b"b LOGIN"].concat());
                // The session reads no further than to the end of the command.
                while out != line {
                    assert!(matches!(inflate.read(&mut out).unwrap(), Inflated::Octets(_)), "{which} {split}");
                }
                inflate.end();
                assert_eq!(inflate.read(&mut out).unwrap(), Inflated::Over(7), "{which} {split}");
                assert_eq!(out, b"a UNAUTHENTICATE\r\nb LOGIN", "{which} {split}");
            }
        }
    }

    // What such a block begins with is no beginning of a command; one that could be is taken for a plain one, and is BAD.
    #[test]
    fn commands_that_go_on_being_compressed_are_an_error() {
        let mut inflate = Inflate::new(Input::new());
        inflate.end();
        inflate.raw().extend_from_slice(b"\x00\x08\x00\xf7\xffb NOOP\r\n");
        assert_eq!(inflate.read(&mut Vec::new()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    // RFC 4978 §6
    #[test]
    fn a_bomb_is_taken_in_small_pieces() {
        let bomb = compressed(&vec![b'x'; 50_000_000], 9, TDEFLFlush::Sync);
        let mut inflate = Inflate::new(Input::new());
        inflate.raw().extend_from_slice(&bomb);
        let mut total = 0;
        loop {
            let mut out = Vec::new();
            let Inflated::Octets(made) = inflate.read(&mut out).unwrap() else { break };
            assert!(made <= limits::READ_BYTES && made == out.len());
            assert!(inflate.window.capacity() <= 8 * TINFL_LZ_DICT_SIZE);
            total += made;
        }
        assert_eq!(total, 50_000_000);
    }

    #[test]
    fn compressors_are_counted_and_without_one_answers_go_uncompressed() {
        let compressors = Compressors::default();
        let all: Vec<_> = std::iter::from_fn(|| compressors.begin()).take(3).collect();
        compressors.0.store(limits::COMPRESSORS, Ordering::Relaxed);
        let mut deflate = Deflate::new(compressors.clone());
        let mut out = Vec::new();
        deflate.write(&[b'x'; 100_000], &mut out).unwrap();
        assert_eq!(out.len(), 100_010);
        assert!(!deflate.is_at_work());
        drop(all);
        deflate.write(&[b'x'; 100_000], &mut out).unwrap();
        deflate.flush(&mut out).unwrap();
        assert!(deflate.is_at_work() && out.len() < 102_000);
        let mut inflate = Inflate::new(Input::new());
        assert_eq!(inflate_all(&mut inflate, &out, 10_000).unwrap().0, vec![b'x'; 200_000]);
        drop(deflate);
        assert_eq!(compressors.0.load(Ordering::Relaxed), limits::COMPRESSORS - 3);
    }
}
