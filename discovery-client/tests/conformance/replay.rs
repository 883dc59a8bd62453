//! Our client in the place of a recorded Java client: it gets the recorded answers, its user does what the recorded
//! one's did, and it must send the same requests in the same order. Writes and reads are two sequences, since two tasks
//! make them; how they interleave is a matter of time.

use std::collections::VecDeque;
use std::time::Duration;

use http::{Method, Request, Response};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use vernal_commons::http::{Body, SharedTransport, TransportError, TransportErrorKind};
use vernal_discovery_client::wire::json::decode_instance;
use vernal_discovery_client::{EurekaClient, EurekaClientSettings, InstanceStatus};

use crate::operation::{Asked, Line};
use crate::tally::{Outcome, same};
use crate::{fixture, registration};

type Answer = Result<Response<Body>, TransportError>;

/// A request of our client that waits for its answer.
struct Waiting {
    host: String,
    line: Line,
    body: Value,
    answer: oneshot::Sender<Answer>,
}

/// What is left of the recording.
struct Recorded<'a> {
    writes: VecDeque<(Line, &'a Value)>,
    reads: VecDeque<(Line, &'a Value)>,
    switched: bool,
}

/// Whether a recording is that of a Java client from its start on.
pub(crate) fn applies(file: &Value) -> bool {
    let spring = file["client"].as_str().is_some_and(|client| client.contains("Spring"));
    let first = |asked: fn(&Asked) -> bool| lines(file).position(|(line, _)| asked(&line.asked));
    let (full, register) = (first(|a| *a == Asked::Full), first(|a| matches!(a, Asked::Register(_))));
    spring
        && full.is_some()
        && register.is_some_and(|position| lines(file).take(position).all(|(line, _)| is_read(&line)))
}

pub(crate) fn run(file: &Value) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(replay(file))
}

async fn replay(file: &Value) -> Result<Outcome, String> {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let transport = SharedTransport::new(tower::service_fn(move |request: Request<Body>| ask(sender.clone(), request)));
    let first = lines(file).next().unwrap().1["to"].as_str().unwrap_or("one");
    let other = lines(file).find_map(|(_, step)| step["to"].as_str().filter(|to| *to != first)).unwrap_or("two");
    let interval = 3;
    let mut settings = EurekaClientSettings::for_servers(&format!("http://{first}/eureka,http://{other}/eureka"));
    settings.registry_fetch_interval_seconds = interval;
    let client = EurekaClient::builder(settings).transport(transport).start().map_err(|error| error.to_string())?;
    let discovery = client.discovery();
    let mut recorded = Recorded {
        writes: lines(file).filter(|(line, _)| is_write(line)).collect(),
        reads: lines(file).filter(|(line, _)| is_read(line)).collect(),
        switched: false,
    };
    let body = body_of(recorded.writes[0].1);
    let record = decode_instance(body.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let mut status = record.status;
    let (mut dirty, mut lost) = (None, false);
    let mut started = false;
    let client = std::sync::Arc::new(client);
    let registering = {
        let client = std::sync::Arc::clone(&client);
        tokio::spawn(async move { client.register(record).await })
    };
    while let Some((line, step)) = recorded.writes.front().map(|(line, step)| (line, *step)) {
        if let Asked::Cancel(..) = line.asked {
            break;
        }
        if let Asked::Register(_) = line.asked {
            let wanted = InstanceStatus::from_word(body_of(step)["instance"]["status"].as_str().unwrap());
            if started && !lost && wanted != status {
                if wanted == InstanceStatus::Down && only_the_end(&recorded.writes) {
                    break;
                }
                status = wanted;
                discovery.set_status(status).await.map_err(|error| error.to_string())?;
            }
            started = true;
        }
        let waiting = next(&mut requests, &mut recorded, is_write).await?;
        let (line, step) = recorded.writes.pop_front().unwrap();
        lost = line_is_lost(&line, step);
        dirty = compare(&waiting, &line, step, dirty)?;
        drop(waiting.answer.send(Ok(answer(step))));
    }
    registering.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    if !recorded.writes.is_empty() {
        let client = std::sync::Arc::into_inner(client).ok_or("the client is still in use")?;
        let stopping = tokio::spawn(client.stop());
        for (line, step) in std::mem::take(&mut recorded.writes) {
            // Java goes on with heartbeats in the seconds between the two.
            if matches!(line.asked, Asked::Renew(..)) {
                continue;
            }
            let waiting = next(&mut requests, &mut recorded, is_write).await?;
            dirty = compare(&waiting, &line, step, dirty)?;
            drop(waiting.answer.send(Ok(answer(step))));
        }
        stopping.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        if let Ok(more) = requests.try_recv() {
            return Err(format!("ours goes on after the end: {:?}", more.line));
        }
    }
    Ok(if recorded.switched { Outcome::Deviation("2.4") } else { Outcome::Passed })
}

/// Our next request of a kind; others are answered on the way.
async fn next(
    requests: &mut mpsc::UnboundedReceiver<Waiting>,
    recorded: &mut Recorded<'_>,
    wanted: impl Fn(&Line) -> bool,
) -> Result<Waiting, String> {
    loop {
        let waiting = tokio::time::timeout(Duration::from_secs(120), requests.recv());
        let waiting = waiting.await.map_err(|_| "ours sends nothing more")?.ok_or("ours is gone")?;
        let refused = || Err(TransportError::new(TransportErrorKind::Connect));
        if wanted(&waiting.line) {
            let server = recorded.writes.front().and_then(|(_, step)| step["to"].as_str());
            if server.is_none_or(|server| server == waiting.host) {
                return Ok(waiting);
            }
            drop(waiting.answer.send(refused()));
        } else if is_read(&waiting.line) {
            let Some((line, step)) = recorded.reads.front() else { continue };
            let here = step["to"].as_str().is_none_or(|server| server == waiting.host);
            if !here {
                drop(waiting.answer.send(refused()));
            } else if recorded.switched || line.asked != waiting.line.asked {
                // Ours asks the new server for everything, and the recording has no answer to that.
                let new_server = step["to"].is_string() && waiting.line.asked == Asked::Full;
                same("read", &(recorded.switched || new_server), &true)?;
                recorded.switched = true;
                drop(waiting.answer.send(refused()));
            } else {
                drop(waiting.answer.send(Ok(answer(step))));
                recorded.reads.pop_front();
            }
        } else {
            // Our look at our own record, which Java does not take.
            drop(waiting.answer.send(Ok(Response::builder().status(404).body(Body::empty()).unwrap())));
        }
    }
}

/// Our write against the recorded one. Time stamps are ours; they must grow with each registration and come back in
/// the heartbeats.
fn compare(ours: &Waiting, line: &Line, step: &Value, dirty: Option<u64>) -> Result<Option<u64>, String> {
    same("operation", &ours.line.asked, &line.asked)?;
    if let Asked::Register(_) = line.asked {
        let sent = registration::number(&ours.body["instance"]["lastDirtyTimestamp"]);
        same("a later time stamp", &(sent > dirty), &true)?;
        let (mut mine, mut theirs) = (ours.body.clone(), registration::strict(&body_of(step)));
        for body in [&mut mine, &mut theirs] {
            body["instance"]["lastDirtyTimestamp"] = Value::Null;
        }
        same("body", &mine, &theirs)?;
        return Ok(sent);
    }
    same("status", &ours.line.parameter("status"), &line.parameter("status"))?;
    let stamp = ours.line.parameter("lastDirtyTimestamp").and_then(|text| text.parse().ok());
    if matches!(line.asked, Asked::Renew(..)) {
        same("time stamp", &stamp, &dirty)?;
    }
    Ok(dirty)
}

async fn ask(requests: mpsc::UnboundedSender<Waiting>, request: Request<Body>) -> Answer {
    let (answer, answered) = oneshot::channel();
    let target = request.uri().path_and_query().unwrap().as_str();
    let line = Line::read(request.method(), target).unwrap();
    let body = request.body().in_memory().unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let host = request.uri().authority().unwrap().as_str().to_owned();
    let gone = || TransportError::new(TransportErrorKind::Io);
    requests.send(Waiting { host, line, body, answer }).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

fn answer(step: &Value) -> Response<Body> {
    let status = u16::try_from(step["response"]["status"].as_u64().unwrap()).unwrap();
    let mut response = Response::builder().status(status).body(Body::from(fixture::body(&step["response"]))).unwrap();
    *response.headers_mut() = fixture::headers(&step["response"]);
    response
}

fn lines(file: &Value) -> impl Iterator<Item = (Line, &Value)> {
    let steps = file["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().filter_map(|step| {
        let method = Method::try_from(step["request"]["method"].as_str()?).ok()?;
        Some((Line::read(&method, step["request"]["path"].as_str()?)?, step))
    })
}

fn is_write(line: &Line) -> bool {
    matches!(line.asked, Asked::Register(_) | Asked::Renew(..) | Asked::Cancel(..))
}

fn is_read(line: &Line) -> bool {
    matches!(line.asked, Asked::Full | Asked::Delta)
}

fn line_is_lost(line: &Line, step: &Value) -> bool {
    matches!(line.asked, Asked::Renew(..)) && step["response"]["status"] == 404
}

/// Whether what is left is the end: `DOWN`, heartbeats, the deregistration.
fn only_the_end(writes: &VecDeque<(Line, &Value)>) -> bool {
    let mut rest = writes.iter().skip(1).map(|(line, _)| &line.asked).skip_while(|a| matches!(a, Asked::Renew(..)));
    matches!(rest.next(), Some(Asked::Cancel(..)))
}

fn body_of(step: &Value) -> Value {
    let text = step["request"]["body"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}
