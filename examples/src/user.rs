//! The user service: stores users and shows them with their orders.

use std::fmt;
use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;
use vernal::commons::chain::Chain;
use vernal::config::Settings;
use vernal::feign::RestClient;
use vernal::prelude::*;
use vernal::{Application, BoxError};

use crate::datasource;
use crate::order::Order;
use crate::problem::{InPath, InQuery, JsonBody, Problem, answered};

mod errors;
mod password;
mod store;

pub use errors::{OrderError, ShopErrors};
pub use password::PasswordHash;
pub use store::{StoreError, UserStore};

/// A user as the service shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Made by the service.
    pub user_id: String,
    /// Unique.
    pub email: String,
    /// What others call them.
    pub name: String,
}

/// A user with the orders that the order service knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserWithOrders {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// Oldest first.
    pub orders: Vec<Order>,
}

/// A user as it is sent to be stored.
#[derive(Deserialize)]
struct NewUser {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "hidden")]
    pwd: String,
}

/// A string that no error shows.
fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        _ => Err(serde::de::Error::custom("`pwd` must be a string")),
    }
}

/// What the user service asks of the order service.
#[feign_client("order-service")]
pub trait OrderServiceClient {
    /// The orders of a user, oldest first.
    #[get("/order-service/{user_id}/orders")]
    async fn get_orders(&self, user_id: &str) -> vernal::feign::Result<Vec<Order>>;

    /// A path that the order service does not know.
    #[get("/order-service/{user_id}/orders_ng")]
    async fn get_orders_from_a_wrong_path(&self, user_id: &str) -> vernal::feign::Result<Vec<Order>>;
}

/// What the routes need.
#[derive(Clone)]
pub struct Users {
    store: UserStore,
    orders: Arc<dyn DynOrderServiceClient>,
    rest: RestClient,
    settings: Settings,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("store", &self.store).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Via {
    via: Option<String>,
}

/// The service as an application runs it.
///
/// # Errors
///
/// If the settings lack `spring.datasource.url` or the database cannot be opened.
pub async fn service(app: &Application) -> Result<Router, BoxError> {
    let url = datasource::url(app.settings())?;
    let users = Users {
        store: UserStore::open(&url).await?,
        orders: Arc::new(app.feign::<OrderServiceClientFeign>()?),
        rest: app.rest()?,
        settings: app.settings().clone(),
    };
    let routes = routes(users).merge(crate::greeting::routes(app)?);
    Ok(answered(Router::new().nest("/user-service", routes.clone()).merge(routes)))
}

/// The REST routes over `users`.
pub fn routes(users: Users) -> Router {
    Router::new()
        .route("/users", get(all).post(create))
        .route("/users/{user_id}", get(one))
        .route("/users/{user_id}/orders", get(orders))
        .with_state(users)
}

async fn create(
    State(users): State<Users>,
    OriginalUri(uri): OriginalUri,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let wrong: Vec<_> =
        [("email", new.email.contains('@')), ("name", !new.name.trim().is_empty()), ("pwd", new.pwd.len() >= 8)]
            .into_iter()
            .filter_map(|(field, fine)| (!fine).then_some(field))
            .collect();
    if !wrong.is_empty() {
        let rules = "`email` needs an `@`, `name` must not be blank, `pwd` has at least 8 characters";
        return Err(Problem::bad_request(format!("invalid: {}; {rules}", wrong.join(", ")), &uri));
    }
    // Before the password is hashed, which is dear. Two at once: the database decides below.
    match users.store.is_taken(&new.email).await {
        Ok(false) => {}
        Ok(true) => return Err(refused(&StoreError::EmailTaken(new.email), &uri)),
        Err(error) => return Err(refused(&error, &uri)),
    }
    let user = User { user_id: Uuid::new_v4().to_string(), email: new.email, name: new.name };
    let hashed = tokio::task::spawn_blocking(move || PasswordHash::new(&new.pwd)).await;
    let password =
        hashed.map_err(|error| Problem::internal(&error, &uri))?.map_err(|error| Problem::internal(&error, &uri))?;
    users.store.insert(&user, &password).await.map_err(|error| refused(&error, &uri))?;
    Ok((StatusCode::CREATED, Json(user)))
}

fn refused(error: &StoreError, uri: &Uri) -> Problem {
    match error {
        StoreError::EmailTaken(_) => Problem::new(StatusCode::CONFLICT, error.to_string(), uri),
        StoreError::Url(_) | StoreError::Database { .. } => Problem::internal(error, uri),
    }
}

async fn all(State(users): State<Users>, OriginalUri(uri): OriginalUri) -> Result<Json<Vec<User>>, Problem> {
    users.store.all().await.map(Json).map_err(|error| Problem::internal(&error, &uri))
}

/// `HEAD` only asks whether the user exists, so the order service is left alone.
async fn one(
    State(users): State<Users>,
    method: Method,
    InPath(user_id): InPath<String>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let user = find(&users, &user_id, &uri).await?;
    if method == Method::HEAD {
        return Ok(StatusCode::OK.into_response());
    }
    let orders = users.orders.get_orders(&user_id).await.map_err(|error| order_problem(&error, &uri))?;
    Ok(Json(UserWithOrders { user, orders }).into_response())
}

/// The same orders by each way there is: `?via=url` takes the configured URL, `name` the service's name, `feign` the
/// Feign client; `wrong` shows what the error decoder makes of a 404.
async fn orders(
    State(users): State<Users>,
    InPath(user_id): InPath<String>,
    InQuery(Via { via }): InQuery<Via>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Vec<Order>>, Problem> {
    find(&users, &user_id, &uri).await?;
    let orders = match via.as_deref().unwrap_or("feign") {
        "url" => {
            let template = users.settings.get("order_service.url").map_err(|error| Problem::internal(&error, &uri))?;
            let template = template.ok_or_else(|| {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "`order_service.url` is not set", &uri)
            })?;
            users.rest.get(&template.replace("%s", &user_id)).await
        }
        "name" => users.rest.get(&format!("http://ORDER_SERVICE/order_service/{user_id}/orders")).await,
        "feign" => users.orders.get_orders(&user_id).await,
        "wrong" => users.orders.get_orders_from_a_wrong_path(&user_id).await,
        other => {
            return Err(Problem::bad_request(format!("`via` is `{other}`, expected url, name, feign or wrong"), &uri));
        }
    };
    orders.map(Json).map_err(|error| order_problem(&error, &uri))
}

async fn find(users: &Users, user_id: &str, uri: &Uri) -> Result<User, Problem> {
    let found = users.store.find(user_id).await.map_err(|error| Problem::internal(&error, uri))?;
    found.ok_or_else(|| Problem::not_found(format!("no user `{user_id}`"), uri))
}

/// The global decoder has named the error; here it becomes an answer.
fn order_problem(error: &vernal::feign::Error, uri: &Uri) -> Problem {
    match error.decoded::<OrderError>() {
        Some(known @ OrderError::NoOrders) => Problem::not_found(known.to_string(), uri),
        Some(known) => Problem::new(StatusCode::BAD_GATEWAY, known.to_string(), uri),
        None => {
            tracing::warn!(error = %Chain(error), "order service could not be asked");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the order service could not be asked", uri)
        }
    }
}
