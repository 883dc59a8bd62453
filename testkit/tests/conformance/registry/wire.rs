//! HTTP/1.1 by hand: what is recorded goes out byte for byte, and nothing is added.

use std::io::Read;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A recorded request, or one of the runner's own.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A recorded response, or one that was read.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// Unpacked.
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn recorded(value: &Value) -> Self {
        Self {
            method: value["method"].as_str().unwrap().to_owned(),
            path: filled(value["path"].as_str().unwrap()),
            headers: headers(value),
            body: body(value, "body_base64"),
        }
    }

    pub(super) fn json(method: &str, path: &str, body: String) -> Self {
        let json = "application/json".to_owned();
        let headers = vec![("Accept".to_owned(), json.clone()), ("Content-Type".to_owned(), json)];
        Self { method: method.to_owned(), path: path.to_owned(), headers, body: body.into_bytes() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Path and query.
    pub(super) fn split(&self) -> (&str, &str) {
        self.path.split_once('?').unwrap_or((&self.path, ""))
    }

    pub(super) async fn send(&self, to: SocketAddr) -> Response {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            // The length is that of the body with its placeholders filled.
            let ours = ["host", "connection", "content-length", "transfer-encoding"];
            if !ours.contains(&name.to_lowercase().as_str()) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&self.body).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Response::parse(&bytes, self.method == "HEAD")
    }
}

impl Response {
    pub(super) fn recorded(value: &Value) -> Self {
        Self {
            status: value["status"].as_u64().unwrap().try_into().unwrap(),
            headers: headers(value),
            body: if value.get("body_gunzipped").is_some() {
                filled(value["body_gunzipped"].as_str().unwrap()).into_bytes()
            } else {
                body(value, "body_base64")
            },
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    fn parse(bytes: &[u8], head_only: bool) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let body = &bytes[end + 4..];
        if let Some(length) = find(&headers, "content-length").filter(|_| !head_only) {
            assert_eq!(length.parse(), Ok(body.len()), "the length that was announced");
        }
        let body = if find(&headers, "content-encoding") == Some("gzip") && !head_only {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(body).read_to_end(&mut unpacked).unwrap();
            unpacked
        } else {
            body.to_vec()
        };
        Self { status, headers, body }
    }
}

fn headers(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| filled(value.as_str().unwrap());
    value["headers"].as_array().unwrap().iter().map(|header| (text(&header[0]), text(&header[1]))).collect()
}

fn body(value: &Value, base64: &str) -> Vec<u8> {
    match (value.get(base64), value.get("body"), value.get("body_gunzipped")) {
        (Some(bytes), ..) => STANDARD.decode(bytes.as_str().unwrap()).unwrap(),
        (None, Some(text), _) => filled(text.as_str().unwrap()).into_bytes(),
        (None, None, Some(text)) => filled(text.as_str().unwrap()).into_bytes(),
        (None, None, None) => Vec::new(),
    }
}

/// The placeholders of the recordings, filled alike in requests and responses.
fn filled(text: &str) -> String {
    text.replace("${HOST}", "host.example").replace("${IP}", "192.0.2.1").replace("${REGISTRY}", "registry.example")
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
