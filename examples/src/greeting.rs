//! `GET /welcome` and `GET /health_check`, which every service answers.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vernal::Application;
use vernal::commons::property::PropertyResolver;
use vernal::config::{Live, Settings};

use crate::datasource;

/// `greeting.*` of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Greeting {
    /// What `/welcome` says.
    pub message: String,
}

#[derive(Clone)]
struct About {
    greeting: Live<Greeting>,
    settings: Settings,
}

/// The two routes.
///
/// # Errors
///
/// If `greeting` in the settings has another form.
pub fn routes(app: &Application) -> Result<Router, vernal::Error> {
    let about = About { greeting: app.live("greeting")?, settings: app.settings().clone() };
    Ok(Router::new().route("/welcome", get(welcome)).route("/health_check", get(health_check)).with_state(about))
}

async fn welcome(State(about): State<About>) -> String {
    about.greeting.get().message.clone()
}

/// Which settings are there; of secrets only that they are.
async fn health_check(State(about): State<About>) -> Json<Value> {
    let shown = |name: &str| about.settings.property(name).ok().flatten();
    let without_login = |name: &str| shown(name).map(|url| datasource::without_login(&url));
    let masked = |name: &str| shown(name).map(|_| "***");
    Json(json!({
        "service": shown("spring.application.name"),
        "port": shown("local.server.port").or_else(|| shown("server.port")),
        "greeting.message": shown("greeting.message"),
        "order_service.url": without_login("order_service.url"),
        "spring.datasource.url": without_login("spring.datasource.url"),
        "spring.datasource.password": masked("spring.datasource.password"),
        "token.secret": masked("token.secret"),
    }))
}
