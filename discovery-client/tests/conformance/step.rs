//! One request with its answer.

use http::Method;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use vernal_commons::endpoints::{Credentials, Endpoint};
use vernal_discovery_client::request::{Identity, Operation, Renewal, Reply, ReplyError};
use vernal_discovery_client::wire::json::{Document, decode_instance};
use vernal_discovery_client::{InstanceRecord, InstanceStatus};

use crate::operation::{Asked, Line};
use crate::tally::{Outcome, same};
use crate::{document, fixture, registration};

/// What a step brought, for the story that it is a part of.
pub(crate) enum Brought {
    Full(Document),
    Delta(Document),
    Nothing,
}

/// Looks at request and answer of a recording.
type Predicate = fn(&Value, &Value) -> bool;

/// Cases whose *input* needs what does not exist, with what will build it.
const NOT_BUILT: &[(&str, Predicate)] = &[
    ("Eureka XML", |request, response| {
        let xml_body = fixture::text(request).is_some_and(|body| body.trim_start().starts_with('<'));
        let xml_answer = fixture::text(response).is_some_and(|body| body.trim_start().starts_with('<'));
        xml_body || (xml_answer && response["status"] == 200)
    }),
    ("nothing: the compact form is never asked for", |request, _| {
        fixture::header(request, "X-Eureka-Accept").is_some_and(|form| form == "compact")
    }),
    ("remote regions", |request, _| request["path"].as_str().unwrap().contains("regions=")),
    ("nothing: only servers replicate", |request, _| {
        request["path"].as_str().unwrap().contains("peerreplication")
            || fixture::header(request, "x-netflix-discovery-replication").is_some_and(|value| value == "true")
    }),
    ("nothing: no request of a client, only a server must answer it", |request, _| {
        let method = Method::try_from(request["method"].as_str().unwrap()).unwrap();
        Line::read(&method, request["path"].as_str().unwrap()).is_none()
    }),
];

pub(crate) fn run(request: &Value, response: &Value) -> Result<(Outcome, Brought), String> {
    if let Some((by, _)) = NOT_BUILT.iter().find(|(_, needs)| needs(request, response)) {
        return Ok((Outcome::NotBuilt(by), Brought::Nothing));
    }
    let method = Method::try_from(request["method"].as_str().unwrap()).unwrap();
    let line = Line::read(&method, request["path"].as_str().unwrap()).unwrap();
    let outcome = asks(request, &line)?;
    let brought = understands(response, &line.asked)?;
    Ok((outcome, brought))
}

/// Our request for the same thing.
fn asks(request: &Value, line: &Line) -> Result<Outcome, String> {
    let mut stricter = None;
    let mut record = InstanceRecord::new("unset", "unset", 1);
    if let Asked::Renew(app, id) | Asked::Cancel(app, id) | Asked::Override(app, id) | Asked::ClearOverride(app, id) =
        &line.asked
    {
        (record.app, record.instance_id) = (app.clone(), id.clone());
        record.last_dirty_timestamp = line.parameter("lastDirtyTimestamp").and_then(|text| text.parse().ok());
    }
    let word = |name| line.parameter(name).filter(|word| InstanceStatus::from_word(word).as_str() == *word);
    let operation = match &line.asked {
        Asked::Register(app) => match register(request, app)? {
            Register::Ours(ours) => {
                record = *ours;
                Operation::Register(&record)
            }
            Register::Differs(tag) => return Ok(Outcome::Deviation(tag)),
            Register::TestsServer => return Ok(Outcome::AnswerOnly),
        },
        Asked::Renew(..) => {
            let complete = line.query.len() == 2 && record.last_dirty_timestamp.is_some();
            let Some(word) = word("status").filter(|_| complete) else { return Ok(Outcome::AnswerOnly) };
            record.status = InstanceStatus::from_word(word);
            Operation::Renew(&record)
        }
        Asked::Cancel(..) => Operation::Cancel(&record),
        Asked::Override(..) => {
            let known = 1 + usize::from(record.last_dirty_timestamp.is_some());
            let Some(word) = word("value").filter(|_| line.query.len() == known) else {
                return Ok(Outcome::AnswerOnly);
            };
            Operation::Override(&record, InstanceStatus::from_word(word))
        }
        Asked::ClearOverride(..) => {
            if line.query.len() != usize::from(record.last_dirty_timestamp.is_some()) {
                return Ok(Outcome::AnswerOnly);
            }
            Operation::ClearOverride(&record)
        }
        Asked::Full => Operation::Full,
        Asked::Delta => Operation::Delta,
        Asked::Vip(vip) => Operation::Vip(vip),
        Asked::SecureVip(vip) => Operation::SecureVip(vip),
        Asked::Application(app) => Operation::Application(app),
        Asked::Instance(app, id) => Operation::Instance(app, id),
        Asked::AnyInstance(id) => Operation::AnyInstance(id),
    };
    let mut endpoint = Endpoint::parse(&format!("http://registry:8761{}", line.base)).unwrap();
    if let Some(credentials) = fixture::header(request, "Authorization").and_then(basic) {
        endpoint = endpoint.with_credentials(credentials);
    }
    let ours = operation.request(&endpoint, &Identity::new(None, true)).map_err(|error| error.to_string())?;
    same("method", &ours.method().as_str(), &request["method"].as_str().unwrap())?;
    let target = ours.uri().path_and_query().unwrap().as_str();
    let again = Line::read(ours.method(), target).ok_or("our path is no client's")?;
    // Ours has no empty segment in its path, whatever the service URL ends with.
    let doubled = line.base.len() > 1 && line.base.ends_with('/');
    same("base", &again.base.as_str(), &if doubled { line.base.trim_end_matches('/') } else { &line.base })?;
    if doubled {
        stricter = Some(Outcome::Deviation("1.1"));
    }
    same("query", &sorted(&again.query), &sorted(&line.query))?;
    if again.asked != line.asked {
        // The application's name is upper case in ours.
        same("path", &upper(&again.asked), &upper(&line.asked))?;
        stricter = Some(Outcome::Deviation("1.7"));
    }
    same("Accept", &ours.headers()[ACCEPT].to_str().unwrap(), &"application/json")?;
    same("Content-Type", &ours.headers()[CONTENT_TYPE].to_str().unwrap(), &"application/json")?;
    let gzip = ours.headers().get(ACCEPT_ENCODING).is_some_and(|value| value == "gzip");
    same("Accept-Encoding", &gzip, &(ours.method() == Method::GET))?;
    let authorization = ours.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
    same("Authorization", &authorization, &fixture::header(request, "Authorization"))?;
    if ours.headers().contains_key("x-netflix-discovery-replication") {
        return Err("ours claims to be a replication".to_owned());
    }
    if let Operation::Register(_) = operation {
        let body = ours.body().in_memory().ok_or("our body is not in memory")?;
        let ours: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let recorded: Value = serde_json::from_str(fixture::text(request).unwrap()).unwrap();
        same("body", &ours, &registration::strict(&recorded))?;
        if ours != recorded {
            stricter = Some(Outcome::Deviation("1.7"));
        }
    }
    Ok(stricter.unwrap_or(Outcome::Passed))
}

enum Register {
    /// What we register for the recorded body.
    Ours(Box<InstanceRecord>),
    /// We do not send it, by this section of the spec.
    Differs(&'static str),
    /// No client sends such a thing: only the answer counts.
    TestsServer,
}

fn register(request: &Value, app: &str) -> Result<Register, String> {
    let json = fixture::header(request, "Content-Type").is_some_and(|kind| kind == "application/json");
    let text = fixture::text(request).unwrap_or_default();
    let Ok(body) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else {
        return if decode_instance(&fixture::body(request)).is_err() {
            Ok(Register::TestsServer)
        } else {
            Err("a body that is no JSON was read".to_owned())
        };
    };
    if !json || text.starts_with('\u{feff}') || !body.is_object() || registration::flaw(&body).is_some() {
        return Ok(Register::TestsServer);
    }
    let named = body["instance"]["app"].as_str().unwrap();
    if !named.eq_ignore_ascii_case(app) {
        return Ok(Register::TestsServer);
    }
    let record = decode_instance(text.as_bytes()).map_err(|error| error.to_string())?;
    let unreachable = |text: &str| {
        text.contains(['/', ';', '\\']) || text.chars().any(char::is_control) || matches!(text, "." | "..")
    };
    let refused = record.validate().is_err();
    let empty_key = body["instance"]["metadata"].get("").is_some();
    let port = if record.secure_port.enabled { record.secure_port } else { record.port };
    let expected = unreachable(&record.instance_id) || unreachable(&record.app) || port.number == 0 || empty_key;
    same("refused", &refused, &expected)?;
    Ok(if refused { Register::Differs("1.1") } else { Register::Ours(Box::new(record)) })
}

/// What we make of the answer, compared with what the status and the members say.
fn understands(response: &Value, asked: &Asked) -> Result<Brought, String> {
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    let reply = Reply::new(status, &fixture::headers(response), fixture::body(response), 1 << 24)
        .map_err(|error| error.to_string())?;
    let good = (200..300).contains(&status);
    let document = || serde_json::from_str::<Value>(fixture::text(response).unwrap_or_default()).ok();
    match asked {
        Asked::Register(_) => same("registered", &status_of(reply.registered())?, &Some(status).filter(|_| !good))?,
        Asked::Override(..) => same("overridden", &status_of(reply.overridden())?, &Some(status).filter(|_| !good))?,
        Asked::Cancel(..) | Asked::ClearOverride(..) => {
            same("cancelled", &status_of(reply.cancelled())?, &Some(status).filter(|_| !good && status != 404))?;
        }
        Asked::Renew(..) => match (reply.renewed(), status) {
            (Ok(Renewal::Renewed), 200..=299) | (Ok(Renewal::Unknown), 404) => {}
            (Err(ReplyError::Status(ours)), _) if ours == status && !good && status != 404 => {}
            (ours, _) => return Err(format!("heartbeat: ours {ours:?}, recorded {status}")),
        },
        Asked::Full | Asked::Vip(_) | Asked::SecureVip(_) | Asked::Delta => {
            let delta = *asked == Asked::Delta;
            let ours = if delta { reply.delta(1000) } else { reply.full(1000).map(Some) };
            match ours {
                Ok(Some(ours)) if good => {
                    let recorded = document().ok_or("recorded body is no JSON, ours was read")?;
                    same("instances", &document::ours(&ours), &document::recorded(&recorded))?;
                    let members = &recorded["applications"];
                    same("hash", &ours.hash.as_deref(), &members["apps__hashcode"].as_str())?;
                    let version = registration::number(&members["versions__delta"]);
                    same("version", &ours.version, &version.map_or(-1, |version| version.try_into().unwrap()))?;
                    return Ok(match asked {
                        Asked::Delta => Brought::Delta(ours),
                        Asked::Full => Brought::Full(ours),
                        _ => Brought::Nothing,
                    });
                }
                Ok(None) if delta && matches!(status, 403 | 404) => {}
                Err(ReplyError::Status(ours)) if ours == status && !good => {}
                ours => return Err(format!("document: ours {ours:?}, recorded {status}")),
            }
        }
        Asked::Application(_) => match reply.application() {
            Ok(Some(ours)) if good => {
                let recorded = document().ok_or("recorded body is no JSON")?;
                let recorded = document::recorded_application(&recorded["application"]);
                same("application", &document::our_application(&ours), &recorded)?;
            }
            Ok(None) if status == 404 => {}
            Err(ReplyError::Status(ours)) if ours == status && !good => {}
            ours => return Err(format!("application: ours {ours:?}, recorded {status}")),
        },
        Asked::Instance(..) | Asked::AnyInstance(_) => match reply.instance() {
            Ok(Some(ours)) if good => {
                let recorded = document().ok_or("recorded body is no JSON")?;
                let recorded = document::recorded_instance(&recorded["instance"]);
                same("instance", &document::our_instance(&ours), &recorded)?;
            }
            Ok(None) if status == 404 => {}
            Err(ReplyError::Status(ours)) if ours == status && !good => {}
            ours => return Err(format!("instance: ours {ours:?}, recorded {status}")),
        },
    }
    Ok(Brought::Nothing)
}

/// The status that a write failed with, if it did.
fn status_of(outcome: Result<(), ReplyError>) -> Result<Option<u16>, String> {
    match outcome {
        Ok(()) => Ok(None),
        Err(ReplyError::Status(status)) => Ok(Some(status)),
        Err(error) => Err(error.to_string()),
    }
}

fn basic(header: &str) -> Option<Credentials> {
    let token = header.strip_prefix("Basic ")?;
    let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token).ok()?;
    let (username, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Credentials { username: username.to_owned(), password: password.into() })
}

fn sorted(query: &[(String, String)]) -> Vec<&(String, String)> {
    let mut query: Vec<_> = query.iter().collect();
    query.sort();
    query
}

fn upper(asked: &Asked) -> Asked {
    match asked.clone() {
        Asked::Register(app) => Asked::Register(app.to_uppercase()),
        Asked::Renew(app, id) => Asked::Renew(app.to_uppercase(), id),
        Asked::Cancel(app, id) => Asked::Cancel(app.to_uppercase(), id),
        Asked::Override(app, id) => Asked::Override(app.to_uppercase(), id),
        Asked::ClearOverride(app, id) => Asked::ClearOverride(app.to_uppercase(), id),
        Asked::Application(app) => Asked::Application(app.to_uppercase()),
        Asked::Instance(app, id) => Asked::Instance(app.to_uppercase(), id),
        other => other,
    }
}
