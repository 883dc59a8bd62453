//! Servers by name that can be up, refuse, hang or follow a script, and a log of what they were asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use vernal_commons::BoxFuture;
use vernal_commons::http::{Body, SharedTransport, TransportError, TransportErrorKind};
use vernal_discovery_client::{
    EurekaClient, EurekaClientBuilder, EurekaClientSettings, EurekaDiscovery, InstanceRecord,
};
use vernal_testkit::registry::Registry;

pub(crate) type Script = Arc<dyn Fn(&Asked) -> Response<Body> + Send + Sync>;

/// What a server does with a request.
#[derive(Clone)]
pub(crate) enum Server {
    Up(SharedTransport),
    Script(Script),
    Refusing,
    Hanging,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) host: String,
    /// Method and target: `GET /eureka/apps/`.
    pub(crate) line: String,
    pub(crate) body: String,
}

#[derive(Clone, Default)]
pub(crate) struct Estate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    servers: HashMap<String, Server>,
    delays: Vec<(&'static str, Duration)>,
    hanging: Vec<&'static str>,
    log: Vec<Asked>,
}

impl Estate {
    /// One registry, at `http://registry/eureka`.
    pub(crate) async fn with_registry() -> (Self, Registry) {
        let estate = Self::default();
        let registry = Registry::start().await.unwrap();
        estate.put("registry", up(&registry));
        (estate, registry)
    }

    pub(crate) fn put(&self, host: &str, server: Server) {
        self.0.lock().unwrap().servers.insert(host.to_owned(), server);
    }

    pub(crate) fn script(&self, host: &str, script: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) {
        self.put(host, Server::Script(Arc::new(script)));
    }

    /// Requests with this method reach their server at once and are answered after `delay`.
    pub(crate) fn delay(&self, method: &'static str, delay: Duration) {
        self.0.lock().unwrap().delays.push((method, delay));
    }

    /// Requests with this method are never answered.
    pub(crate) fn hang(&self, method: &'static str) {
        self.0.lock().unwrap().hanging.push(method);
    }

    /// What was asked so far.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.0.lock().unwrap().log.clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().log.clear();
    }

    /// The request lines that begin with one of `methods`.
    pub(crate) fn lines(&self, methods: &[&str]) -> Vec<String> {
        let wanted = |asked: &Asked| methods.iter().any(|method| asked.line.starts_with(method));
        self.log().into_iter().filter(wanted).map(|asked| asked.line).collect()
    }

    pub(crate) fn client(&self, urls: &str) -> EurekaClientBuilder {
        self.client_with(EurekaClientSettings::for_servers(urls))
    }

    pub(crate) fn client_with(&self, settings: EurekaClientSettings) -> EurekaClientBuilder {
        EurekaClient::builder(settings).transport(self.transport())
    }

    fn transport(&self) -> SharedTransport {
        let estate = self.clone();
        SharedTransport::new(tower::service_fn(move |request| estate.clone().serve(request)))
    }

    fn serve(self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let host = request.uri().authority().unwrap().as_str().to_owned();
            let method = request.method().to_string();
            let target = request.uri().path_and_query().unwrap();
            let body = String::from_utf8(request.body().in_memory().unwrap().to_vec()).unwrap();
            let asked = Asked { at: Instant::now(), host, line: format!("{method} {target}"), body };
            let (server, delay, hangs) = {
                let mut state = self.0.lock().unwrap();
                state.log.push(asked.clone());
                let delay = state.delays.iter().find(|(slow, _)| *slow == method).map(|(_, delay)| *delay);
                let hangs = state.hanging.contains(&method.as_str());
                (state.servers.get(&asked.host).cloned().unwrap_or(Server::Refusing), delay, hangs)
            };
            if hangs {
                std::future::pending::<()>().await;
            }
            let response = match server {
                Server::Up(transport) => transport.send(request).await,
                Server::Script(script) => Ok(script(&asked)),
                Server::Refusing => Err(TransportError::new(TransportErrorKind::Connect)),
                Server::Hanging => std::future::pending().await,
            };
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            response
        })
    }
}

pub(crate) fn up(registry: &Registry) -> Server {
    Server::Up(SharedTransport::new(registry.router()))
}

pub(crate) fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A document of one application `ORDERS`: ids with status and action.
pub(crate) fn document(version: i64, hash: &str, instances: &[(&str, &str, &str)]) -> String {
    let list: Vec<_> = instances
        .iter()
        .enumerate()
        .map(|(position, (id, status, action))| {
            let port = 8000 + position;
            format!(
                r#"{{"instanceId":"{id}","hostName":"{id}","app":"ORDERS","status":"{status}","vipAddress":"orders",
                "port":{{"$":{port},"@enabled":"true"}},"actionType":"{action}"}}"#
            )
        })
        .collect();
    let application =
        if list.is_empty() { String::new() } else { format!(r#"{{"name":"ORDERS","instance":[{}]}}"#, list.join(",")) };
    format!(
        r#"{{"applications":{{"versions__delta":"{version}","apps__hashcode":"{hash}","application":[{application}]}}}}"#
    )
}

pub(crate) fn orders(port: u16) -> InstanceRecord {
    InstanceRecord::new("orders", "10.0.0.7", port)
}

/// The ids under which a service can be called.
pub(crate) fn ids(discovery: &EurekaDiscovery, service: &str) -> Vec<String> {
    discovery.instances(service).iter().map(|instance| instance.instance_id().to_owned()).collect()
}

/// Lets this much virtual time pass.
pub(crate) async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
