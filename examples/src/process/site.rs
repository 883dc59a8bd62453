use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use tempfile::TempDir;
use vernal::BoxError;
use vernal::commons::random::Random;

use super::Program;
use crate::estate::{self, copy_files, folder_of};

/// Below what Linux gives to outgoing connections: one of those would keep a server from coming back to its port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const TRIES: usize = 1000;

/// Where the programs of one system are: a folder with a copy of `config-repo`, and the ports of those that others must
/// know. A program that is started once more takes the same place.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    ports: Ports,
    environment: Vec<(&'static str, &'static str)>,
}

/// Where the programs listen that others must know.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The broker.
    pub broker: u16,
    /// The config server.
    pub config: u16,
    /// The registry.
    pub registry: u16,
    /// The gateway.
    pub gateway: u16,
    /// The user service.
    pub user: u16,
}

impl Site {
    /// Copies `config-repo` and looks for free ports.
    ///
    /// # Errors
    ///
    /// If the copy cannot be made or no ports are free.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("vernal-site-").tempdir()?;
        copy_files(&folder_of("config-repo"), &folder.path().join("config-repo"))?;
        let [broker, config, registry, gateway, user] = free_ports()?;
        let ports = Ports { broker, config, registry, gateway, user };
        let site = Self { folder, ports, environment: Vec::new() };
        // The config server's settings rank above arguments, so the database is set there.
        let database = site.folder.path().join("orders.db");
        site.edit("order-service.yml", "target/orders.db", &database.display().to_string())?;
        Ok(site)
    }

    /// Adds a variable to the environment of the programs that are started from now on.
    #[must_use]
    pub fn environment(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// The ports.
    #[must_use]
    pub const fn ports(&self) -> Ports {
        self.ports
    }

    /// Base URL of the gateway.
    #[must_use]
    pub fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.gateway)
    }

    /// Base URL of the user service.
    #[must_use]
    pub fn user(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.user)
    }

    /// Base URL of the registry, with `/eureka`.
    #[must_use]
    pub fn registry_url(&self) -> String {
        format!("http://127.0.0.1:{}/eureka", self.ports.registry)
    }

    /// Replaces `from` by `to` in a file of the config repository.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or does not hold `from`.
    pub fn edit(&self, name: &str, from: &str, to: &str) -> io::Result<()> {
        estate::replace(&self.repo().join(name), from, to)
    }

    /// Starts the broker.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub async fn broker(&self) -> Result<Program, BoxError> {
        self.start("broker", &[], &[("spring.rabbitmq.port", &self.ports.broker.to_string())]).await
    }

    /// Starts the config server.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub async fn config_server(&self) -> Result<Program, BoxError> {
        let (port, repo) = (self.ports.config.to_string(), self.repo().display().to_string());
        let settings = [("server.port", &*port), ("spring.cloud.config.server.native.search-locations", &repo)];
        self.start("config-service", &[], &settings).await
    }

    /// Starts the registry.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub async fn registry(&self) -> Result<Program, BoxError> {
        self.start("discovery-service", &[], &[("server.port", &self.ports.registry.to_string())]).await
    }

    /// Starts a service, the others than the gateway and the user service on a free port each.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub async fn service(&self, name: &str) -> Result<Program, BoxError> {
        let (port, flags): (_, &[&str]) = match name {
            "gateway-service" => (self.ports.gateway, &[]),
            "user-service" => (self.ports.user, &["--join"]),
            _ => (0, &[]),
        };
        let (port, config) = (port.to_string(), format!("http://127.0.0.1:{}", self.ports.config));
        let (broker, gateway) = (self.ports.broker.to_string(), self.ports.gateway.to_string());
        let settings = [
            ("server.port", &*port),
            ("spring.cloud.config.uri", &config),
            ("eureka.client.service-url.defaultZone", &self.registry_url()),
            ("spring.rabbitmq.port", &broker),
            ("gateway.port", &gateway),
        ];
        self.start(name, flags, &settings).await
    }

    async fn start(&self, name: &str, flags: &[&str], settings: &[(&str, &str)]) -> Result<Program, BoxError> {
        Program::start(name, flags, settings, &self.environment).await
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("config-repo")
    }
}

/// Ports that are free now.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let random = Random::new();
    let mut taken = Vec::new();
    for _ in 0..TRIES {
        if taken.len() == N {
            break;
        }
        let number = random.below(PORTS.len());
        let port = PORTS.start + u16::try_from(number).map_err(io::Error::other)?;
        taken.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    let ports = taken.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
    ports.try_into().map_err(|_| io::Error::other(format!("fewer than {N} ports are free in {PORTS:?}")))
}
