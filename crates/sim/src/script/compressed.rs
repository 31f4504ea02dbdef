//! The client's side of COMPRESS=DEFLATE (RFC 4978), by the streams of the library: apart from how the server does it.

use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus, deflate::stream::deflate};

/// One connection's streams.
pub(super) struct Compressed {
    outgoing: Option<Box<CompressorOxide>>,
    incoming: Option<Box<InflateState>>,
}

impl Compressed {
    pub(super) fn new() -> Self {
        let mut outgoing = Box::<CompressorOxide>::default();
        outgoing.set_format_and_level(DataFormat::Raw, 6);
        Self { outgoing: Some(outgoing), incoming: Some(InflateState::new_boxed(DataFormat::Raw)) }
    }

    /// What is sent from now on is not compressed; what comes is, until the server marks the end of its stream.
    pub(super) fn end_outgoing(&mut self) {
        self.outgoing = None;
    }

    /// The octets to send, with a sync flush behind.
    pub(super) fn compress(&mut self, octets: &[u8]) -> Result<Vec<u8>, String> {
        let Some(stream) = &mut self.outgoing else { return Ok(octets.to_vec()) };
        let (mut taken, mut out) = (0, Vec::new());
        loop {
            let mut room = [0; 4096];
            let result = deflate(stream, &octets[taken..], &mut room, MZFlush::Sync);
            taken += result.bytes_consumed;
            out.extend_from_slice(&room[..result.bytes_written]);
            match result.status {
                Ok(_) | Err(MZError::Buf) if result.bytes_written < room.len() && taken == octets.len() => {
                    return Ok(out);
                }
                Ok(_) => {}
                Err(error) => return Err(format!("cannot compress: {error:?}")),
            }
        }
    }

    /// What received octets say; they need not come to anything yet.
    pub(super) fn decompress(&mut self, octets: &[u8]) -> Result<Vec<u8>, String> {
        let (mut taken, mut out) = (0, Vec::new());
        while let Some(stream) = &mut self.incoming {
            let mut room = [0; 4096];
            let result = inflate(stream, &octets[taken..], &mut room, MZFlush::None);
            taken += result.bytes_consumed;
            out.extend_from_slice(&room[..result.bytes_written]);
            match result.status {
                Ok(MZStatus::StreamEnd) => self.incoming = None,
                Ok(_) if result.bytes_consumed > 0 || result.bytes_written > 0 => {}
                Ok(_) | Err(MZError::Buf) => return Ok(out),
                Err(error) => return Err(format!("what the server sent cannot be decompressed: {error:?}")),
            }
        }
        out.extend_from_slice(&octets[taken..]);
        Ok(out)
    }
}
