//! Our config client and the config server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vernal::config::{Error, ServerErrorKind, Settings};

use crate::check::{Outcome, Side, within};
use crate::ours::{Ours, load};
use crate::peers::{CREDENTIALS, Peer, Peers};
use crate::web::{Answer, Web};

/// `1234` under the key of the notes.
const CIPHER: &str = "{cipher}0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
/// A server that is back is asked within this.
const SOON: Duration = Duration::from_secs(15);

/// Key, text in the file, what Spring makes of it. Odd scalars are those that YAML 1.1 or a reader may take for
/// something else (config.md, recordings `config/http`).
pub(super) const SCALARS: &[(&str, &str, &str)] = &[
    ("text", "plain", "plain"),
    ("zip", "'01234'", "01234"),
    ("number", "42", "42"),
    ("negative", "-7", "-7"),
    ("beyond-64-bits", "12345678901234567890", "12345678901234567890"),
    ("fraction", "1.50", "1.5"),
    ("quoted-fraction", "'1.50'", "1.50"),
    ("truth", "yes", "true"),
    ("switch", "off", "false"),
    ("quoted-switch", "'off'", "off"),
    ("octal", "017", "15"),
    ("hexadecimal", "0x1F", "31"),
    ("grouped", "1_000", "1000"),
    ("date", "2026-11-24", "2026-11-24"),
    ("empty", "''", ""),
    ("unicode", "'é€ ü'", "é€ ü"),
    ("colon", "'a: b'", "a: b"),
    ("hash", "'a # b'", "a # b"),
    ("quotes", "'it''s \"so\"'", "it's \"so\""),
    ("backslash", "'C:\\dir'", "C:\\dir"),
    ("folded", "a\n    b", "a b"),
    ("literal", "|\n    a\n      b", "a\n  b\n"),
    ("tab", "\"a\\tb\"", "a\tb"),
    ("nothing", "", ""),
    ("tilde", "~", ""),
    ("no-list", "[]", ""),
    ("exponent", "1e3", "1000.0"),
    ("long-fraction", "0.1000000000000000055511151231257827", "0.1"),
    ("infinity", ".inf", "Infinity"),
    ("not-a-number", ".nan", "NaN"),
    ("sexagesimal", "1:30", "90"),
    ("plus", "+7", "7"),
    ("binary", "0b101", "5"),
    ("octal-of-yaml-1.2", "0o17", "0o17"),
    ("moment", "2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
    ("upper-case", "YES", "true"),
    ("letter", "y", "y"),
    ("list[0]", "", "one"),
    ("list[1]", "", "2"),
    ("list[2]", "", "three, four"),
    ("people[0].name", "", "Ada"),
    ("people[1].name", "", "Bob"),
];

/// The order of profiles decides, documents for a profile included; the server is asked for them in this order.
pub(super) async fn profiles(peers: &dyn Peers) -> Outcome {
    write(peers, "interop-profiles.yml", "interop: {a: base, b: base, c: base, d: base}\n")?;
    write(peers, "interop-profiles-dev.yml", "interop: {b: dev, c: dev}\n")?;
    let eu = "interop: {c: eu}\n---\nspring.config.activate.on-profile: eu\ninterop: {d: eu-document}\n";
    write(peers, "interop-profiles-eu.yml", eu)?;
    let mark = peers.mark(Peer::Config).await?;
    let profiles = [("spring.profiles.active", "dev,eu")];
    let settings = load(&peers.url(Peer::Config)?, "interop-profiles", &profiles).await??;
    for (key, expected) in [("a", "base"), ("b", "dev"), ("c", "eu"), ("d", "eu-document")] {
        ours_has(&settings, &format!("interop.{key}"), expected)?;
    }
    let targets = targets(peers, Peer::Config, mark, "/interop-profiles/").await?;
    Side::Peer.same("what the server was asked for", vec![("/interop-profiles/dev,eu".to_owned(), 200)], targets)?;
    // The order of its sources says which one the server puts first.
    let answer = ask(peers, Peer::Config, "/interop-profiles/dev,eu").await?;
    let names = answer.json["propertySources"].as_array().cloned().unwrap_or_default();
    let first = names.first().map(|source| source["source"]["interop.d"].clone());
    Side::Peer.same("interop.d in the server's first source", Some(Value::from("eu-document")), first)
}

/// A label is a folder. Of several only the first is asked for, as the server answers for any; asked for all at once,
/// it lets the first one win.
pub(super) async fn labels(peers: &dyn Peers) -> Outcome {
    write(peers, "interop-labels.yml", "interop.of: base\n")?;
    write(peers, "v2/interop-labels.yml", "interop.of: v2\n")?;
    write(peers, "v3/interop-labels.yml", "interop: {of: v3, only: v3}\n")?;
    let url = peers.url(Peer::Config)?;
    let mark = peers.mark(Peer::Config).await?;
    let settings = load(&url, "interop-labels", &[]).await??;
    ours_has(&settings, "interop.of", "base")?;
    let settings = load(&url, "interop-labels", &[("spring.cloud.config.label", "v2")]).await??;
    ours_has(&settings, "interop.of", "v2")?;
    let several = ("spring.cloud.config.label", "v2,v3");
    let settings = load(&url, "interop-labels", &[several]).await??;
    ours_has(&settings, "interop.of", "v2")?;
    Side::Ours.same("interop.only of the second label", None, settings.get("interop.only")?)?;
    let all = [several, ("spring.cloud.config.send-all-labels", "true")];
    let settings = load(&url, "interop-labels", &all).await??;
    ours_has(&settings, "interop.of", "v2")?;
    ours_has(&settings, "interop.only", "v3")?;
    let expected = ["", "/v2", "/v2", "/v2,v3"].map(|label| (format!("/interop-labels/default{label}"), 200));
    let targets = targets(peers, Peer::Config, mark, "/interop-labels/").await?;
    Side::Peer.same("what the server was asked for", expected.to_vec(), targets)?;
    let answer = ask(peers, Peer::Config, "/interop-labels/default/v2").await?;
    Side::Peer.same("the label that the server answers", Some("v2"), answer.json["label"].as_str())
}

/// Lists and scalars of all kinds are what the server says they are.
pub(super) async fn values(peers: &dyn Peers) -> Outcome {
    let mut text = scalars();
    text.push_str("  refers: ${interop.text}-${interop.absent:default}\n");
    write(peers, "interop-values.yml", &text)?;
    let settings = load(&peers.url(Peer::Config)?, "interop-values", &[]).await??;
    let answer = ask(peers, Peer::Config, "/interop-values/default").await?;
    for (key, _, expected) in SCALARS {
        let key = format!("interop.{key}");
        ours_has(&settings, &key, expected)?;
        Side::Peer.same(key.clone(), Some((*expected).to_owned()), answer.value(&key))?;
    }
    // A placeholder is the client's business.
    ours_has(&settings, "interop.refers", "plain-default")?;
    let sent = Some("${interop.text}-${interop.absent:default}".to_owned());
    Side::Peer.same("interop.refers", sent, answer.value("interop.refers"))?;
    let list: Vec<String> = settings.bind("interop.list")?;
    Side::Ours.same("interop.list", vec!["one", "2", "three, four"], list)
}

/// The server decrypts what it has encrypted itself, and the value of the notes.
pub(super) async fn cipher_of_the_server(peers: &dyn Peers) -> Outcome {
    decrypted_by_the_server(peers, Peer::Config, "interop-cipher", true).await
}

/// The same with an RSA key from a key store.
pub(super) async fn key_store(peers: &dyn Peers) -> Outcome {
    peers.start(Peer::KeyStoreConfig).await?;
    decrypted_by_the_server(peers, Peer::KeyStoreConfig, "interop-key-store", false).await
}

async fn decrypted_by_the_server(peers: &dyn Peers, peer: Peer, name: &str, aes: bool) -> Outcome {
    let plain = "pass word: é";
    let url = peers.url(peer)?;
    let encrypted = Web::new()?.post_text(&format!("{url}/encrypt"), plain).await.expect(200, "POST /encrypt")?.text;
    let notes = if aes { format!("  notes: '{CIPHER}'\n") } else { String::new() };
    write(peers, &format!("{name}.yml"), &format!("interop:\n  secret: '{{cipher}}{encrypted}'\n{notes}"))?;
    let settings = load(&url, name, &[]).await??;
    ours_has(&settings, "interop.secret", plain)?;
    if aes {
        ours_has(&settings, "interop.notes", "1234")?;
    }
    let answer = ask(peers, peer, &format!("/{name}/default")).await?;
    Side::Peer.same("interop.secret", Some(plain.to_owned()), answer.value("interop.secret"))
}

/// The server sends `{cipher}` as it is, we decrypt.
pub(super) async fn cipher_of_the_client(peers: &dyn Peers) -> Outcome {
    let plain = "pass word: é";
    let encrypt = format!("{}/encrypt", peers.url(Peer::Config)?);
    let encrypted = Web::new()?.post_text(&encrypt, plain).await.expect(200, "POST /encrypt")?.text;
    let text = format!("interop:\n  secret: '{{cipher}}{encrypted}'\n  notes: '{CIPHER}'\n");
    write(peers, "interop-client-cipher.yml", &text)?;
    peers.start(Peer::PassthroughConfig).await?;
    let url = peers.url(Peer::PassthroughConfig)?;
    let settings = load(&url, "interop-client-cipher", &[("encrypt.key", KEY)]).await??;
    ours_has(&settings, "interop.secret", plain)?;
    ours_has(&settings, "interop.notes", "1234")?;
    let answer = ask(peers, Peer::PassthroughConfig, "/interop-client-cipher/default").await?;
    Side::Peer.same("interop.notes", Some(CIPHER.to_owned()), answer.value("interop.notes"))?;
    // Another key must not give another value.
    let wrong = load(&url, "interop-client-cipher", &[("encrypt.key", "another")]).await?;
    let refused =
        matches!(&wrong, Err(Error::Decrypt { failures }) if failures.iter().any(|f| f.key == "interop.notes"));
    Side::Ours.holds(refused, "loading with another key", "an error that names interop.notes", wrong.map(drop))
}

/// Without credentials and with wrong ones: 401, and nothing is tried again.
pub(super) async fn unauthorized(peers: &dyn Peers) -> Outcome {
    write(peers, "interop-secured.yml", "interop.of: secured\n")?;
    peers.start(Peer::SecuredConfig).await?;
    let url = peers.url(Peer::SecuredConfig)?;
    let mark = peers.mark(Peer::SecuredConfig).await?;
    let wrong = [("spring.cloud.config.username", "vernal"), ("spring.cloud.config.password", "wr0ng")];
    for (what, credentials) in [("without credentials", &wrong[..0]), ("with a wrong password", &wrong[..])] {
        let error = load(&url, "interop-secured", credentials).await?.map(drop);
        let told = error.as_ref().err().map(ToString::to_string).unwrap_or_default();
        fails_as(&error, ServerErrorKind::Unauthorized, 401, what)?;
        Side::Ours.holds(!told.contains("wr0ng"), what, "an error without the password", &told)?;
    }
    let (user, password) = CREDENTIALS;
    let right = [("spring.cloud.config.username", user), ("spring.cloud.config.password", password)];
    let settings = load(&url, "interop-secured", &right).await??;
    ours_has(&settings, "interop.of", "secured")?;
    let expected = [401, 401, 200].map(|status| ("/interop-secured/default".to_owned(), status));
    let targets = targets(peers, Peer::SecuredConfig, mark, "/interop-secured/").await?;
    Side::Peer.same("what the server was asked for, and answered", expected.to_vec(), targets)?;
    let plain = Web::new()?.get_as(&format!("{url}/interop-secured/default"), user, password).await;
    Side::Peer.same("interop.of", Some("secured".to_owned()), plain.value("interop.of"))
}

/// A server that knows nothing of an application says 404; an application that must have settings does not start.
pub(super) async fn not_found(peers: &dyn Peers) -> Outcome {
    write(peers, "strict/interop-known.yml", "interop.of: strict\n")?;
    write(peers, "strict/v2/interop-labelled.yml", "interop.of: v2\n")?;
    peers.start(Peer::StrictConfig).await?;
    let url = peers.url(Peer::StrictConfig)?;
    let mark = peers.mark(Peer::StrictConfig).await?;
    let error = load(&url, "interop-unknown", &[]).await?.map(drop);
    fails_as(&error, ServerErrorKind::LabelNotFound, 404, "an application that the server does not know")?;
    let lenient = load(&url, "interop-unknown", &[("spring.cloud.config.fail-fast", "false")]).await??;
    Side::Ours.same("interop.of without fail-fast", None, lenient.get("interop.of")?)?;
    let settings = load(&url, "interop-known", &[]).await??;
    ours_has(&settings, "interop.of", "strict")?;
    let targets = targets(peers, Peer::StrictConfig, mark, "/interop-").await?;
    let unknown = targets.iter().filter(|(target, status)| target == "/interop-unknown/default" && *status == 404);
    Side::Peer.holds(unknown.count() == targets.len() - 1, "answers", "404 to all but the last request", &targets)?;
    let last = Some(("/interop-known/default".to_owned(), 200));
    Side::Peer.same("the last request", last, targets.last().cloned())?;
    // Of several labels the first that the server knows counts.
    let mark = peers.mark(Peer::StrictConfig).await?;
    let settings = load(&url, "interop-labelled", &[("spring.cloud.config.label", "v1,v2")]).await??;
    ours_has(&settings, "interop.of", "v2")?;
    let expected =
        [("v1", 404), ("v2", 200)].map(|(label, status)| (format!("/interop-labelled/default/{label}"), status));
    let seen = self::targets(peers, Peer::StrictConfig, mark, "/interop-labelled/").await?;
    Side::Peer.same("what the server was asked for", expected.to_vec(), seen)
}

/// While the server is away the settings stay; when it is back, a refresh brings the new ones.
pub(super) async fn server_restarts(peers: &dyn Peers) -> Outcome {
    write(peers, "interop-restart.yml", "greeting.message: before\n")?;
    let quiet = [("eureka.client.enabled", "false"), ("spring.cloud.bus.enabled", "false")];
    let ours = Ours::start(peers, "interop-restart", &quiet).await?;
    let (web, refresh) = (Web::new()?, format!("{}/actuator/refresh", ours.url()));
    let welcome = format!("{}/welcome", ours.url());
    Side::Ours.same("the greeting at first", "before", web.get(&welcome).await.text.as_str())?;
    peers.stop(Peer::Config).await?;
    write(peers, "interop-restart.yml", "greeting.message: after\n")?;
    // Spring answers so, too: a refresh without fail-fast goes on with what there was.
    let answer = web.post(&refresh).await;
    let stale = ours.app.settings().status().is_stale();
    Side::Ours.holds(stale, "the settings while the server is away", "stale", &answer)?;
    Side::Ours.same("the greeting while the server is away", "before", web.get(&welcome).await.text.as_str())?;
    peers.start(Peer::Config).await?;
    let mark = peers.mark(Peer::Config).await?;
    within(SOON, async || {
        let answer = web.post(&refresh).await;
        let text = web.get(&welcome).await.text;
        Side::Ours.holds(text == "after", "the greeting when the server is back", "after", (text.as_str(), &answer))
    })
    .await?;
    let targets = targets(peers, Peer::Config, mark, "/interop-restart/").await?;
    let last = Some(("/interop-restart/default".to_owned(), 200));
    Side::Peer.same("the last request", last, targets.last().cloned())?;
    ours.stop().await;
    Ok(())
}

/// [`SCALARS`] as YAML below `interop`.
pub(super) fn scalars() -> String {
    let plain = SCALARS.iter().filter(|(key, ..)| !key.contains('['));
    let lines: String = plain.map(|(key, yaml, _)| format!("  {key}: {yaml}\n")).collect();
    let lists = "  list:\n    - one\n    - 2\n    - 'three, four'\n  people:\n    - name: Ada\n    - name: Bob\n";
    format!("interop:\n{lines}{lists}")
}

/// Writes a file of the config repository.
pub(super) fn write(peers: &dyn Peers, name: &str, text: &str) -> Outcome {
    let file = peers.config_repo().join(name);
    fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))?;
    Ok(fs::write(file, text)?)
}

/// The requests below a path, with what was answered.
pub(super) async fn targets(
    peers: &dyn Peers,
    peer: Peer,
    since: crate::peers::Mark,
    below: &str,
) -> Outcome<Vec<(String, u16)>> {
    let seen = peers.requests(peer, since).await?.into_iter().filter(|seen| seen.target.starts_with(below));
    Ok(seen.map(|seen| (seen.target, seen.status)).collect())
}

async fn ask(peers: &dyn Peers, peer: Peer, path: &str) -> Outcome<Answer> {
    let url = format!("{}{path}", peers.url(peer)?);
    Web::new()?.get(&url).await.expect(200, &url)
}

fn ours_has(settings: &Settings, key: &str, expected: &str) -> Outcome {
    Side::Ours.same(key, Some(expected.to_owned()), settings.get(key)?)
}

fn fails_as(result: &Result<(), Error>, kind: ServerErrorKind, status: u16, what: &str) -> Outcome {
    let server = result.as_ref().err().and_then(Error::server);
    let as_expected = server.is_some_and(|error| error.kind() == kind && error.status() == Some(status));
    Side::Ours.holds(as_expected, what, &format!("{kind:?} with status {status}"), result)
}

impl Answer {
    /// The value of a key in the first source of a config server's answer that has it, as text.
    fn value(&self, key: &str) -> Option<String> {
        let sources = self.json["propertySources"].as_array()?;
        match sources.iter().find_map(|source| source["source"].get(key))? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}
