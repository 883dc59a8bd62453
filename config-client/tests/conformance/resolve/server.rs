//! Servers that give the recorded answers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How long a request may be on its way.
const LATE: Duration = Duration::from_secs(2);

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) phase: u64,
    pub(crate) server: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether the recording has no answer to it, so that the one to the default profile was given.
    pub(crate) improvised: bool,
}

/// The servers A and B of a case, and an address where nobody listens.
pub(crate) struct Servers {
    fills: Vec<(&'static str, String)>,
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    exchanges: Vec<Value>,
    fills: Vec<(&'static str, String)>,
    phase: AtomicU64,
    answered: Mutex<HashMap<(u64, String, String), usize>>,
    seen: Mutex<Vec<Seen>>,
}

impl Servers {
    pub(crate) async fn start(exchanges: &[Value], local: &Path) -> Self {
        let mut fills = Vec::new();
        let mut listeners = Vec::new();
        let names = [("A", "@A@", "@AHOST@", "@APORT@"), ("B", "@B@", "@BHOST@", "@BPORT@")];
        for (name, base, host, port) in names {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let number = listener.local_addr().unwrap().port();
            fills.push((base, format!("http://localhost:{number}")));
            fills.push((host, format!("localhost:{number}")));
            fills.push((port, number.to_string()));
            listeners.push((name, listener));
        }
        // A port that was free a moment ago.
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        fills.push(("@CLOSED@", format!("http://{closed}")));
        fills.push(("@LOCAL@", local.display().to_string()));
        let shared = Arc::new(Shared {
            exchanges: exchanges.to_vec(),
            fills: fills.clone(),
            phase: AtomicU64::new(0),
            answered: Mutex::default(),
            seen: Mutex::default(),
        });
        let tasks = listeners
            .into_iter()
            .map(|(name, listener)| {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(Arc::clone(&shared).serve(name, stream));
                    }
                })
            })
            .collect();
        Self { fills, shared, tasks }
    }

    /// Later requests belong to this refresh.
    pub(crate) fn enter(&self, phase: u64) {
        self.shared.phase.store(phase, Ordering::SeqCst);
    }

    /// The requests that arrived. One that its client gave up after milliseconds may still be on its way.
    pub(crate) async fn seen(&self) -> Vec<Seen> {
        let slow = self.shared.exchanges.iter().any(|exchange| !exchange["response"]["delay_ms"].is_null());
        let count = || self.shared.seen.lock().unwrap().len();
        let begin = Instant::now();
        while slow && count() < self.shared.exchanges.len() && begin.elapsed() < LATE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.shared.seen.lock().unwrap().clone()
    }

    /// Puts addresses and folders in.
    pub(crate) fn fill(&self, text: &str) -> String {
        fill(&self.fills, text)
    }

    /// Takes the folder out again.
    pub(crate) fn unfill(&self, text: &str) -> String {
        self.fills
            .iter()
            .filter(|(mark, _)| *mark == "@LOCAL@")
            .fold(text.to_owned(), |text, (mark, value)| text.replace(value.as_str(), mark))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, server: &'static str, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let Some(path) = lines.next().and_then(|line| line.split(' ').nth(1)) else { return };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let (answer, improvised) = self.answer(server, path);
        let phase = self.phase.load(Ordering::SeqCst);
        let seen = Seen { phase, server: server.to_owned(), path: path.to_owned(), headers, improvised };
        self.seen.lock().unwrap().push(seen);
        let Some(answer) = answer else {
            let _ = stream.write_all(b"HTTP/1.1 404 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
            return;
        };
        if let Some(delay) = answer["delay_ms"].as_u64() {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let Some(status) = answer["status"].as_u64() else { return };
        let body = match answer["body_base64"].as_str() {
            Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
            None => encode(&answer, answer["body"].as_str().unwrap_or_default()),
        };
        let mut text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
        for header in answer["headers"].as_array().into_iter().flatten() {
            let value = fill(&self.fills, header[1].as_str().unwrap());
            text.push_str(&format!("{}: {value}\r\n", header[0].as_str().unwrap()));
        }
        if status != 204 && status != 304 {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.shutdown().await;
    }

    /// The next recorded answer to this path, the last one repeated. To profiles that the recording did not ask for
    /// the server would say what it said about the default one, since it has no files of theirs.
    fn answer(&self, server: &str, path: &str) -> (Option<Value>, bool) {
        let phase = self.phase.load(Ordering::SeqCst);
        let recorded = |path: &str| -> Vec<&Value> {
            let same = |exchange: &&Value| {
                let recorded = exchange["request"]["path"].as_str().map(same_path);
                exchange["phase"] == phase && exchange["server"] == server && recorded == Some(same_path(path))
            };
            self.exchanges.iter().filter(same).map(|exchange| &exchange["response"]).collect()
        };
        let mut answers = recorded(path);
        let improvised = answers.is_empty();
        if improvised {
            let defaults = with_default(path);
            answers =
                defaults.iter().map(|path| recorded(path)).find(|answers| !answers.is_empty()).unwrap_or_default();
        }
        let mut answered = self.answered.lock().unwrap();
        let count = answered.entry((phase, server.to_owned(), path.to_owned())).or_default();
        let answer = answers.get(*count).or(answers.last()).map(|answer| (*answer).clone());
        *count += 1;
        (answer, improvised)
    }
}

fn fill(fills: &[(&'static str, String)], text: &str) -> String {
    fills.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value))
}

/// A path in our spelling: `(_)` for a slash in any part, lists of labels without blanks.
pub(crate) fn same_path(path: &str) -> String {
    path.replace("%2F", "(_)").replace(",%20", ",")
}

/// The path with each of its segments replaced by `default` in turn.
pub(crate) fn with_default(path: &str) -> Vec<String> {
    let segments: Vec<_> = path.split('/').collect();
    let replace = |at: usize| {
        let mut segments = segments.clone();
        segments[at] = "default";
        segments.join("/")
    };
    (1..segments.len()).map(replace).filter(|other| other != path).collect()
}

/// The bytes of a text, in ISO-8859-1 if the answer says so.
fn encode(answer: &Value, text: &str) -> Vec<u8> {
    let mut headers = answer["headers"].as_array().into_iter().flatten();
    let latin = headers
        .any(|header| header[1].as_str().is_some_and(|value| value.to_lowercase().contains("charset=iso-8859-1")));
    match text.chars().map(|c| u8::try_from(u32::from(c))).collect() {
        Ok(bytes) if latin => bytes,
        _ => text.as_bytes().to_vec(),
    }
}
