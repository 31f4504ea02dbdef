//! Servers that are wrong in one way each, for `columba check` to find out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Listens, and gives every connection to `serve` on a thread of its own. It ends with the test's process.
pub(crate) fn listen(at: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Says one thing, whatever comes.
pub(crate) fn says(text: &'static [u8]) -> SocketAddr {
    listen("127.0.0.1:0", move |mut stream| {
        let _ = stream.write_all(text);
        let _ = stream.read(&mut [0; 4096]);
    })
}

/// Accepts, and is silent until the other side goes.
pub(crate) fn silent() -> SocketAddr {
    listen("127.0.0.1:0", |mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|octets| octets > 0) {})
}

/// A CA and the certificates it gives out.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("Test CA", (2020, 2120));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// TLS with a certificate for `name`, valid in these years.
    pub(crate) fn tls(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name, years).signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

fn named(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    params
}

/// An IMAP server as far as `check` looks.
#[derive(Clone)]
pub(crate) struct Imap {
    pub(crate) greeting: &'static str,
    pub(crate) before: &'static str,
    pub(crate) within: &'static str,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) is_implicit: bool,
    /// Whether what was read before TLS is answered within.
    pub(crate) keeps_what_came_before: bool,
    /// What ID is answered with.
    pub(crate) id: &'static str,
}

impl Default for Imap {
    fn default() -> Self {
        Self {
            greeting: "* OK ready",
            before: "IMAP4rev1 IMAP4rev2 STARTTLS LOGINDISABLED",
            within: "IMAP4rev1 IMAP4rev2 ID AUTH=PLAIN SASL-IR",
            tls: None,
            is_implicit: false,
            keeps_what_came_before: false,
            id: "NIL",
        }
    }
}

impl Imap {
    pub(crate) fn listen(self, at: &str) -> SocketAddr {
        listen(at, move |stream| {
            // The other side may go at any time.
            let _ = self.serve(stream);
        })
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        if let (true, Some(tls)) = (self.is_implicit, &self.tls) {
            let mut stream = StreamOwned::new(ServerConnection::new(tls.clone()).unwrap(), stream);
            write!(stream, "{}\r\n", self.greeting)?;
            return self.talk(&mut stream, Vec::new(), true).map(drop);
        }
        write!(stream, "{}\r\n", self.greeting)?;
        let Some(left) = self.talk(&mut stream, Vec::new(), false)? else { return Ok(()) };
        let left = if self.keeps_what_came_before { left } else { Vec::new() };
        let tls = self.tls.clone().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
        self.talk(&mut stream, left, true).map(drop)
    }

    /// Answers commands until STARTTLS, and gives what came behind it.
    fn talk<S: Read + Write>(
        &self,
        stream: &mut S,
        mut pending: Vec<u8>,
        within: bool,
    ) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            while let Some(end) = pending.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                let (tag, command) = line.trim_end().split_once(' ').unwrap_or(("*", ""));
                let words = command.to_ascii_uppercase();
                match words.split(' ').next().unwrap_or_default() {
                    "STARTTLS" if self.tls.is_some() && !within => {
                        write!(stream, "{tag} OK go ahead\r\n")?;
                        return Ok(Some(pending));
                    }
                    "CAPABILITY" => {
                        let all = if within { self.within } else { self.before };
                        write!(stream, "* CAPABILITY {all}\r\n{tag} OK done\r\n")?;
                    }
                    "ID" => write!(stream, "* ID {}\r\n{tag} OK done\r\n", self.id)?,
                    "NOOP" => write!(stream, "{tag} OK done\r\n")?,
                    "LOGOUT" => {
                        write!(stream, "* BYE\r\n{tag} OK done\r\n")?;
                        return stream.flush().map(|()| None);
                    }
                    _ => write!(stream, "{tag} BAD what\r\n")?,
                }
                stream.flush()?;
            }
            let mut octets = [0; 4096];
            let got = stream.read(&mut octets)?;
            if got == 0 {
                return Ok(None);
            }
            pending.extend_from_slice(&octets[..got]);
        }
    }
}

/// Answers every ClientHello with TLS 1.0, and goes no further.
pub(crate) fn only_tls_1_0() -> SocketAddr {
    listen("127.0.0.1:0", |mut stream| {
        let mut hello = [0; 4096];
        if stream.read(&mut hello).is_ok_and(|octets| octets > 0) {
            // ServerHello: TLS 1.0, TLS_RSA_WITH_3DES_EDE_CBC_SHA.
            let mut body = vec![3, 1];
            body.extend([7; 32]);
            body.extend([0, 0x00, 0x0a, 0]);
            let mut message = vec![2, 0, 0, u8::try_from(body.len()).unwrap()];
            message.extend(body);
            let mut record = vec![0x16, 3, 1, 0, u8::try_from(message.len()).unwrap()];
            record.extend(message);
            let _ = stream.write_all(&record);
        }
    })
}
