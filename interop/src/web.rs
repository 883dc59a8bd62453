//! The scenarios' own eyes: a plain HTTP client that knows nothing of vernal.

use std::time::Duration;

use serde_json::Value;
use vernal::commons::chain::Chain;

use crate::check::Outcome;

/// Sends plain requests, each with a limit of 30 s unless told otherwise: a peer that was just started is slow.
#[derive(Debug, Clone)]
pub struct Web {
    client: reqwest::Client,
}

/// A status with the body, as JSON where it is JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// 0 if there was no answer; `text` says why.
    pub status: u16,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub text: String,
    /// The body as JSON, or null.
    pub json: Value,
}

impl Web {
    /// A client that goes through no proxy and follows no redirect.
    ///
    /// # Errors
    ///
    /// If it cannot be built.
    pub fn new() -> Outcome<Self> {
        Self::with_limit(Duration::from_secs(30))
    }

    /// The same with another limit for a request.
    ///
    /// # Errors
    ///
    /// If it cannot be built.
    pub fn with_limit(limit: Duration) -> Outcome<Self> {
        let client =
            reqwest::Client::builder().timeout(limit).no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client })
    }

    /// GET, JSON preferred.
    pub async fn get(&self, url: &str) -> Answer {
        self.send(self.client.get(url).header("accept", "application/json, text/plain;q=0.9, */*;q=0.5")).await
    }

    /// GET with a name and a password.
    pub async fn get_as(&self, url: &str, user: &str, password: &str) -> Answer {
        self.send(self.client.get(url).header("accept", "application/json").basic_auth(user, Some(password))).await
    }

    /// POST without a body.
    pub async fn post(&self, url: &str) -> Answer {
        self.send(self.client.post(url)).await
    }

    /// POST of JSON.
    pub async fn post_json(&self, url: &str, body: &Value) -> Answer {
        self.send(self.client.post(url).json(body)).await
    }

    /// POST of JSON with a header of its own.
    pub async fn post_json_as(&self, url: &str, (name, value): (&str, &str), body: &Value) -> Answer {
        self.send(self.client.post(url).header(name, value).json(body)).await
    }

    /// POST of a form.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form)).await
    }

    /// DELETE.
    pub async fn delete(&self, url: &str) -> Answer {
        self.send(self.client.delete(url)).await
    }

    /// POST of text.
    pub async fn post_text(&self, url: &str, body: &str) -> Answer {
        self.send(self.client.post(url).header("content-type", "text/plain").body(body.to_owned())).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let outcome = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let retry_after = retry_after.map(str::to_owned);
            Ok::<_, reqwest::Error>((status, retry_after, response.text().await?))
        };
        let (status, retry_after, text) =
            outcome.await.unwrap_or_else(|error| (0, None, format!("no answer: {}", Chain(&error))));
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, retry_after, text, json }
    }
}

impl Answer {
    /// The answer if its status is `status`.
    ///
    /// # Errors
    ///
    /// It has another one; the error holds the first 300 characters of the body.
    pub fn expect(self, status: u16, what: &str) -> Outcome<Self> {
        if self.status == status {
            return Ok(self);
        }
        let body: String = self.text.chars().take(300).collect();
        Err(format!("{what}\n    expected status {status}\n    seen     {} {body}", self.status).into())
    }
}
