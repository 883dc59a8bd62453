//! What `interop/run` has started.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{BusEvent, Capability, Mark, Peer, Peers, Seen};
use crate::check::Outcome;
use crate::scenario::Area;
use crate::web::Web;

/// Starting a Java peer may take `interop/run`'s own two minutes.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);
/// A peer that is up answers within this.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The peers of one `interop/run up`.
#[derive(Debug)]
pub struct Real {
    run: PathBuf,
    addresses: Mutex<BTreeMap<String, String>>,
    repo: PathBuf,
    /// What a scenario started in addition, or ended, or was about to.
    changed: Mutex<BTreeSet<Peer>>,
    versions: Versions,
    web: Web,
}

#[derive(Debug)]
struct Versions {
    cloud: String,
    boot: String,
    rabbitmq: String,
}

/// An entry of a Java peer's journal.
#[derive(Deserialize)]
struct Entry {
    number: u64,
    facts: Value,
}

impl Real {
    /// Finds the peers of the script `run`.
    ///
    /// # Errors
    ///
    /// If they do not all run and answer.
    pub async fn find(run: PathBuf) -> Outcome<Self> {
        let addresses = Mutex::new(read_addresses(&run)?);
        let pom = run.with_file_name("spring").join("pom.xml");
        let pom = fs::read_to_string(&pom).map_err(|error| format!("{}: {error}", pom.display()))?;
        let version = |after: &str, until: &str| {
            let rest = pom.split_once(after).map(|(_, rest)| rest);
            rest.and_then(|rest| rest.split_once(until)).map_or("?", |(version, _)| version).to_owned()
        };
        let versions = Versions {
            cloud: version("<spring-cloud.version>", "</"),
            boot: version("<artifactId>spring-boot-starter-parent</artifactId>", "</version>")
                .rsplit('>')
                .next()
                .unwrap_or("?")
                .to_owned(),
            rabbitmq: String::new(),
        };
        let repo = addresses.lock().unwrap_or_else(PoisonError::into_inner).get("INTEROP_CONFIG_REPO_COPY").cloned();
        let repo = repo.ok_or("peers.env names no INTEROP_CONFIG_REPO_COPY")?.into();
        let (changed, web) = (Mutex::default(), Web::new()?);
        let mut peers = Self { run, addresses, repo, changed, versions, web };
        for peer in Peer::USUAL {
            peers.answers(peer).await?;
        }
        peers.versions.rabbitmq = command(&peers.run, &["rabbitmqctl", "version"]).await?.trim().to_owned();
        Ok(peers)
    }

    /// The command line of a peer that runs.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn command_line(&self, peer: Peer) -> Outcome<Vec<String>> {
        let words = fs::read_to_string(format!("/proc/{}/cmdline", self.pid(peer)?))?;
        Ok(words.split_terminator('\0').map(str::to_owned).collect())
    }

    fn pid(&self, peer: Peer) -> Outcome<String> {
        let file = self.run.with_file_name(".run").join("peers").join(peer.name()).join("pid");
        let pid = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(pid.trim().to_owned())
    }

    /// Whether its process is there. The number alone proves nothing: it may have been given to somebody else, who lacks
    /// the mark that `interop/run` gives its peers.
    fn runs(&self, peer: Peer) -> bool {
        let environment = self.pid(peer).ok().and_then(|pid| fs::read(format!("/proc/{pid}/environ")).ok());
        let home = fs::canonicalize(self.run.with_file_name(".run")).ok();
        environment.is_some_and(|environment| {
            let mut marks =
                environment.split(|&byte| byte == 0).filter_map(|entry| entry.strip_prefix(b"INTEROP_PEER_OF="));
            marks.any(|mark| home.is_some() && fs::canonicalize(OsStr::from_bytes(mark)).ok() == home)
        })
    }

    /// A usual peer runs and answers where it is said to.
    async fn answers(&self, peer: Peer) -> Outcome {
        let name = peer.name();
        if !self.runs(peer) {
            return Err(
                format!("{name} does not run: `interop/run start {name}`, or `interop/run down` and `up`").into()
            );
        }
        let address = self.address(peer);
        let answer = match (&address, peer) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(port), Peer::Broker) => {
                let connecting = TcpStream::connect(format!("127.0.0.1:{port}"));
                match tokio::time::timeout(ANSWER_LIMIT, connecting).await {
                    Ok(connected) => connected.map(drop).map_err(|error| format!("port {port}: {error}")),
                    Err(_) => Err(format!("port {port}: nothing within {ANSWER_LIMIT:?}")),
                }
            }
            (Ok(url), _) => {
                let path = if peer == Peer::Registry { "/apps" } else { "/actuator/health" };
                let url = format!("{url}{path}");
                let answer = Web::with_limit(ANSWER_LIMIT)?.get(&url).await;
                answer.expect(200, &url).map(drop).map_err(|error| error.to_string())
            }
        };
        answer.map_err(|error| {
            let again = format!("`interop/run stop {name}` and `start {name}`, or `interop/run down` and `up`");
            format!("{name} runs and does not answer: {again}; {error}").into()
        })
    }

    fn address(&self, peer: Peer) -> Outcome<String> {
        let name = match peer {
            Peer::Broker => "INTEROP_RABBITMQ_PORT".to_owned(),
            _ => format!("INTEROP_{}_URL", peer.name().to_uppercase().replace('-', "_")),
        };
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.get(&name).cloned().ok_or_else(|| format!("{} does not run: no {name}", peer.name()).into())
    }

    async fn command(&self, arguments: &[&str]) -> Outcome {
        command(&self.run, arguments).await?;
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = read_addresses(&self.run)?;
        Ok(())
    }

    async fn run_peer(&self, peer: Peer, arguments: Vec<String>) -> Outcome {
        // Left by a run that was interrupted, perhaps in the middle of the start.
        if self.runs(peer) {
            self.end(peer, "stop").await?;
        }
        // At once: a scenario whose time is up goes no further than to a wait.
        self.changed().insert(peer);
        if let Err(error) = self.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await {
            // It may run and not be healthy; the reason that is told is the first one.
            drop(self.command(&["kill", peer.name()]).await);
            return Err(error);
        }
        if Peer::USUAL.contains(&peer) {
            self.changed().remove(&peer);
        }
        Ok(())
    }

    /// Ends a peer with one of the script's commands.
    async fn end(&self, peer: Peer, how: &str) -> Outcome {
        self.changed().insert(peer);
        self.command(&[how, peer.name()]).await?;
        if !Peer::USUAL.contains(&peer) {
            self.changed().remove(&peer);
        }
        Ok(())
    }

    /// Starts a usual peer that does not run, ends another one that does.
    async fn put_right(&self, peer: Peer) -> Outcome {
        let (usual, changed) = (Peer::USUAL.contains(&peer), self.changed().contains(&peer));
        match (usual, self.runs(peer)) {
            (true, true) if !changed => Ok(()),
            (true, runs) => {
                self.start(peer).await?;
                match changed || runs {
                    true => Ok(()),
                    false => Err("it had ended by itself and was started again".into()),
                }
            }
            (false, true) => self.end(peer, "stop").await,
            (false, false) => {
                self.changed().remove(&peer);
                Ok(())
            }
        }
    }

    fn changed(&self) -> MutexGuard<'_, BTreeSet<Peer>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn journal(&self, peer: Peer, kind: &str, after: u64) -> Outcome<Vec<Entry>> {
        let base = self.url(peer)?;
        let base = base.trim_end_matches("/eureka");
        let url = format!("{base}/journal?after={after}&kind={kind}");
        read(self.web.get(&url).await.expect(200, &url)?.json)
    }
}

/// What `interop/run start` must be told beside the name.
fn arguments(peer: Peer, repo: &Path) -> Vec<String> {
    let words = |kind: &str, settings: &[&str]| {
        let start = ["start", kind, "--as", peer.name()].into_iter().map(str::to_owned);
        start.chain(settings.iter().map(|&setting| setting.to_owned())).collect()
    };
    match peer {
        Peer::Broker | Peer::Registry | Peer::Config | Peer::User | Peer::Order => {
            vec!["start".to_owned(), peer.name().to_owned()]
        }
        Peer::SecondOrder => words("order-service", &[]),
        Peer::UserAtOurs => words("user-service", &[]),
        Peer::Solidus => words(
            "order-service",
            &[
                "--interop.encoded-solidus-handling=passthrough",
                "--spring.application.name=order-solidus",
                "--eureka.client.enabled=false",
            ],
        ),
        Peer::SecuredConfig => words("config-server", &["--spring.profiles.active=native,aes,secured"]),
        Peer::PassthroughConfig => words("config-server", &["--spring.profiles.active=native,passthrough"]),
        Peer::KeyStoreConfig => words("config-server", &["--spring.profiles.active=native,rsa"]),
        Peer::StrictConfig => {
            let repo = format!("--interop.config-repo={}", repo.join("strict").display());
            // Its health check asks for an application that it does not know.
            let healthy = "--spring.cloud.config.server.health.enabled=false";
            words("config-server", &[&repo, "--spring.cloud.config.server.accept-empty=false", healthy])
        }
    }
}

#[async_trait]
impl Peers for Real {
    fn version(&self, area: Area) -> String {
        let Versions { cloud, boot, rabbitmq } = &self.versions;
        match area {
            Area::Config => format!("Config Server, Spring Cloud {cloud}"),
            Area::Discovery => format!("Eureka, Spring Cloud {cloud}"),
            Area::Feign => format!("Boot {boot}, OpenFeign of {cloud}"),
            Area::Estate => format!("Boot {boot}, Cloud {cloud}, RabbitMQ {rabbitmq}"),
            Area::Bus => format!("Spring Cloud {cloud}, RabbitMQ {rabbitmq}"),
        }
    }

    fn can(&self, capability: Capability) -> bool {
        match capability {
            Capability::KeyStore
            | Capability::Tomcat
            | Capability::JavaFeign
            | Capability::SpringServices
            | Capability::Monitor
            | Capability::Pika => true,
        }
    }

    fn url(&self, peer: Peer) -> Outcome<String> {
        self.address(peer)
    }

    fn broker_port(&self) -> u16 {
        // Checked when the peers were found; a stopped broker comes back to the same port.
        self.address(Peer::Broker).ok().and_then(|port| port.parse().ok()).unwrap_or(5672)
    }

    fn config_repo(&self) -> &Path {
        &self.repo
    }

    fn outage(&self) -> Duration {
        Duration::from_secs(20)
    }

    async fn mark(&self, peer: Peer) -> Outcome<Mark> {
        let last = async |kind| {
            let entries = self.journal(peer, kind, 0).await?;
            Ok::<_, vernal::BoxError>(entries.last().map_or(0, |entry| entry.number))
        };
        Ok(Mark { requests: last("request").await?, events: last("bus").await? })
    }

    async fn requests(&self, peer: Peer, since: Mark) -> Outcome<Vec<Seen>> {
        facts(self.journal(peer, "request", since.requests).await?)
    }

    async fn events(&self, since: Mark) -> Outcome<Vec<BusEvent>> {
        facts(self.journal(Peer::Order, "bus", since.events).await?)
    }

    async fn feign_log(&self) -> Outcome<Vec<String>> {
        let name = "INTEROP_USER_SERVICE_FEIGN_LOG";
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let file = addresses.get(name).ok_or_else(|| format!("peers.env names no {name}"))?;
        Ok(fs::read_to_string(file)?.lines().map(str::to_owned).collect())
    }

    async fn pika(&self, port: u16, service: &str) -> Outcome<Value> {
        let name = "INTEROP_PYTHON";
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let python = addresses.get(name).ok_or_else(|| format!("peers.env names no {name}"))?;
        let program = self.run.with_file_name("pika").join("node.py");
        let program = program.to_string_lossy();
        let told = command(Path::new(python), &[&program, &port.to_string(), service]).await?;
        Ok(serde_json::from_str(&told)?)
    }

    async fn place_order(&self, user_id: &str) -> Outcome {
        let order = json!({"productId": "CATALOG-001", "qty": 2, "unitPrice": 1500});
        let url = format!("{}/{user_id}/orders", self.url(Peer::Order)?);
        self.web.post_json(&url, &order).await.expect(201, "the order could not be placed").map(drop)
    }

    async fn start(&self, peer: Peer) -> Outcome {
        self.run_peer(peer, arguments(peer, &self.repo)).await
    }

    async fn start_at(&self, peer: Peer, servers: &dyn Peers) -> Outcome {
        let mut arguments = arguments(peer, &self.repo);
        arguments.push(format!("--spring.cloud.config.uri={}", servers.url(Peer::Config)?));
        arguments.push(format!("--eureka.client.service-url.defaultZone={}", servers.url(Peer::Registry)?));
        arguments.push(format!("--spring.rabbitmq.port={}", servers.broker_port()));
        self.run_peer(peer, arguments).await
    }

    async fn stop(&self, peer: Peer) -> Outcome {
        self.end(peer, "stop").await
    }

    async fn kill(&self, peer: Peer) -> Outcome {
        self.end(peer, "kill").await
    }

    async fn tidy(&self) -> Outcome {
        let changed = self.changed().clone();
        let more = changed.into_iter().filter(|peer| !Peer::USUAL.contains(peer));
        let mut told = Vec::new();
        for peer in Peer::USUAL.into_iter().chain(more) {
            if let Err(error) = self.put_right(peer).await {
                told.push(format!("{}: {error}", peer.name()));
            }
        }
        if told.is_empty() { Ok(()) } else { Err(told.join("; ").into()) }
    }
}

/// `peers.env` of the script's private folder.
fn read_addresses(run: &Path) -> Outcome<BTreeMap<String, String>> {
    let file = run.with_file_name(".run").join("peers.env");
    let text = fs::read_to_string(&file)
        .map_err(|error| format!("{}: {error}; `interop/run up` starts the peers", file.display()))?;
    let addresses = text.lines().filter_map(|line| line.split_once('='));
    Ok(addresses.map(|(name, value)| (name.into(), value.trim_matches('\'').into())).collect())
}

/// Runs the script, or another program; gives what it printed.
async fn command(program: &Path, arguments: &[&str]) -> Outcome<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let told = || format!("{} {}", program.display(), arguments.join(" "));
    let ended = tokio::time::timeout(COMMAND_LIMIT, command.output());
    let output = ended.await.map_err(|_| format!("{} took longer than {COMMAND_LIMIT:?}", told()))??;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{}: {}: {}", told(), output.status, String::from_utf8_lossy(&output.stderr)).into())
}

fn facts<T: DeserializeOwned>(entries: Vec<Entry>) -> Outcome<Vec<T>> {
    entries.into_iter().map(|entry| read(entry.facts)).collect()
}

fn read<T: DeserializeOwned>(json: Value) -> Outcome<T> {
    Ok(serde_json::from_value(json)?)
}
