//! A device: one connection that can log in, say commands, and read answers. It must cost less than any server: answers are read
//! in large pieces and scanned for line ends, literals and the tag; nothing of them is copied, and fields are not looked at.

mod answer;
mod input;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Failure;
use crate::Layers;
use crate::arrivals::Device;
use crate::peer::{Lmtp, PASSWORD, Peer};
pub(crate) use answer::Answer;
use input::Input;

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

impl Both for UnixStream {
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

    /// A door without TLS and COMPRESS.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, layers: Layers::default() }
    }

    /// Connects to where mail is delivered; the greeting is not read.
    pub(crate) async fn lmtp(address: &Lmtp) -> Result<Client, Failure> {
        let stream: Box<dyn Both> = match address {
            Lmtp::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Lmtp::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        Ok(Client { stream, input: Input::default(), tag: 0 })
    }

    /// Connects the device of that number and reads the greeting. After the first, each
    /// thousand of them has an address of its own.
    pub(crate) async fn connect(&self, number: usize) -> Result<Client, Failure> {
        let socket = TcpSocket::new_v4()?;
        // Who binds gets a port that nobody has towards any address, and short connections soon use all of them up.
        if number >= 1000 {
            let home = Ipv4Addr::new(127, 0, 1, u8::try_from(number / 1000 % 250)?.saturating_add(1));
            socket.bind(SocketAddr::new(IpAddr::V4(home), 0))?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Both> = match &self.tls {
            Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost")?, stream).await?),
            None => Box::new(stream),
        };
        let mut client = Client { stream, input: Input::default(), tag: 0 };
        client.line().await?;
        Ok(client)
    }

    /// Connects the device of that number and logs it in.
    pub(crate) async fn enter(&self, number: usize, account: &str) -> Result<Client, Failure> {
        let mut client = self.connect(number).await?;
        client.command(&format!("LOGIN {account} {PASSWORD}")).await?;
        if self.layers.has_compression() {
            client.command("COMPRESS DEFLATE").await?;
            client.input.inflate();
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
    input: Input,
    tag: u32,
}

impl Client {
    /// The same connection as one that only listens. It must have neither TLS nor compression.
    pub(crate) fn into_device(self) -> Result<Device, Failure> {
        let socket = self.stream.into_socket().filter(|_| !self.input.is_inflating());
        Device::new(socket.ok_or("only a plain connection can be asked when its octets came")?)
    }

    /// Sends octets. Under compression they go as stored blocks: what they are to the server is the same.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        if !self.input.is_inflating() {
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
            if let Some(line) = self.input.line() {
                return Ok(line);
            }
            self.input.fill(&mut self.stream).await?;
        }
    }

    /// Sends a command without its tag, whatever literals it has with it (`{n+}`).
    pub(crate) async fn say(&mut self, command: &[u8]) -> io::Result<()> {
        self.tag += 1;
        self.send(&[format!("a{} ", self.tag).as_bytes(), command, b"\r\n"].concat()).await
    }

    /// Reads to the end of the next tagged response, whatever it says.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        self.answer_with(|_| {}).await
    }

    /// The same; `each` gets every untagged response that is not FETCH, up to its first literal or its end.
    pub(crate) async fn answer_with(&mut self, each: impl FnMut(&[u8])) -> io::Result<Answer> {
        answer::read(&mut self.input, &mut self.stream, each).await
    }

    /// Sends a command without its tag and reads its answer, which has to be OK.
    pub(crate) async fn ask(&mut self, command: &str) -> Result<Answer, Failure> {
        self.ask_with(command, |_| {}).await
    }

    /// The same; `each` as for [`Self::answer_with`].
    pub(crate) async fn ask_with(&mut self, command: &str, each: impl FnMut(&[u8])) -> Result<Answer, Failure> {
        self.say(command.as_bytes()).await?;
        let answer = self.answer_with(each).await?;
        answer.or_failure(command)
    }

    /// Sends a command without its tag and waits for its OK.
    pub(crate) async fn command(&mut self, command: &str) -> Result<(), Failure> {
        self.ask(command).await.map(drop)
    }

    /// Begins to idle.
    pub(crate) async fn idle(&mut self) -> Result<(), Failure> {
        self.send(b"idle IDLE\r\n").await?;
        while !self.line().await?.starts_with(b"+") {}
        Ok(())
    }

    /// Ends it: what came meanwhile is read.
    pub(crate) async fn done(&mut self) -> Result<Answer, Failure> {
        self.send(b"DONE\r\n").await?;
        self.answer().await?.or_failure("IDLE")
    }

    /// Logs out and waits until the server has closed the connection.
    pub(crate) async fn logout(mut self) -> Result<(), Failure> {
        self.command("LOGOUT").await?;
        match self.line().await {
            Ok(_) => Err("something came after LOGOUT's OK".into()),
            Err(_) => Ok(()),
        }
    }
}
