use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use serde::Deserialize;
use tokio::sync::Semaphore;
use vernal_commons::http::{Body, SharedTransport};
use vernal_config_client::{Bootstrap, Live, Settings};

use crate::stub::{IMPORT, Stub, answer, client, environment};

#[derive(Debug, Deserialize)]
struct Pair {
    one: u32,
    two: u32,
}

/// Settings whose server counts: request `n` answers `n`.
async fn counting(stub: &Stub, import: &str) -> Settings {
    let transport =
        stub.transport(|n| environment(&format!(r#""a.one":{n},"a.two":{n},"b.one":{n},"b.two":{n},"c":1"#)));
    client(&[import], transport).load().await.unwrap()
}

#[tokio::test]
async fn all_views_change_at_once() {
    let settings = counting(&Stub::default(), IMPORT).await;
    let (a, b) = (settings.live::<Pair>("a").unwrap(), settings.live::<Pair>("b").unwrap());
    let before = settings.snapshot();
    let report = settings.refresh().await.unwrap();
    assert_eq!(report.changed, ["a.one", "a.two", "b.one", "b.two"]);
    assert_eq!((a.get().one, b.get().two), (1, 1));
    assert_eq!((before.read(&a).one, before.read(&b).two), (0, 0));
    assert_eq!((before.generation(), settings.generation(), report.generation), (1, 2, 2));
    assert_eq!(before.get("a.one").unwrap().as_deref(), Some("0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_two_generations() {
    let settings = counting(&Stub::default(), IMPORT).await;
    let (a, b) = (settings.live::<Pair>("a").unwrap(), settings.live::<Pair>("b").unwrap());
    let done = Arc::new(AtomicUsize::new(0));
    let reader = {
        let (settings, done) = (settings.clone(), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut reads = 0_usize;
            while done.load(Ordering::Relaxed) == 0 || reads == 0 {
                let snapshot = settings.snapshot();
                let (a, b) = (snapshot.read(&a), snapshot.read(&b));
                assert_eq!((a.one, a.two, b.one), (b.two, b.two, b.two));
                reads += 1;
            }
        })
    };
    for _ in 0..50 {
        settings.refresh().await.unwrap();
    }
    done.store(1, Ordering::Relaxed);
    reader.join().unwrap();
}

#[tokio::test]
async fn concurrent_refreshes_share_a_load() {
    let (loads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1)));
    let service = {
        let (loads, gate) = (Arc::clone(&loads), Arc::clone(&gate));
        tower::service_fn(move |_: http::Request<Body>| {
            let (loads, gate) = (Arc::clone(&loads), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                environment(&format!(r#""k":{}"#, loads.fetch_add(1, Ordering::Relaxed)))
            }
        })
    };
    let settings = client(&[IMPORT], SharedTransport::new(service)).load().await.unwrap();
    let called = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (settings, called) = (settings.clone(), Arc::clone(&called));
            tokio::spawn(async move {
                called.fetch_add(1, Ordering::Relaxed);
                settings.refresh().await
            })
        })
        .collect();
    while called.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1000);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    // One at the start, the first, and one for all who came during it.
    assert_eq!(loads.load(Ordering::Relaxed), 3);
    assert_eq!(settings.get("k").unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn an_abandoned_refresh_does_not_block_the_next() {
    let settings = counting(&Stub::default(), IMPORT).await;
    assert!(settings.refresh().now_or_never().is_none());
    settings.refresh().await.unwrap();
    assert_eq!(settings.refresh().await.unwrap().changed.len(), 4);
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_old_values() {
    let transport = Stub::default().transport(|n| match n {
        1 => answer(503, "application/json", ""),
        2 => answer(200, "application/json", "{"),
        n => environment(&format!(r#""k":{n}"#)),
    });
    let settings = client(&[IMPORT], transport).load().await.unwrap();
    for failures in 1..=2 {
        assert!(settings.refresh().await.unwrap_err().server().is_some());
        assert_eq!((settings.get("k").unwrap().as_deref(), settings.generation()), (Some("0"), 1));
        let status = settings.status();
        assert_eq!((status.consecutive_failures, status.is_stale()), (failures, true));
    }
    assert_eq!(settings.refresh().await.unwrap().changed, ["k"]);
    assert!(!settings.status().is_stale() && settings.status().last_failure.is_some());
}

#[tokio::test]
async fn a_server_that_may_fail_leaves_a_warning() {
    let transport = Stub::default().transport(|n| match n {
        0 => environment(r#""k":0"#),
        _ => answer(503, "application/json", ""),
    });
    let import = "--spring.config.import=optional:configserver:http://config:8888";
    let settings = client(&[import], transport).load().await.unwrap();
    let report = settings.refresh().await.unwrap();
    assert!(report.changed.is_empty() && report.warnings[0].contains("503"), "{report:?}");
    assert_eq!(settings.get("k").unwrap().as_deref(), Some("0"));
    assert!(settings.status().is_stale());
}

#[tokio::test]
async fn a_refresh_that_one_view_cannot_bind_changes_nothing() {
    let transport = Stub::default().transport(|n| match n {
        1 => environment(r#""a":1,"b":"many""#),
        n => environment(&format!(r#""a":{n},"b":{n}"#)),
    });
    let settings = client(&[IMPORT], transport).load().await.unwrap();
    let (a, b) = (settings.live::<u8>("a").unwrap(), settings.live::<u8>("b").unwrap());
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.key(), Some("b"));
    assert_eq!((*a.get(), *b.get(), settings.get("a").unwrap().as_deref()), (0, 0, Some("0")));
    settings.refresh().await.unwrap();
    assert_eq!((*a.get(), *b.get()), (2, 2));
    drop(b);
    settings.set_overrides([("b", "many")]).unwrap();
}

#[tokio::test]
async fn a_type_that_panics_fails_the_refresh_and_nothing_else() {
    #[derive(Debug)]
    struct Touchy;
    impl<'de> Deserialize<'de> for Touchy {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            assert_ne!(u8::deserialize(deserializer)?, 1, "one is too much");
            Ok(Self)
        }
    }
    let transport = Stub::default().transport(|n| environment(&format!(r#""k":{n}"#)));
    let settings = client(&[IMPORT], transport).load().await.unwrap();
    let _touchy = settings.live::<Touchy>("k").unwrap();
    assert!(settings.refresh().await.is_err());
    assert!(settings.refresh().await.is_ok());
}

#[tokio::test]
async fn a_view_wakes_only_for_its_own_value() {
    let settings = Settings::fixed([("a", "1"), ("b", "${c}"), ("c", "1")]);
    let mut a: Live<u8> = settings.live("a").unwrap();
    let mut b: Live<u8> = settings.live("b").unwrap();
    let mut double = b.map(|number| number * 2);
    assert_eq!(settings.set_overrides([("c", "2")]).unwrap(), ["b", "c"]);
    assert_eq!((*b.changed().await, *double.changed().await), (2, 4));
    assert!(a.changed().now_or_never().is_none());
    assert!(b.changed().now_or_never().is_none());
    assert_eq!(settings.set_overrides([("c", "2")]).unwrap(), [""; 0]);
    assert_eq!(settings.generation(), 2);
    settings.set_overrides([("a", "0x1")]).unwrap();
    assert_eq!(*a.changed().await, 1);
    assert_eq!(settings.clear_overrides().unwrap(), ["a", "b", "c"]);
    assert_eq!((*a.get(), *b.get()), (1, 1));
}

#[tokio::test]
async fn subscribers_hear_of_generations_and_of_their_prefix() {
    let settings = Settings::fixed([("a.x", "1"), ("b", "1")]);
    let (mut all, mut below) = (settings.subscribe(), settings.subscribe_below("a"));
    settings.set_overrides([("b", "2")]).unwrap();
    assert_eq!(all.changed().await, 2);
    assert!(below.changed().now_or_never().is_none());
    settings.set_overrides([("a.y", "2")]).unwrap();
    assert_eq!((all.changed().await, below.changed().await), (3, 3));
}

#[tokio::test]
async fn what_is_gone_from_server_and_files_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("application.yml");
    std::fs::write(&file, "local: 1\nkept: 1").unwrap();
    let transport = Stub::default().transport(|n| match n {
        0 => environment(r#""gone":"{cipher}0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a","r":"${random.value}""#),
        _ => environment(r#""r":"${random.value}""#),
    });
    let none: [(&str, &str); 0] = [];
    let args = [IMPORT, "--encrypt.key=abcdefghijklmnopqrstuvwxyz0123456789"];
    let settings =
        Bootstrap::builder().directory(folder.path()).env(none).args(args).transport(transport).load().await.unwrap();
    assert_eq!(settings.get("gone").unwrap().as_deref(), Some("1234"));
    std::fs::write(&file, "kept: 1").unwrap();
    let report = settings.refresh().await.unwrap();
    assert_eq!(report.changed, ["gone", "local"]);
    assert_eq!((settings.get("gone").unwrap(), settings.get("local").unwrap()), (None, None));
    assert!(!settings.sources().contains(&"decrypted".to_owned()));
}
