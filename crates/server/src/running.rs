//! The server at work: its tasks, and what can be asked of it from outside.

use std::sync::Arc;
use std::time::Duration;

use columba_auth::PasswordChecker;
use columba_session::{Compressors, Services, Settings};
use columba_store::Store;
use columba_types::{AccountId, limits};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::accept::{Shared, accept};
use crate::bind::Listener;
use crate::config::{Config, ListenerConfig};
use crate::registry::{AccountGate, ConnectionInfo, Counters, Limits, Registry};
use crate::tls::{Tls, TlsError, watch};

/// A server that serves. Dropping it ends it at once; [`Running::shutdown`] does it politely.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    /// One per listener, and the watch over the certificate.
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(
        config: Config,
        listeners: Vec<(ListenerConfig, Listener)>,
        tls: Arc<Tls>,
        store: Store,
    ) -> Self {
        let registry = Registry::new(Limits {
            connections: config.connections,
            per_address: config.connections_per_address,
            per_account: config.connections_per_account,
        });
        let settings = Settings {
            server_name: config.server_name.clone(),
            message_bytes: config.message_bytes,
            hiding: config.hiding.clone(),
            message_limit: config.messages_per_command,
            save_limit: config.messages_per_copy,
            admin_contact: config.admin_contact.clone(),
            comment: config.comment.clone(),
            ..Settings::default()
        };
        let services = Services {
            store,
            passwords: PasswordChecker::new(config.password_cache),
            gate: Arc::new(AccountGate(Arc::clone(&registry))),
            settings,
            compressors: Compressors::default(),
        };
        let shared = Arc::new(Shared::new(config, Arc::new(services), registry, tls));
        let mut tasks = JoinSet::new();
        for (listener, socket) in listeners {
            tasks.spawn(accept(Arc::clone(&shared), listener, socket));
        }
        tasks.spawn(watch(Arc::clone(&shared.tls)));
        Self { shared, tasks }
    }

    /// Takes no new connections, lets those there finish their command for [`limits::SHUTDOWN_GRACE`], tells them, and
    /// cuts off the rest.
    pub async fn shutdown(mut self) {
        // The listeners go with their tasks; Unix sockets leave no file behind.
        self.tasks.shutdown().await;
        let registry = &self.shared.registry;
        registry.stop_all();
        if timeout(limits::SHUTDOWN_GRACE, registry.emptied()).await.is_ok() {
            return info!("all connections have ended");
        }
        warn!(connections = registry.abort_all(), "connections cut off at shutdown");
        // What is aborted ends at its next wait.
        _ = timeout(Duration::from_secs(1), registry.emptied()).await;
    }

    /// Ends every connection of an account, after the command each is at; how many. For an account that was disabled,
    /// deleted or given another password.
    pub fn kick_account(&self, account: AccountId) -> usize {
        self.shared.registry.kick_account(account)
    }

    /// Ends one connection by its number; whether it was there.
    pub fn kick_connection(&self, id: u64) -> bool {
        self.shared.registry.kick_connection(id)
    }

    /// Every connection there is, by number.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.shared.registry.connections()
    }

    /// Numbers since the start.
    pub fn counters(&self) -> Counters {
        self.shared.registry.counters()
    }

    /// Reads certificate and key again; whether they had changed. It happens by itself, too, when the files change.
    ///
    /// # Errors
    /// Why they cannot be used; what was in use stays.
    pub async fn reload_tls(&self) -> Result<bool, TlsError> {
        let tls = Arc::clone(&self.shared.tls);
        tokio::task::spawn_blocking(move || tls.reload()).await.unwrap_or(Ok(false))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.registry.abort_all();
    }
}
