//! Opening connections, with a time limit that lapin does not have.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties, DefaultConnectionBuilder};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::address::Addresses;
use super::{close_connection, code, failed};
use crate::error::TransportError;
use crate::settings::RabbitSettings;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Attempts under way, the stalled ones included: one for each of the two connections.
const MAX_ATTEMPTS: usize = 2;
const NOT_ALLOWED: u16 = 530;

/// Opens connections to one of the addresses.
#[derive(Debug)]
pub(super) struct Connector {
    addresses: Addresses,
    limit: Duration,
    heartbeat: u16,
    attempts: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Connector {
    pub(super) fn new(addresses: Addresses, settings: &RabbitSettings) -> Self {
        let heartbeat = settings.requested_heartbeat.unwrap_or(HEARTBEAT).as_secs();
        // Spring takes 0 for no time limit; every wait on the outside has one here.
        let limit = settings.connection_timeout.filter(|limit| !limit.is_zero()).unwrap_or(CONNECT_LIMIT);
        Self {
            addresses,
            limit,
            heartbeat: u16::try_from(heartbeat).unwrap_or(u16::MAX),
            attempts: Arc::new(Semaphore::new(MAX_ATTEMPTS)),
            tasks: Mutex::default(),
        }
    }

    pub(super) fn broker(&self) -> String {
        self.addresses.to_string()
    }

    /// Connects to the next address. Dropping lapin's attempt would leak its thread and its socket, so the attempt is
    /// a task that goes on after the time limit; a connection that comes too late is closed. While two attempts hang,
    /// no further one is made.
    pub(super) async fn connect(&self, name: &str) -> Result<Connection, TransportError> {
        let Ok(permit) = self.attempts.clone().try_acquire_owned() else {
            return Err(TransportError::Unavailable("earlier attempts to connect still wait for an answer".into()));
        };
        let deadline = Instant::now() + self.limit;
        let uri = self.uri();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let (sender, receiver) = oneshot::channel();
        {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let attempt = match DefaultConnectionBuilder::new() {
                    Ok(builder) => builder.with_uri(uri).with_properties(properties).connect().await,
                    Err(error) => Err(error),
                };
                if let Err(Ok(late)) = sender.send(attempt) {
                    close_connection(&late, Instant::now() + CONNECT_LIMIT).await;
                }
                drop(permit);
            });
        }
        let result = match timeout_at(deadline, receiver).await {
            Ok(Ok(Ok(connection))) => return Ok(connection),
            Ok(Ok(Err(error))) if is_refusal(&error) => TransportError::Refused(error.into()),
            Ok(Ok(Err(error))) => failed("connection.open", error),
            Ok(Err(_)) => TransportError::Unavailable("the attempt to connect was given up".into()),
            Err(_) => TransportError::Timeout { operation: "connection.open", limit: self.limit },
        };
        self.addresses.failed();
        Err(result)
    }

    pub(super) async fn close(&self, deadline: Instant) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        // Those that still hang are aborted with the set.
        drop(timeout_at(deadline, async { while tasks.join_next().await.is_some() {} }).await);
    }

    fn uri(&self) -> AMQPUri {
        let host = self.addresses.pick();
        AMQPUri {
            scheme: if self.addresses.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.addresses.username.clone(),
                    password: self.addresses.password.expose().to_owned(),
                },
                host: host.name,
                port: host.port,
            },
            vhost: self.addresses.virtual_host.clone(),
            query: AMQPQueryString { heartbeat: Some(self.heartbeat), ..AMQPQueryString::default() },
        }
    }
}

/// The login or the virtual host is wrong.
fn is_refusal(error: &lapin::Error) -> bool {
    matches!(code(error), Some(super::ACCESS_REFUSED | NOT_ALLOWED))
}
