//! Frames: a kind, a length, and so many octets. JSON for what is said, raw octets for messages.

use std::io;

use bytes::Bytes;
use columba_types::limits::ADMIN_FRAME_BYTES;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const JSON: u8 = b'J';
const OCTETS: u8 = b'B';

/// What one side sends the other.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Something said, as JSON.
    Json(Vec<u8>),
    /// Octets of a message; none at its end.
    Octets(Bytes),
}

impl Frame {
    /// What is said.
    ///
    /// # Errors
    /// `InvalidData` when it is octets, or not what was expected.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> io::Result<T> {
        match self {
            Self::Json(json) => serde_json::from_slice(json).map_err(|error| invalid(&error.to_string())),
            Self::Octets(_) => Err(invalid("octets where something should be said")),
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads the next frame; `None` when the other side has closed between two frames.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0u8; 5];
    if from.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..]).await?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > ADMIN_FRAME_BYTES {
        return Err(invalid("a frame is too long"));
    }
    let mut octets = vec![0; length];
    from.read_exact(&mut octets).await?;
    match kind {
        JSON => Ok(Some(Frame::Json(octets))),
        OCTETS => Ok(Some(Frame::Octets(octets.into()))),
        _ => Err(invalid("a frame of an unknown kind")),
    }
}

/// Writes something said. Long lists are the caller's to cut: a frame has at most `ADMIN_FRAME_BYTES`.
pub(super) async fn write_json(to: &mut (impl AsyncWrite + Unpin), said: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(said).map_err(|error| invalid(&error.to_string()))?;
    write(to, JSON, &json).await
}

/// Writes octets, in as many frames as they take; none at all make one empty frame, the end of a message.
pub(super) async fn write_octets(to: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    if octets.is_empty() {
        return write(to, OCTETS, octets).await;
    }
    for piece in octets.chunks(ADMIN_FRAME_BYTES) {
        write(to, OCTETS, piece).await?;
    }
    Ok(())
}

async fn write(to: &mut (impl AsyncWrite + Unpin), kind: u8, octets: &[u8]) -> io::Result<()> {
    let length = u32::try_from(octets.len()).ok().filter(|_| octets.len() <= ADMIN_FRAME_BYTES);
    let [a, b, c, d] = length.ok_or_else(|| invalid("a frame would be too long"))?.to_be_bytes();
    to.write_all(&[kind, a, b, c, d]).await?;
    to.write_all(octets).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_as_they_were_sent() {
        let mut sent = Vec::new();
        write_json(&mut sent, &"hello").await.unwrap();
        write_octets(&mut sent, &vec![7; ADMIN_FRAME_BYTES + 1]).await.unwrap();
        write_octets(&mut sent, b"").await.unwrap();
        let mut from = sent.as_slice();
        assert_eq!(read(&mut from).await.unwrap().unwrap().parse::<String>().unwrap(), "hello");
        let mut lengths = Vec::new();
        while let Some(Frame::Octets(octets)) = read(&mut from).await.unwrap() {
            lengths.push(octets.len());
        }
        assert_eq!(lengths, [ADMIN_FRAME_BYTES, 1, 0]);
    }

    #[tokio::test]
    async fn broken_frames_are_errors() {
        for bad in [&b"J\x00"[..], b"J\x00\x00\x00\x02x", b"J\xff\xff\xff\xff", b"X\x00\x00\x00\x00"] {
            assert!(read(&mut &bad[..]).await.is_err(), "{bad:?}");
        }
        assert!(write_json(&mut Vec::new(), &"x".repeat(ADMIN_FRAME_BYTES)).await.is_err());
        assert!(Frame::Octets(Bytes::new()).parse::<String>().is_err());
    }
}
