//! A device: one connection that can log in, say commands, and read what it is told, line by line.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Failure;
use crate::Layers;
use crate::arrivals::Device;
use crate::peer::{PASSWORD, Peer};

trait Both: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket itself; none where there is TLS on it.
    fn into_socket(self: Box<Self>) -> Option<std::net::TcpStream>;
}

impl Both for TcpStream {
    fn into_socket(self: Box<Self>) -> Option<std::net::TcpStream> {
        self.into_std().ok()
    }
}

impl Both for TlsStream<TcpStream> {
    fn into_socket(self: Box<Self>) -> Option<std::net::TcpStream> {
        None
    }
}

/// Where devices connect to, and how.
#[derive(Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    layers: Layers,
}

impl Door {
    pub(crate) fn new(server: &dyn Peer, layers: Layers) -> Result<Self, Failure> {
        let server = server.addresses()?;
        let address = if layers.has_tls() { server.tls } else { server.plain };
        let tls = layers.has_tls().then(|| connector(server.certificate)).transpose()?;
        Ok(Self { address, tls, layers })
    }

    /// Connects the device of that number and logs it in. Each thousand of them has an address of its own.
    pub(crate) async fn enter(&self, number: usize, account: &str) -> Result<Client, Failure> {
        let home = Ipv4Addr::new(127, 0, 1, u8::try_from(number / 1000 % 250)?.saturating_add(1));
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(home), 0))?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Both> = match &self.tls {
            Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost")?, stream).await?),
            None => Box::new(stream),
        };
        let mut client = Client { stream, inflate: None, input: Vec::new(), tag: 0 };
        client.line().await?;
        client.command(&format!("LOGIN {account} {PASSWORD}")).await?;
        if self.layers.has_compression() {
            client.command("COMPRESS DEFLATE").await?;
            client.inflate = Some(InflateState::new_boxed(DataFormat::Raw));
        }
        Ok(client)
    }
}

fn connector(certificate: CertificateDer<'static>) -> Result<TlsConnector, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection.
pub(crate) struct Client {
    stream: Box<dyn Both>,
    inflate: Option<Box<InflateState>>,
    input: Vec<u8>,
    tag: u32,
}

impl Client {
    /// The same connection as one that only listens. It must have neither TLS nor compression.
    pub(crate) fn into_device(self) -> Result<Device, Failure> {
        let socket = self.stream.into_socket().filter(|_| self.inflate.is_none());
        Device::new(socket.ok_or("only a plain connection can be asked when its octets came")?)
    }

    /// Sends octets. Under compression they go as stored blocks: what they are to the server is the same.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.inflate.is_none() {
            self.stream.write_all(octets).await?;
            return self.stream.flush().await;
        }
        for block in octets.chunks(0xffff) {
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            let head = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
            self.stream.write_all(&[&head, block].concat()).await?;
        }
        self.stream.flush().await
    }

    /// The next line, without its end.
    pub(crate) async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let mut line: Vec<u8> = self.input.drain(..end + 2).collect();
                line.truncate(end);
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                return Ok(line);
            }
            let mut room = [0; 4096];
            let read = self.stream.read(&mut room).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.take(room.get(..read).unwrap_or_default())?;
        }
    }

    fn take(&mut self, mut octets: &[u8]) -> io::Result<()> {
        let Some(state) = &mut self.inflate else {
            self.input.extend_from_slice(octets);
            return Ok(());
        };
        loop {
            let mut room = [0; 4096];
            let result = inflate(state, octets, &mut room, MZFlush::None);
            octets = octets.get(result.bytes_consumed..).unwrap_or_default();
            self.input.extend_from_slice(room.get(..result.bytes_written).unwrap_or_default());
            match result.status {
                Ok(_) if result.bytes_consumed > 0 || result.bytes_written > 0 => {}
                Ok(_) | Err(MZError::Buf) => return Ok(()),
                Err(_) => return Err(io::Error::other("what the server compressed cannot be read")),
            }
        }
    }

    /// Sends a command without its tag and waits for its OK.
    pub(crate) async fn command(&mut self, command: &str) -> Result<(), Failure> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.send(format!("{tag}{command}\r\n").as_bytes()).await?;
        loop {
            let line = self.line().await?;
            if let Some(answer) = line.strip_prefix(tag.as_bytes()) {
                if answer.starts_with(b"OK") {
                    return Ok(());
                }
                return Err(format!("{command}: {}", String::from_utf8_lossy(answer)).into());
            }
        }
    }

    /// Begins to idle.
    pub(crate) async fn idle(&mut self) -> Result<(), Failure> {
        self.send(b"idle IDLE\r\n").await?;
        while !self.line().await?.starts_with(b"+") {}
        Ok(())
    }
}
