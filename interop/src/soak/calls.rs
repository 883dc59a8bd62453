//! Calls of customers, one after the other by each of a few callers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::record::Failure;
use super::stand::Stand;
use crate::check::Outcome;
use crate::web::{Answer, Web};

/// So many call at the same time.
pub(super) const CALLERS: usize = 4;
/// A caller's rest between two calls.
const REST: Duration = Duration::from_millis(5);
/// No call takes longer, whatever is away.
const LIMIT: Duration = Duration::from_secs(10);
/// The calls of one round. Orders are made rarely: each stays in the database.
const ROUND: [Call; 20] = [
    Call::Create,
    Call::Orders,
    Call::Detail,
    Call::ByName,
    Call::Catalogs,
    Call::ByUrl,
    Call::Detail,
    Call::Orders,
    Call::ByName,
    Call::Detail,
    Call::Orders,
    Call::ByUrl,
    Call::Detail,
    Call::ByName,
    Call::Catalogs,
    Call::Orders,
    Call::Detail,
    Call::ByName,
    Call::Detail,
    Call::Orders,
];

/// What is called, all of it through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    /// The catalog service.
    Catalogs,
    /// An order service.
    Orders,
    /// An order service, to make an order: it asks the user and the catalog service with its Feign clients.
    Create,
    /// The user service, which asks an order service with its Feign client.
    Detail,
    /// The same with `RestClient` and the service's name.
    ByName,
    /// The same with `RestClient` and the gateway's URL.
    ByUrl,
}

impl Call {
    pub(super) const ALL: [Self; 6] =
        [Self::Catalogs, Self::Orders, Self::Create, Self::Detail, Self::ByName, Self::ByUrl];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Catalogs => "GET of the catalog service",
            Self::Orders => "GET of an order service",
            Self::Create => "POST of an order",
            Self::Detail => "GET of the user service: Feign client",
            Self::ByName => "GET of the user service: RestClient, by name",
            Self::ByUrl => "GET of the user service: RestClient, by URL",
        }
    }

    /// What is answered when the order service breaks off, where the call is not sent to another one: nobody knows
    /// whether it was acted on. The gateway sends what only reads once more.
    pub(super) const fn broken_off(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Catalogs | Self::Orders | Self::ByUrl => None,
            Self::Create => Some((502, "`order-service`: ")),
            Self::Detail | Self::ByName => Some((503, "the order service could not be asked")),
        }
    }

    /// Whether an answer is all that was asked for.
    fn is_whole(self, answer: &Answer) -> bool {
        let json = &answer.json;
        let count = |list: &serde_json::Value| list.as_array().map(Vec::len);
        match self {
            Self::Catalogs => answer.status == 200 && count(json) == Some(3),
            Self::Orders | Self::ByName | Self::ByUrl => answer.status == 200 && count(json) == Some(1),
            Self::Create => answer.status == 201 && json["totalPrice"] == 1800,
            Self::Detail => answer.status == 200 && count(&json["orders"]) == Some(1),
        }
    }
}

/// Users of the estate: one who looks and has one order, and one who orders.
#[derive(Debug, Clone)]
pub(super) struct Users {
    pub(super) reader: String,
    pub(super) buyer: String,
}

/// Calls until the load ends.
pub(super) async fn make(stand: Arc<Stand>, caller: usize, users: Users) -> Outcome {
    let web = Web::with_limit(LIMIT)?;
    for &call in ROUND.iter().cycle().skip(caller * ROUND.len() / CALLERS) {
        let began = stand.now();
        if began >= stand.time {
            break;
        }
        let answer = send(&web, &stand.site.gateway(), &users, call).await;
        let ended = stand.now();
        stand.note(|record| {
            let tally = record.calls.entry(call).or_default();
            tally.count += 1;
            tally.longest = tally.longest.max(ended - began);
            if !call.is_whole(&answer) {
                let text = answer.text.chars().take(300).collect();
                record.failures.push(Failure { call, caller, began, ended, status: answer.status, text });
            }
        });
        tokio::time::sleep(REST).await;
    }
    Ok(())
}

pub(super) async fn send(web: &Web, gateway: &str, Users { reader, buyer }: &Users, call: Call) -> Answer {
    let get = async |path: String| web.get(&format!("{gateway}{path}")).await;
    match call {
        Call::Catalogs => get("/catalog-service/catalogs".to_owned()).await,
        Call::Orders => get(format!("/order-service/{reader}/orders")).await,
        Call::Detail => get(format!("/user-service/users/{reader}")).await,
        Call::ByName => get(format!("/user-service/users/{reader}/orders?via=name")).await,
        Call::ByUrl => get(format!("/user-service/users/{reader}/orders?via=url")).await,
        Call::Create => order(web, gateway, buyer).await,
    }
}

/// Makes an order of two pieces.
pub(super) async fn order(web: &Web, gateway: &str, user: &str) -> Answer {
    let order = json!({"productId": "CATALOG-001", "qty": 2, "unitPrice": 900});
    web.post_json(&format!("{gateway}/order-service/{user}/orders"), &order).await
}
