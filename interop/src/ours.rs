//! Our service, which joins the peers.

use axum::Router;
use tempfile::TempDir;
use vernal::Application;
use vernal::application::Running;
use vernal::config::{Bootstrap, Error, Settings};
use vernal_examples::greeting;

use crate::check::Outcome;
use crate::peers::{Peer, Peers};
use crate::service::{Journal, echo_routes};

/// A running service of ours: `/echo/{value}`, `/welcome`, the actuator; registered and on the bus.
#[derive(Debug)]
pub struct Ours {
    /// Settings, clients, look-up.
    pub app: Application,
    /// The requests that reached it, those of the actuator left out.
    pub journal: Journal,
    running: Running,
    /// Its `bootstrap.yml`.
    _home: TempDir,
}

impl Ours {
    /// Starts it as application `name` on a free port, with further settings above all others.
    ///
    /// # Errors
    ///
    /// What the start ends with.
    pub async fn start(peers: &dyn Peers, name: &str, settings: &[(&str, &str)]) -> Outcome<Self> {
        Self::start_with(peers, name, settings, |_| Ok(Router::new())).await
    }

    /// The same with further routes, which the journal leaves out.
    ///
    /// # Errors
    ///
    /// What the start ends with, or `more`.
    pub async fn start_with(
        peers: &dyn Peers,
        name: &str,
        settings: &[(&str, &str)],
        more: impl FnOnce(&Application) -> Outcome<Router>,
    ) -> Outcome<Self> {
        let home = home(&peers.url(Peer::Config)?)?;
        let mut builder = Application::builder()
            .directory(home.path())
            .env([])
            .property("spring.application.name", name)
            .property("server.port", "0")
            .property("eureka.client.service-url.defaultZone", peers.url(Peer::Registry)?)
            .property("spring.rabbitmq.port", peers.broker_port().to_string());
        for (key, value) in settings {
            builder = builder.property(*key, *value);
        }
        let app = builder.bootstrap().await?;
        let journal = Journal::default();
        let routes = journal.notes(echo_routes().merge(greeting::routes(&app)?));
        // Of two routers without a fallback of their own, the second one's is kept: the journal notes unknown paths, too.
        let running = app.start(more(&app)?.merge(routes)).await?;
        Ok(Self { app, journal, running, _home: home })
    }

    /// Base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.running.address().port())
    }

    /// `greeting.message` as its settings have it now.
    ///
    /// # Errors
    ///
    /// If it cannot be resolved.
    pub fn greeting(&self) -> Outcome<String> {
        Ok(self.app.settings().get("greeting.message")?.unwrap_or_default())
    }

    /// Leaves in order.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Loads the settings of an application `name` from a config server, which must answer.
///
/// # Errors
///
/// What loading ends with; an outer error is one of this machine.
pub async fn load(config: &str, name: &str, settings: &[(&str, &str)]) -> Outcome<Result<Settings, Error>> {
    let home = home(config)?;
    let mut bootstrap = Bootstrap::builder()
        .directory(home.path())
        .env(Vec::<(String, String)>::new())
        .property("spring.application.name", name);
    for (key, value) in settings {
        bootstrap = bootstrap.property(*key, *value);
    }
    Ok(bootstrap.load().await)
}

/// A folder with the `bootstrap.yml` of a service that asks this config server.
fn home(config: &str) -> Outcome<TempDir> {
    let home = tempfile::Builder::new().prefix("vernal-interop-").tempdir()?;
    let text = format!("spring:\n  cloud:\n    config:\n      uri: {config}\n      fail-fast: true\n");
    std::fs::write(home.path().join("bootstrap.yml"), text)?;
    Ok(home)
}
