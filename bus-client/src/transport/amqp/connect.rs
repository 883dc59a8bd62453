//! Opening connections, with a time limit that lapin does not have.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_rs::Runtime;
use lapin::tcp::AMQPUriTcpExt;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use tokio_util::sync::CancellationToken;

use super::address::Addresses;
use super::runtime::{CuttableTokio, cut_off};
use super::{code, failed};
use crate::error::TransportError;
use crate::settings::RabbitSettings;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(20);
/// lapin keeps room for 32 frames each way, and all of it becomes resident in time: with RabbitMQ's 128 KiB that is 8 MiB
/// a connection. Bus events are small; a larger one comes in several frames.
const FRAME_MAX: u32 = 16 * 1024;
const NOT_ALLOWED: u16 = 530;

/// Opens connections to one of the addresses.
#[derive(Debug)]
pub(super) struct Connector {
    addresses: Addresses,
    limit: Duration,
    heartbeat: u16,
}

impl Connector {
    pub(super) fn new(addresses: Addresses, settings: &RabbitSettings) -> Self {
        let heartbeat = settings.requested_heartbeat.unwrap_or(HEARTBEAT).as_secs();
        // Spring takes 0 for no time limit; every wait on the outside has one here.
        let limit = settings.connection_timeout.filter(|limit| !limit.is_zero()).unwrap_or(CONNECT_LIMIT);
        Self { addresses, limit, heartbeat: u16::try_from(heartbeat).unwrap_or(u16::MAX) }
    }

    pub(super) fn broker(&self) -> String {
        self.addresses.to_string()
    }

    /// Connects to the next address. An attempt that takes too long, or that nobody waits for any more, is cut off:
    /// dropped only, it would leave lapin's thread and its socket behind.
    ///
    /// # Cancel safety
    ///
    /// A dropped future ends the attempt.
    pub(super) async fn connect(&self, name: &str) -> Result<Connection, TransportError> {
        let cut = CancellationToken::new();
        let given_up = cut.clone();
        let (uri, runtime) = (self.uri(), Runtime::new(CuttableTokio::current(cut.clone())));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let unwanted = cut.drop_guard();
        let attempt = async {
            // Before lapin begins: its connection leaves a task behind if it cannot connect.
            let first = Mutex::new(Some(uri.connect_async(&runtime).await?));
            // A name that is being resolved and a TLS handshake read from no stream of ours, so they are ended here.
            let open = async move |uri: AMQPUri, runtime: Runtime<CuttableTokio>| {
                let opened = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(stream) = opened {
                    return Ok(stream);
                }
                let stream = uri.connect_async(&runtime);
                given_up.run_until_cancelled(stream).await.unwrap_or_else(|| Err(cut_off())).map_err(lapin::Error::from)
            };
            Connection::connector(uri.clone(), runtime.clone(), open, properties).await
        };
        let result = match tokio::time::timeout(self.limit, attempt).await {
            Ok(Ok(connection)) => {
                unwanted.disarm();
                return Ok(connection);
            }
            Ok(Err(error)) if is_refusal(&error) => TransportError::Refused(error.into()),
            Ok(Err(error)) => failed("connection.open", error),
            Err(_) => TransportError::Timeout { operation: "connection.open", limit: self.limit },
        };
        self.addresses.failed();
        Err(result)
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
            query: AMQPQueryString {
                heartbeat: Some(self.heartbeat),
                frame_max: Some(FRAME_MAX),
                ..AMQPQueryString::default()
            },
        }
    }
}

/// The login or the virtual host is wrong.
fn is_refusal(error: &lapin::Error) -> bool {
    matches!(code(error), Some(super::ACCESS_REFUSED | NOT_ALLOWED))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::runtime::Handle;

    use super::*;

    #[tokio::test]
    async fn refused_connection_leaves_no_task_behind() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = RabbitSettings { host: "127.0.0.1".to_owned(), port: Some(port), ..RabbitSettings::default() };
        let connector = Connector::new(Addresses::new(&settings).unwrap(), &settings);
        let before = Handle::current().metrics().num_alive_tasks();
        for _ in 0..10 {
            connector.connect("test").await.unwrap_err();
        }
        assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    }
}
