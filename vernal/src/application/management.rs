use serde_json::{Value, json};
use tokio::time::Instant;
use vernal_bus_client::{Error as BusError, State};
use vernal_commons::BoxError;
use vernal_commons::discover::Discover;
use vernal_config_client::Settings;

use super::Parts;

/// What the management endpoints ask of an application.
impl Parts {
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Fetches the settings anew for somebody other than the bus, which need not catch up any more then.
    pub(crate) async fn refresh_on_demand(&self) -> Result<Vec<String>, BoxError> {
        let started = Instant::now();
        let changed = self.refresh().await?;
        if let Some(bus) = self.bus().filter(|_| !self.settings.status().is_stale()) {
            bus.config_fetched(started).await;
        }
        Ok(changed)
    }

    pub(crate) async fn publish_refresh(&self, destination: Option<&str>) -> Result<(), BusError> {
        let bus = self.bus().ok_or(BusError::Stopped)?;
        bus.publish_refresh(destination).await.map(drop)
    }

    /// Sets a property on the nodes of the bus that are addressed, on this one too if it is.
    pub(crate) async fn publish_env(&self, destination: Option<&str>, name: &str, value: &str) -> Result<(), BusError> {
        let bus = self.bus().ok_or(BusError::Stopped)?;
        bus.publish_env(destination, name, value).await.map(drop)
    }

    pub(crate) fn has_bus(&self) -> bool {
        self.bus().is_some()
    }

    /// How the parts are, if the settings want them shown.
    pub(crate) fn health(&self) -> Option<Value> {
        let always = |name: &str| self.settings.get(name).ok().flatten().is_some_and(|shown| shown == "always");
        let details = always("management.endpoint.health.show-details");
        if !details && !always("management.endpoint.health.show-components") {
            return None;
        }
        let component = |status: &str, detail: Value| match details {
            true => json!({"status": status, "details": detail}),
            false => json!({"status": status}),
        };
        let mut components = json!({});
        let shown = |works: bool| if works { "UP" } else { "UNKNOWN" };
        let config = self.settings.status();
        if config.uses_server {
            let status = shown(!config.is_stale());
            components["clientConfigServer"] = component(status, json!({"propertySources": self.settings.sources()}));
        }
        if let Some(registry) = &self.registry {
            let fetch = registry.health().fetch;
            let status = shown(fetch.last_success.is_some() && fetch.consecutive_failures == 0);
            components["eureka"] = component(status, json!({"applications": registry.services().len()}));
        }
        if let Some(bus) = self.bus() {
            let state = bus.state();
            components["bus"] = component(shown(state == State::Consuming), json!({"state": format!("{state:?}")}));
        }
        Some(components)
    }
}
