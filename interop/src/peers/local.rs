//! The testkit's servers and the example services in this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded;
use vernal::Application;
use vernal::application::Running;
use vernal::commons::chain::Chain;
use vernal_examples::estate::{ENCRYPT_KEY, copy_files, folder_of, sqlite};
use vernal_examples::order::{self, OrderStore};
use vernal_examples::user::{self, ShopErrors};
use vernal_testkit::broker::Broker;
use vernal_testkit::config_server::{self, ConfigServer};
use vernal_testkit::logs::Logs;
use vernal_testkit::registry::Registry;

use super::{BusEvent, CREDENTIALS, Capability, Mark, Peer, Peers, Seen};
use crate::check::Outcome;
use crate::client::{self, EchoClient, EchoClientFeign};
use crate::scenario::Area;
use crate::service::{Journal, echo_routes, lists};

/// The exchange of the bus.
const BUS: &str = "springCloudBus";
/// The targets of the log lines of the user service's Feign clients.
const FEIGN_TARGETS: &[&str] = &["vernal_examples::user::OrderServiceClient", client::LOG];

/// Peers on free ports of the loopback, one set per scenario. Dropping it ends them all.
#[derive(Debug)]
pub struct Local {
    folder: TempDir,
    repo: PathBuf,
    logs: Logs,
    broker: Broker,
    parts: Mutex<Parts>,
}

/// What runs, and where it listened first.
#[derive(Debug, Default)]
struct Parts {
    configs: BTreeMap<Peer, ConfigServer>,
    registry: Option<Registry>,
    services: BTreeMap<Peer, Running>,
    journals: BTreeMap<Peer, Journal>,
    ports: BTreeMap<Peer, u16>,
}

impl Local {
    /// Starts what an area needs. `logs` must keep what is logged here: the Feign log is read from it.
    ///
    /// # Errors
    ///
    /// If a port cannot be bound or a service does not start.
    pub async fn start(area: Area, logs: Logs) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("vernal-interop-").tempdir()?;
        let repo = folder.path().join("config-repo");
        copy_files(&folder_of("config-repo"), &repo)?;
        let broker = Broker::builder().start().await?;
        let peers = Self { folder, repo, logs, broker, parts: Mutex::default() };
        peers.start_config(Peer::Config).await?;
        peers.start_registry().await?;
        if area != Area::Config {
            peers.start_service(Peer::Order).await?;
            peers.start_service(Peer::User).await?;
        }
        Ok(peers)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a peer listened before; 0 for a free port.
    fn port(&self, peer: Peer) -> u16 {
        self.parts().ports.get(&peer).copied().unwrap_or_default()
    }

    fn database(&self) -> String {
        sqlite(&self.folder.path().join("orders.db"))
    }

    fn config_server(&self, peer: Peer) -> config_server::Builder {
        let all = || ConfigServer::builder(&self.repo).encrypt_key(ENCRYPT_KEY);
        match peer {
            Peer::SecuredConfig => all().basic_auth(CREDENTIALS.0, CREDENTIALS.1),
            Peer::PassthroughConfig => all().decrypt(false),
            Peer::StrictConfig => ConfigServer::builder(self.repo.join("strict")).accept_empty(false),
            _ => all(),
        }
    }

    async fn start_config(&self, peer: Peer) -> Outcome {
        let server = self.config_server(peer).port(self.port(peer)).start().await?;
        let mut parts = self.parts();
        parts.ports.insert(peer, server.address().port());
        parts.configs.insert(peer, server);
        Ok(())
    }

    async fn start_registry(&self) -> Outcome {
        let registry = Registry::builder().port(self.port(Peer::Registry)).start().await?;
        let mut parts = self.parts();
        parts.ports.insert(Peer::Registry, registry.address().port());
        parts.registry = Some(registry);
        Ok(())
    }

    async fn start_service(&self, peer: Peer) -> Outcome {
        let name = if peer == Peer::User { "user-service" } else { "order-service" };
        let database = match peer {
            Peer::User => sqlite(&self.folder.path().join("users.db")),
            _ => self.database(),
        };
        let app = Application::builder()
            .directory(folder_of(name))
            .env([])
            .property("server.port", self.port(peer).to_string())
            .property("spring.cloud.config.uri", self.url(Peer::Config)?)
            .property("eureka.client.service-url.defaultZone", self.url(Peer::Registry)?)
            .property("spring.rabbitmq.port", self.broker.port().to_string())
            .property("spring.datasource.url", database)
            // Java's Feign hides nothing in its log.
            .property("spring.cloud.openfeign.client.config.default.log-unsafe", "true")
            .error_decoder(ShopErrors)
            .bootstrap()
            .await?;
        let routes = match peer {
            Peer::User => user::service(&app).await?.merge(call_routes(&app)?),
            _ => order::service(&app).await?.merge(echo_routes()),
        };
        let journal = self.parts().journals.entry(peer).or_default().clone();
        let running = app.start(journal.notes(routes)).await?;
        let mut parts = self.parts();
        parts.ports.insert(peer, running.address().port());
        parts.services.insert(peer, running);
        Ok(())
    }

    fn take_service(&self, peer: Peer) -> Outcome<Running> {
        self.parts().services.remove(&peer).ok_or_else(|| not_running(peer))
    }
}

#[async_trait]
impl Peers for Local {
    fn version(&self, area: Area) -> String {
        let what = match area {
            Area::Config => "config server",
            Area::Discovery => "registry and example services",
            Area::Feign => "example services",
            Area::Bus => "broker and example services",
            Area::Estate => "servers and example services",
        };
        format!("{what} of the testkit {}", env!("CARGO_PKG_VERSION"))
    }

    fn can(&self, capability: Capability) -> bool {
        match capability {
            Capability::KeyStore
            | Capability::Tomcat
            | Capability::JavaFeign
            | Capability::SpringServices
            | Capability::Monitor
            | Capability::Pika => false,
        }
    }

    fn url(&self, peer: Peer) -> Outcome<String> {
        let parts = self.parts();
        let url = match peer {
            Peer::Registry => parts.registry.as_ref().map(Registry::url),
            Peer::Broker => Some(format!("amqp://127.0.0.1:{}", self.broker.port())),
            _ => match (parts.configs.get(&peer), parts.services.get(&peer)) {
                (Some(server), _) => Some(server.url()),
                (None, service) => service.map(|running| format!("http://{}", running.address())),
            },
        };
        url.ok_or_else(|| not_running(peer))
    }

    fn broker_port(&self) -> u16 {
        self.broker.port()
    }

    fn config_repo(&self) -> &Path {
        &self.repo
    }

    fn outage(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn mark(&self, peer: Peer) -> Outcome<Mark> {
        let start = Mark { requests: 0, events: 0 };
        let requests = self.requests(peer, start).await?.len() as u64;
        Ok(Mark { requests, events: self.broker.published().len() as u64 })
    }

    async fn requests(&self, peer: Peer, since: Mark) -> Outcome<Vec<Seen>> {
        let parts = self.parts();
        let seen: Vec<Seen> = match peer {
            Peer::Registry => {
                let registry = parts.registry.as_ref().ok_or_else(|| not_running(peer))?;
                let seen = registry.journal().into_iter().map(|seen| Seen {
                    method: seen.method,
                    target: seen.path,
                    headers: BTreeMap::new(),
                    status: seen.status.unwrap_or_default(),
                });
                seen.collect()
            }
            Peer::User | Peer::Order | Peer::SecondOrder => {
                parts.journals.get(&peer).map(Journal::seen).unwrap_or_default()
            }
            _ => {
                let server = parts.configs.get(&peer).ok_or_else(|| not_running(peer))?;
                let seen = server.journal().into_iter().map(|seen| Seen {
                    headers: lists(&seen.headers),
                    method: seen.method,
                    target: seen.path,
                    status: seen.status.unwrap_or_default(),
                });
                seen.collect()
            }
        };
        Ok(seen.into_iter().skip(usize::try_from(since.requests)?).collect())
    }

    async fn events(&self, since: Mark) -> Outcome<Vec<BusEvent>> {
        let published = self.broker.published().into_iter().skip(usize::try_from(since.events)?);
        published.filter(|message| message.exchange == BUS).map(|message| event(&message.body)).collect()
    }

    async fn feign_log(&self) -> Outcome<Vec<String>> {
        let records = self.logs.records().into_iter().filter(|record| FEIGN_TARGETS.contains(&record.target.as_str()));
        Ok(records.map(|record| record.message).collect())
    }

    async fn pika(&self, _: u16, _: &str) -> Outcome<Value> {
        Err("the testkit has no pika".into())
    }

    async fn place_order(&self, user_id: &str) -> Outcome {
        let order = order::Order {
            order_id: "0-1".to_owned(),
            product_id: "CATALOG-001".to_owned(),
            qty: 2,
            unit_price: 1500,
            total_price: 3000,
            created_at: "2026-01-02T03:04:05.678Z".to_owned(),
            instance_id: "1".to_owned(),
        };
        Ok(OrderStore::open(&self.database()).await?.insert(user_id, &order).await?)
    }

    async fn start(&self, peer: Peer) -> Outcome {
        match peer {
            Peer::Broker => Ok(self.broker.start_again().await?),
            Peer::Registry => self.start_registry().await,
            Peer::User | Peer::Order | Peer::SecondOrder => self.start_service(peer).await,
            Peer::Config | Peer::SecuredConfig | Peer::PassthroughConfig | Peer::StrictConfig => {
                self.start_config(peer).await
            }
            Peer::UserAtOurs | Peer::Solidus | Peer::KeyStoreConfig => {
                Err(format!("the testkit has no {}", peer.name()).into())
            }
        }
    }

    async fn start_at(&self, peer: Peer, _: &dyn Peers) -> Outcome {
        Err(format!("the testkit has no {}", peer.name()).into())
    }

    async fn stop(&self, peer: Peer) -> Outcome {
        match peer {
            Peer::Broker => self.broker.stop().await,
            Peer::Registry => {
                let registry = self.parts().registry.take();
                registry.ok_or_else(|| not_running(peer))?.stop().await;
            }
            Peer::User | Peer::Order | Peer::SecondOrder => self.take_service(peer)?.stop().await,
            _ => {
                let server = self.parts().configs.remove(&peer);
                server.ok_or_else(|| not_running(peer))?.stop().await;
            }
        }
        Ok(())
    }

    /// A server has nothing that it could leave undone, so only services differ from [`stop`](Self::stop).
    async fn kill(&self, peer: Peer) -> Outcome {
        match peer {
            Peer::User | Peer::Order | Peer::SecondOrder => self.take_service(peer)?.kill().await,
            _ => return self.stop(peer).await,
        }
        Ok(())
    }

    /// Each scenario has its own peers.
    async fn tidy(&self) -> Outcome {
        Ok(())
    }
}

fn not_running(peer: Peer) -> vernal::BoxError {
    format!("{} does not run", peer.name()).into()
}

/// A bus event from the body of its message.
fn event(body: &[u8]) -> Outcome<BusEvent> {
    let json: Value = serde_json::from_slice(body)?;
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Ok(BusEvent {
        kind: text("type").unwrap_or_default(),
        id: text("id").unwrap_or_default(),
        origin: text("originService").unwrap_or_default(),
        destination: text("destinationService"),
        ack_id: text("ackId"),
    })
}

/// What `CallController` of the Java user service offers: a scenario triggers calls to services that only this
/// service knows.
fn call_routes(app: &Application) -> Outcome<Router> {
    let calls = Router::new().route("/calls/{service}", post(call)).with_state((app.clone(), Arc::new(app.feign()?)));
    Ok(calls.route("/instances/{service}", get(instances).with_state(app.clone())))
}

#[derive(Deserialize)]
struct CallWanted {
    path: String,
    #[serde(default)]
    query: Vec<String>,
    header: Option<String>,
    authorization: Option<String>,
    /// JSON as text.
    body: Option<String>,
}

async fn call(
    State((app, client)): State<(Application, Arc<EchoClientFeign>)>,
    axum::extract::Path(service): axum::extract::Path<String>,
    Json(wanted): Json<CallWanted>,
) -> Result<(StatusCode, String), (StatusCode, String)> {
    let failed = |error: &(dyn std::error::Error + 'static)| (StatusCode::BAD_GATEWAY, Chain(error).to_string());
    if let Some(body) = &wanted.body {
        let status = wanted.path.parse().map_err(|error| failed(&error))?;
        let body = serde_json::from_str(body).map_err(|error| failed(&error))?;
        let token: Vec<_> = wanted.query.iter().map(String::as_str).collect();
        let (header, authorization) = (wanted.header.as_deref(), wanted.authorization.as_deref());
        let answer = client.mirror(status, &token, header, authorization, &body).await;
        return answer.map(|text| (StatusCode::OK, text)).map_err(|error| failed(&error));
    }
    let pairs = wanted.query.iter().map(|value| ("q", value));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    // A form writes spaces as `+`, which means a plus sign in a path.
    let segment = form_urlencoded::byte_serialize(wanted.path.as_bytes()).collect::<String>().replace('+', "%20");
    let mut request = Request::get(format!("http://{service}/echo/{segment}?{query}"));
    if let Some(header) = wanted.header {
        request = request.header("X-Value", header);
    }
    let request = request.body(vernal::Body::empty()).map_err(|error| failed(&error))?;
    let rest = app.rest().map_err(|error| failed(&error))?;
    let answer = rest.exchange(request).await.map_err(|error| failed(&error))?;
    Ok((answer.status(), String::from_utf8_lossy(answer.body()).into_owned()))
}

async fn instances(
    State(app): State<Application>,
    axum::extract::Path(service): axum::extract::Path<String>,
) -> Json<Value> {
    let view = app.discovery().lookup(&service);
    let instances = view.iter().flat_map(|view| view.instances());
    let told = instances.map(
        |instance| json!({"instanceId": instance.instance_id(), "host": instance.host(), "port": instance.port()}),
    );
    Json(told.collect())
}
