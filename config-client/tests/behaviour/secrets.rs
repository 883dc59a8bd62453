use vernal_config_client::Settings;
use vernal_testkit::logs::Logs;

use crate::stub::{IMPORT, Stub, answer, client, environment};

/// `1234`, encrypted with the key below.
const CIPHER: &str = "{cipher}0c7649b1698b8df8337716a26eafba4a90499ea5df3eff8d8492abfe0fff978a";
const KEY: &str = "--encrypt.key=abcdefghijklmnopqrstuvwxyz0123456789";

async fn settings() -> Settings {
    let transport = Stub::default().transport(|_| {
        environment(&format!(
            r#""pin":"{CIPHER}","api.token":"t0ken","url":"x://${{pin}}@h/${{api.token}}","port":"8""#
        ))
    });
    client(&[IMPORT, KEY], transport).load().await.unwrap()
}

#[tokio::test]
async fn explain_masks_what_is_secret_or_made_of_it() {
    let settings = settings().await;
    for key in ["pin", "api.token", "url"] {
        let explanation = settings.explain(key);
        assert_eq!(explanation.value.as_deref(), Some("***"), "{key}");
        let text = format!("{explanation} {explanation:?}");
        assert!(!text.contains("1234") && !text.contains("t0ken") && !text.contains("0c7649"), "{text}");
    }
    assert_eq!(settings.explain("port").value.as_deref(), Some("8"));
    assert_eq!(settings.get("url").unwrap().as_deref(), Some("x://1234@h/t0ken"));
}

#[tokio::test]
async fn errors_and_debug_show_no_secret() {
    let settings = settings().await;
    for key in ["pin", "api.token", "url"] {
        let error = settings.bind::<bool>(key).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("***") && !text.contains("1234") && !text.contains("t0ken"), "{text}");
    }
    let live = settings.live::<String>("pin").unwrap();
    let text = format!("{settings:?} {:?} {live:?} {:?}", settings.snapshot(), settings.status());
    assert!(!text.contains("1234") && !text.contains("t0ken"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn logs_show_no_secret() {
    let logs = Logs::new();
    let _guard = logs.capture();
    let transport = Stub::default().transport(|n| match n {
        0 | 2 => answer(500, "application/json", ""),
        1 => environment(&format!(r#""pin":"{CIPHER}""#)),
        _ => environment(r#""pin":"{cipher}00""#),
    });
    let args = [
        "--spring.config.import=configserver:http://me:hunter2@config:8888?fail-fast=true",
        "--spring.cloud.config.token=t0ken",
        KEY,
    ];
    let settings = client(&args, transport).load().await.unwrap();
    settings.refresh().await.unwrap_err();
    assert!(!logs.records().is_empty());
    for secret in ["hunter2", "t0ken", "1234", "abcdefghij", "0c7649"] {
        assert!(!logs.contain(secret), "{secret} is in {:?}", logs.records());
    }
}
