//! The server's side of the Unix socket on which commands come.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use columba_store::Store;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::execute::{Barring, execute};
use crate::failure::Failure;

/// The socket's name in the data directory.
pub(crate) const SOCKET_NAME: &str = "admin.sock";

/// Between two tries after the system refused to accept: it has no more file descriptors, mostly.
const BACK_OFF: std::time::Duration = std::time::Duration::from_millis(200);

/// The bound socket. Only who owns the store binds it, so that one found there is nobody's.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: StdUnixListener,
    file: SocketFile,
}

/// The file of the socket, removed when dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl AdminSocket {
    /// Binds it, for the owner alone, and starts nothing. The data directory keeps others away already while it is being bound.
    ///
    /// # Errors
    /// When it cannot be bound; the path may be too long for a socket (107 octets).
    pub(crate) fn bind(data: &Path) -> Result<Self, Failure> {
        let path = data.join(SOCKET_NAME);
        let bound = match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => StdUnixListener::bind(&path),
        };
        let failed = |error: std::io::Error| {
            Failure::new(format!("the socket {} cannot be made: {error}", path.display()))
                .hint("a data directory with a shorter path, on a file system that has sockets, will do")
        };
        let listener = bound.map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, file: SocketFile(path) })
    }

    /// Serves commands, until dropped.
    pub(crate) async fn serve(self, store: Store, barring: Arc<dyn Barring>) {
        let Self { listener, file: _file } = self;
        let listener = match UnixListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "no administration command can be served"),
        };
        let mut conversations = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (store, barring) = (store.clone(), Arc::clone(&barring));
                    conversations.spawn(async move {
                        if let Err(error) = execute(&store, &barring, stream).await {
                            tracing::debug!(%error, "an administration command ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no administration command can be accepted");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
            while conversations.try_join_next().is_some() {}
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
