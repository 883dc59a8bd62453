//! Requests as they stand: an HTTP client would mend them before it sends them.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) json: Value,
}

/// A request with `body`, if there is one, in one piece.
pub(crate) async fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    exchange(address, format!("{method} {path} HTTP/1.1\r\n{length}"), body).await
}

/// A `POST` whose length is not known beforehand, so that it cannot be kept.
pub(crate) async fn send_in_chunks(address: SocketAddr, path: &str, body: &str) -> Answer {
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    exchange(address, format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"), &chunk).await
}

async fn exchange(address: SocketAddr, head: String, body: &str) -> Answer {
    let rest = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n";
    let exchanged = tokio::time::timeout(Duration::from_secs(10), async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}{rest}{body}").as_bytes()).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        String::from_utf8(received).unwrap()
    });
    let received = exchanged.await.unwrap();
    let (head, text) = received.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let json = serde_json::from_str(text).unwrap_or(Value::Null);
    Answer { status, text: text.to_owned(), json }
}
