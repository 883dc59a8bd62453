use std::time::Duration;

use serde_json::Value;
use vernal::commons::chain::Chain;

/// The story's own eyes: a plain HTTP client that knows nothing of vernal.
#[derive(Debug, Clone)]
pub(super) struct Web {
    client: reqwest::Client,
}

/// A status with the body, as JSON where it is JSON.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Web {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client })
    }

    /// An unreachable server is an answer of status 0 that says why.
    pub(super) async fn get(&self, url: &str) -> Answer {
        self.send(self.client.get(url).header("accept", "application/json, text/plain")).await
    }

    pub(super) async fn post(&self, url: &str, body: Option<&Value>) -> Answer {
        let request = self.client.post(url);
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let outcome = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        };
        let (status, text) = outcome.await.unwrap_or_else(|error| (0, Chain(&error).to_string()));
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, text, json }
    }
}

impl Answer {
    /// Status and body if the status is the expected one, else only what was expected.
    pub(super) fn brief_or(&self, expected: &str) -> String {
        if self.status.to_string() == expected { self.brief() } else { expected.to_owned() }
    }

    /// Status and body in one line of at most 200 characters.
    pub(super) fn brief(&self) -> String {
        let body: String = self.text.replace('\n', " ").chars().take(200).collect();
        match self.status {
            0 => format!("no answer: {body}"),
            status => format!("{status} {body}"),
        }
    }
}
