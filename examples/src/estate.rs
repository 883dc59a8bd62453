//! The whole system in one process: each service has an [`Application`] of its own, and they share nothing but
//! sockets and the order database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vernal::application::{Builder, Running};
use vernal::{Application, BoxError};
use vernal_testkit::broker::Broker;
use vernal_testkit::config_server::ConfigServer;
use vernal_testkit::registry::Registry;

use crate::{catalog, gateway, order, user};

/// The key of the config server, as in `config-service/bootstrap.yml`.
pub const ENCRYPT_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// Servers and services on free ports of the loopback. Dropping it ends them all.
#[derive(Debug)]
pub struct Estate {
    folder: TempDir,
    /// The message broker, while it runs.
    pub broker: Option<Broker>,
    /// The config server, while it runs.
    pub config: Option<ConfigServer>,
    /// The registry, while it runs.
    pub registry: Option<Registry>,
    /// The gateway, while it runs.
    pub gateway: Option<Running>,
    /// The instances of the order service that run.
    pub orders: Vec<Running>,
    /// The catalog service, while it runs.
    pub catalog: Option<Running>,
    addresses: Addresses,
}

/// Where the parts of the estate listen; stays true after a part has been stopped.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Base URL of the config server.
    pub config: String,
    /// Base URL of the registry, with `/eureka`.
    pub registry: String,
    /// Port of the broker.
    pub broker: u16,
    /// Port of the gateway.
    pub gateway: u16,
}

impl Estate {
    /// Starts broker, config server and registry over a copy of `config-repo`.
    ///
    /// # Errors
    ///
    /// If the copy cannot be made or a port cannot be bound.
    pub async fn servers() -> Result<Self, BoxError> {
        let folder = tempfile::Builder::new().prefix("vernal-estate-").tempdir()?;
        let repo = folder.path().join("config-repo");
        copy_files(&folder_of("config-repo"), &repo)?;
        let broker = Broker::builder().start().await?;
        let config = ConfigServer::builder(&repo).encrypt_key(ENCRYPT_KEY).start().await?;
        let registry = Registry::builder().start().await?;
        let addresses = Addresses {
            config: config.url().to_owned(),
            registry: registry.url().to_owned(),
            broker: broker.port(),
            gateway: 0,
        };
        Ok(Self {
            folder,
            broker: Some(broker),
            config: Some(config),
            registry: Some(registry),
            gateway: None,
            orders: Vec::new(),
            catalog: None,
            addresses,
        })
    }

    /// Starts the gateway, the catalog service and two order services, each as its program would.
    ///
    /// # Errors
    ///
    /// What a service ends with.
    pub async fn services(&mut self) -> Result<(), BoxError> {
        let app = self.application("gateway-service").bootstrap().await?;
        let gateway = app.start(gateway::service(&app)?).await?;
        self.addresses.gateway = gateway.address().port();
        self.gateway = Some(gateway);
        let app = self.application("catalog-service").bootstrap().await?;
        self.catalog = Some(app.start(catalog::routes(&app)?).await?);
        for _ in 0..2 {
            self.order_service(&self.order_database()).await?;
        }
        Ok(())
    }

    /// Starts one more order service over the database in `file`.
    ///
    /// # Errors
    ///
    /// What the service ends with.
    pub async fn order_service(&mut self, file: &Path) -> Result<(), BoxError> {
        let app = self.application("order-service").property("spring.datasource.url", sqlite(file)).bootstrap().await?;
        let routes = order::service(&app).await?;
        self.orders.push(app.start(routes).await?);
        Ok(())
    }

    /// Starts the user service.
    ///
    /// # Errors
    ///
    /// What the service ends with.
    pub async fn user(&self) -> Result<(Application, Running), BoxError> {
        let users = self.folder.path().join("users.db");
        let app = self.application("user-service").property("spring.datasource.url", sqlite(&users));
        let app = app.error_decoder(user::ShopErrors).bootstrap().await?;
        let routes = user::service(&app).await?;
        let running = app.start(routes).await?;
        Ok((app, running))
    }

    /// An application that joins this estate: its own `bootstrap.yml`, but free ports.
    pub fn application(&self, service: &str) -> Builder {
        Application::builder()
            .directory(folder_of(service))
            .env([])
            .property("server.port", "0")
            .property("spring.cloud.config.uri", &self.addresses.config)
            .property("eureka.client.service-url.defaultZone", &self.addresses.registry)
            .property("spring.rabbitmq.port", self.addresses.broker.to_string())
            .property("gateway.port", self.addresses.gateway.to_string())
    }

    /// Where the parts listen.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The copy of the config repository that the config server reads.
    #[must_use]
    pub fn config_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("config-repo").join(name)
    }

    /// The database that both order services share.
    #[must_use]
    pub fn order_database(&self) -> PathBuf {
        self.folder.path().join("orders.db")
    }

    /// A database that nobody uses yet.
    #[must_use]
    pub fn other_database(&self) -> PathBuf {
        self.folder.path().join("other-orders.db")
    }

    /// Replaces `from` by `to` in a file of the config repository.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or does not hold `from`.
    pub fn edit(&self, name: &str, from: &str, to: &str) -> io::Result<()> {
        replace(&self.config_file(name), from, to)
    }

    /// Stops everything in an order in which nobody misses anybody.
    pub async fn stop(mut self) {
        let services = self.gateway.take().into_iter().chain(self.orders.drain(..)).chain(self.catalog.take());
        for service in services {
            service.stop().await;
        }
        if let Some(registry) = self.registry.take() {
            registry.stop().await;
        }
        if let Some(config) = self.config.take() {
            config.stop().await;
        }
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
    }
}

/// A folder beside the examples' sources: the home of a service's `bootstrap.yml`, or `config-repo`.
#[must_use]
pub fn folder_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The URL of an SQLite database in `file`.
#[must_use]
pub fn sqlite(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

/// Copies the files of a folder, not those below it.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Replaces `from` by `to` in a file, at once: nobody reads half of it.
///
/// # Errors
///
/// If the file cannot be read or written, or does not hold `from`.
pub fn replace(path: &Path, from: &str, to: &str) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    if !text.contains(from) {
        return Err(io::Error::other(format!("{} does not hold `{from}`", path.display())));
    }
    let new = path.with_extension("new");
    fs::write(&new, text.replace(from, to))?;
    fs::rename(new, path)
}
