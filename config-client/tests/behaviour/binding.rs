use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use vernal_commons::property::PropertyResolver;
use vernal_commons::secret::Secret;
use vernal_config_client::{Bootstrap, DataSize, Error, Settings};

#[derive(Debug, Deserialize, PartialEq)]
struct Server {
    port: u16,
    #[serde(default)]
    host_name: String,
    #[serde(default, with = "vernal_config_client::duration::option")]
    idle: Option<Duration>,
    #[serde(default)]
    max_body: Option<DataSize>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    routes: Vec<Route>,
    #[serde(default, rename = "trustedProxies")]
    trusted_proxies: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
enum Mode {
    #[default]
    #[serde(rename = "HTTP_ONE")]
    HttpOne,
    #[serde(rename = "HTTP_TWO")]
    HttpTwo,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Route {
    path: String,
    weight: Option<f64>,
}

#[test]
fn a_struct_binds_whatever_the_spelling() {
    let settings = Settings::fixed([
        ("server.port", "0x1F90"),
        ("server.hostName", "h"),
        ("server.idle", "PT1M"),
        ("server.max_body", "10MB"),
        ("SERVER.MODE", "http-two"),
        ("server.routes[0].path", "/a"),
        ("server.routes[1].path", "/b"),
        ("server.routes[1].weight", "0.5"),
        ("server.trusted-proxies", "a, b ,c"),
    ]);
    let server: Server = settings.bind("server").unwrap();
    assert_eq!((server.port, server.host_name.as_str(), server.mode), (8080, "h", Mode::HttpTwo));
    assert_eq!(server.idle, Some(Duration::from_secs(60)));
    assert_eq!(server.max_body.map(DataSize::bytes), Some(10 << 20));
    assert_eq!(server.routes[1], Route { path: "/b".to_owned(), weight: Some(0.5) });
    assert_eq!(server.routes[0].weight, None);
    assert_eq!(server.trusted_proxies, ["a", "b", "c"]);
}

#[tokio::test]
async fn environment_variables_set_fields_and_elements() {
    let env = [("MY_HOST_NAME", "a"), ("MY_HOSTNAME", "b"), ("MY_PORT", "1"), ("MY_ROUTES_0_PATH", "/x")];
    let folder = tempfile::tempdir().unwrap();
    let settings = Bootstrap::builder().directory(folder.path()).env(env).load().await.unwrap();
    let server: Server = settings.bind("my").unwrap();
    assert_eq!((server.port, server.routes[0].path.as_str()), (1, "/x"));
    assert!(["a", "b"].contains(&server.host_name.as_str()));

    let env = [("EUREKA_SERVICE_URL_DEFAULTZONE", "z"), ("EUREKA_SERVICEURL_OTHER", "o"), ("MY_LONG_LIST_0", "e")];
    let settings = Bootstrap::builder().directory(folder.path()).env(env).load().await.unwrap();
    assert_eq!(settings.names_below("eureka.service-url"), ["defaultzone", "other"]);
    let urls: BTreeMap<String, String> = settings.bind("eureka.service-url").unwrap();
    assert_eq!(urls["defaultzone"], "z");
    assert_eq!(settings.bind::<Vec<String>>("my.long-list").unwrap(), ["e"]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_origin() {
    let settings = Settings::fixed([("server.port", "70000"), ("server.mode", "http-3")]);
    let error = settings.bind::<Server>("server").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`server.port` from fixed") && text.contains("from 0 to 65535"), "{text}");
    assert!(text.contains("`70000`"), "{text}");
    let error = settings.bind::<Mode>("server.mode").unwrap_err().to_string();
    assert!(error.contains("`HTTP_TWO`") && error.contains("`http-3`"), "{error}");
}

#[test]
fn a_missing_value_is_named() {
    let error = Settings::fixed([("a.server.host-name", "h")]).bind::<Server>("a.server").unwrap_err();
    assert!(matches!(&error, Error::Missing { key } if key == "a.server.port"), "{error:?}");
}

#[test]
fn what_a_type_says_about_a_secret_is_not_repeated() {
    #[derive(Debug, Deserialize)]
    struct Db {
        #[expect(dead_code, reason = "only its reading matters")]
        password: u32,
    }
    let error = Settings::fixed([("db.password", "hunter2")]).bind::<Db>("db").unwrap_err();
    assert!(error.to_string().contains("`db.password`") && error.to_string().contains("***"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    #[derive(Debug, Deserialize)]
    struct Wait {
        #[expect(dead_code, reason = "only its reading matters")]
        #[serde(with = "vernal_config_client::duration")]
        token: Duration,
    }
    let error = Settings::fixed([("db.token", "hunter2")]).bind::<Wait>("db").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn nothing_at_the_prefix_binds_to_defaults() {
    #[derive(Deserialize, Default, PartialEq, Debug)]
    #[serde(default)]
    struct Pool {
        size: u8,
        names: Vec<String>,
    }
    let settings = Settings::fixed([("other", "1")]);
    assert_eq!(settings.bind::<Pool>("pool").unwrap(), Pool::default());
    assert!(settings.bind::<BTreeMap<String, String>>("pool").unwrap().is_empty());
    assert_eq!(settings.bind::<Option<Pool>>("pool").unwrap(), None);
    assert!(settings.bind::<u8>("pool").is_err());
}

#[test]
fn maps_of_scalars_have_dotted_keys_and_maps_of_structs_have_not() {
    let settings = Settings::fixed([
        ("level.org.spring", "INFO"),
        ("level.org.spring.web", "DEBUG"),
        ("level.root", "WARN"),
        ("level[a/b]", "OFF"),
        ("routes.main.path", "/"),
        ("routes.side.path", "/s"),
    ]);
    let levels: BTreeMap<String, String> = settings.bind("level").unwrap();
    let keys: Vec<_> = levels.keys().map(String::as_str).collect();
    assert_eq!(keys, ["a/b", "org.spring", "org.spring.web", "root"]);
    let routes: BTreeMap<String, Route> = settings.bind("routes").unwrap();
    assert_eq!(routes["side"].path, "/s");
    let numbers: BTreeMap<u8, char> = Settings::fixed([("m[1]", "x")]).bind("m").unwrap();
    assert_eq!(numbers[&1], 'x');
}

#[test]
fn a_list_with_a_gap_is_refused() {
    let error = Settings::fixed([("l[0]", "a"), ("l[2]", "c")]).bind::<Vec<String>>("l").unwrap_err();
    assert!(error.to_string().contains("`l[2]`"), "{error}");
    let long = Settings::fixed((0..12).map(|index| (format!("l[{index}]"), index.to_string())));
    assert_eq!(long.bind::<Vec<u8>>("l").unwrap(), (0..12).collect::<Vec<_>>());
    assert!(Settings::fixed([("l", "")]).bind::<Vec<String>>("l").unwrap().is_empty());
}

#[test]
fn numbers_and_texts_are_interchangeable() {
    let settings = Settings::fixed([("n", "8080"), ("t", "true"), ("list", "1, 2,0x3"), ("secret", "s")]);
    assert_eq!(settings.bind::<u16>("n").unwrap(), 8080);
    assert_eq!(settings.bind::<String>("n").unwrap(), "8080");
    assert!(settings.bind::<bool>("t").unwrap());
    assert_eq!(settings.bind::<Vec<u8>>("list").unwrap(), [1, 2, 3]);
    assert_eq!(settings.bind::<Secret>("secret").unwrap().expose(), "s");
}

#[test]
fn a_placeholder_without_value_is_an_error_with_its_property() {
    let settings = Settings::fixed([("url", "http://${host}"), ("a", "${b}"), ("b", "${a}")]);
    let error = settings.bind::<String>("url").unwrap_err().to_string();
    assert!(error.contains("`url` from fixed") && error.contains("`${host}`"), "{error}");
    assert!(settings.get("a").unwrap_err().to_string().contains("circle"));
    assert_eq!(settings.resolve_lenient("x ${host} ${c:d}").unwrap(), "x ${host} d");
}

#[test]
fn types_without_end_end() {
    #[derive(Debug, Deserialize)]
    struct Endless {
        #[expect(dead_code, reason = "only its reading matters")]
        next: Option<Box<Endless>>,
    }
    let settings = Settings::fixed([(format!("a{}", ".next".repeat(200)), "1")]);
    assert!(settings.bind::<Endless>("a").unwrap_err().to_string().contains("deep"));
}

#[test]
fn settings_answer_as_a_property_resolver() {
    let settings = Settings::fixed([("a.b-c", "1"), ("a.d[0].e", "2"), ("x", "${a.bC}")]);
    let resolver: &dyn PropertyResolver = &settings;
    assert_eq!(resolver.names_below("a"), ["b-c", "d[0].e"]);
    assert_eq!(resolver.property("A.B_C").unwrap().as_deref(), Some("1"));
    assert_eq!(resolver.resolve_placeholders("${x}").unwrap(), "1");
    assert_eq!(resolver.generation(), 1);
}

#[test]
fn random_values_stay_and_differ_by_property() {
    let settings = Settings::fixed([("a", "${random.uuid}"), ("b", "${random.uuid}"), ("c", "${random.int[5,7]}")]);
    let value = |key: &str| settings.get(key).unwrap().unwrap();
    assert_eq!(value("a"), value("a"));
    assert_ne!(value("a"), value("b"));
    assert!(["5", "6"].contains(&value("c").as_str()));
}
