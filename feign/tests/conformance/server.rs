//! A server that keeps every request as it arrived and answers what it is told, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An answer, as the recordings describe it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Canned {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) body_base64: Option<String>,
    pub(crate) chunked: bool,
    pub(crate) content_length: Option<u64>,
    pub(crate) truncated_to: Option<usize>,
    pub(crate) action: Option<String>,
    pub(crate) delay_ms: u64,
    pub(crate) delay_before_body_ms: u64,
}

/// A request as it arrived; header values are Latin-1, as in the recordings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The server; ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Answers each request with the next of `answers`; the last repeats.
    pub(crate) async fn start(answers: Vec<Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers) = (Arc::clone(&seen), Arc::new(answers));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                connections.spawn(async move {
                    // A broken connection ends the conversation, nothing more.
                    let _ = converse(stream, &kept, &answers).await;
                });
            }
        });
        Self { address, seen, task }
    }

    /// What arrived so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(mut stream: TcpStream, kept: &Mutex<Vec<Seen>>, answers: &[Canned]) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read_request(&mut stream, &mut buffer).await? else { return Ok(()) };
        let head = request.line.starts_with("HEAD ");
        let position = {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(request);
            kept.len() - 1
        };
        let Some(answer) = answers.get(position).or(answers.last()) else { return Ok(()) };
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
        match answer.action.as_deref() {
            Some("close") => return stream.shutdown().await,
            Some("reset") => return stream.set_zero_linger(),
            Some("hang") => {
                tokio::time::sleep(Duration::from_millis(2500)).await;
                return Ok(());
            }
            Some(other) => panic!("unknown action {other}"),
            None => {}
        }
        let (head_bytes, body) = answer.bytes(head);
        stream.write_all(&head_bytes).await?;
        tokio::time::sleep(Duration::from_millis(answer.delay_before_body_ms)).await;
        stream.write_all(&body).await?;
        stream.flush().await?;
        if answer.truncated_to.is_some() || answer.line.starts_with("HTTP/1.0") || !answer.line.starts_with("HTTP/") {
            return stream.shutdown().await;
        }
    }
}

impl Canned {
    fn payload(&self) -> Vec<u8> {
        match (&self.body, &self.body_base64) {
            (_, Some(text)) => super::value::base64(text),
            (Some(text), None) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        }
    }

    fn bytes(&self, head: bool) -> (Vec<u8>, Vec<u8>) {
        let payload = self.payload();
        let status = self.line.split(' ').nth(1).unwrap_or_default();
        let mut out = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut body = payload.clone();
        if self.chunked {
            out.push_str("Transfer-Encoding: chunked\r\n");
            body = format!("{:x}\r\n", payload.len()).into_bytes();
            body.extend_from_slice(&payload);
            body.extend_from_slice(b"\r\n0\r\n\r\n");
        } else if !matches!(status, "204" | "304") {
            let length = self.content_length.unwrap_or(payload.len() as u64);
            out.push_str(&format!("Content-Length: {length}\r\n"));
        } else {
            body.clear();
        }
        out.push_str("\r\n");
        if let Some(length) = self.truncated_to {
            body.truncate(length);
        }
        if head {
            body.clear();
        }
        // Header values of the recordings are Latin-1.
        (out.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(), body)
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Seen>> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at;
        }
        if !more(stream, buffer).await? {
            return Ok(None);
        }
    };
    let text: String = buffer[..end].iter().map(|byte| char::from(*byte)).collect();
    buffer.drain(..end + 4);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()))
        .collect();
    let header =
        |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| v.as_str());
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let end = loop {
                if let Some(at) = find(buffer, b"\r\n") {
                    break at;
                }
                if !more(stream, buffer).await? {
                    return Ok(None);
                }
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&buffer[..end]).unwrap_or("0").trim(), 16).unwrap_or(0);
            while buffer.len() < end + 2 + size + 2 {
                if !more(stream, buffer).await? {
                    return Ok(None);
                }
            }
            body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
            buffer.drain(..end + 2 + size + 2);
            if size == 0 {
                break;
            }
        }
    } else {
        let length: usize = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            if !more(stream, buffer).await? {
                return Ok(None);
            }
        }
        body.extend(buffer.drain(..length));
    }
    Ok(Some(Seen { line, headers, body }))
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut part = [0; 4096];
    let count = stream.read(&mut part).await?;
    buffer.extend_from_slice(&part[..count]);
    Ok(count > 0)
}

fn find(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    buffer.windows(wanted.len()).position(|window| window == wanted)
}
