//! Calls by absolute URL, without a trait.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vernal_commons::http::Body;

use crate::argument;
use crate::client::Client;
use crate::codec::{MethodResult, ReturnJson as _, ReturnKnown as _, Returning, Shape};
use crate::error::{Error, ErrorKind, Result};
use crate::meta::{ClientMeta, MethodMeta, ParamIn, ParamMeta};

/// A client for absolute URLs (Spring's `RestTemplate`). Cheap to clone.
///
/// A host that discovery knows is a service's name, and the call goes to one of its instances; every other host is
/// an ordinary one. Names may hold underscores (`http://ORDER_SERVICE/orders`). Log, error decoder, interceptors and
/// layers are those of the context. Its settings have the context id `rest`.
#[derive(Debug, Clone)]
pub struct RestClient {
    client: Client,
    strict: Client,
}

const GET: usize = 0;
const POST: usize = 1;
const PUT: usize = 2;
const DELETE: usize = 3;
const EXCHANGE: usize = 4;

impl RestClient {
    pub(crate) fn new(client: Client, strict: Client) -> Self {
        Self { client, strict }
    }

    pub(crate) fn meta() -> ClientMeta {
        let method = |name: &str, verb| {
            MethodMeta::new(name, verb, "")
                .with_parameter(ParamMeta::new("url", "String", ParamIn::Uri))
                .with_parameter(ParamMeta::new("body", "Object", ParamIn::Body))
        };
        ClientMeta::new("RestClient", "rest")
            .with_method(method("get", Method::GET))
            .with_method(method("post", Method::POST))
            .with_method(method("put", Method::PUT))
            .with_method(method("delete", Method::DELETE))
            .with_method(method("exchange", Method::GET))
    }

    /// The same, but every host is a service's name: an unknown one is [`ErrorKind::NoInstance`].
    #[must_use]
    pub fn strict(&self) -> Self {
        Self { client: self.strict.clone(), strict: self.strict.clone() }
    }

    /// GET; reads the response as JSON.
    ///
    /// # Errors
    ///
    /// If the status is not 2xx, or the response is no such `T`.
    pub async fn get<T: DeserializeOwned + Send>(&self, url: &str) -> Result<T> {
        self.call(GET, url, json()).await
    }

    /// GET; `None` on 404.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn get_optional<T: DeserializeOwned + Send>(&self, url: &str) -> Result<Option<T>> {
        let shape = crate::codec::ReturnOptional::shape(&&Returning::<Option<T>>::new());
        self.call(GET, url, shape).await
    }

    /// GET; reads the response as text.
    ///
    /// # Errors
    ///
    /// If the status is not 2xx, or the charset is unknown.
    pub async fn get_text(&self, url: &str) -> Result<String> {
        self.call(GET, url, (&&&Returning::<String>::new()).shape()).await
    }

    /// POST of `body` as JSON; reads the response as JSON.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), or if `body` cannot be written.
    pub async fn post<T: DeserializeOwned + Send>(
        &self,
        url: &str,
        body: &(impl Serialize + Sync + ?Sized),
    ) -> Result<T> {
        self.call_with(POST, url, body, json()).await
    }

    /// PUT of `body` as JSON.
    ///
    /// # Errors
    ///
    /// If the status is not 2xx, or `body` cannot be written.
    pub async fn put(&self, url: &str, body: &(impl Serialize + Sync + ?Sized)) -> Result<()> {
        self.call_with(PUT, url, body, (&&&Returning::<()>::new()).shape()).await
    }

    /// DELETE.
    ///
    /// # Errors
    ///
    /// If the status is not 2xx.
    pub async fn delete(&self, url: &str) -> Result<()> {
        self.call(DELETE, url, (&&&Returning::<()>::new()).shape()).await
    }

    /// Any request; the response comes back whole. Its URI must be absolute and encoded.
    ///
    /// # Errors
    ///
    /// If the status is not 2xx (as `RestTemplate.exchange`), or the URI is not absolute.
    pub async fn exchange(&self, request: Request<impl Into<Body>>) -> Result<Response<Bytes>> {
        if request.uri().scheme().is_none() {
            let message = format!("URI `{}` is not absolute", request.uri().path());
            return Err(Error::new(ErrorKind::InvalidUrl, message));
        }
        self.client.send_request(EXCHANGE, request.map(Into::into), Shape::success()).await
    }

    async fn call<T: Send>(&self, method: usize, url: &str, shape: Shape<T>) -> Result<T> {
        let mut call = self.client.call(method);
        call.uri(0, url);
        call.send::<Result<T>>(shape).await
    }

    async fn call_with<T: Send>(
        &self,
        method: usize,
        url: &str,
        body: &(impl Serialize + Sync + ?Sized),
        shape: Shape<T>,
    ) -> Result<T> {
        let mut call = self.client.call(method);
        call.uri(0, url);
        call.body(1, argument::json(body));
        call.send::<Result<T>>(shape).await
    }
}

fn json<T: DeserializeOwned>() -> Shape<<Result<T> as MethodResult>::Value> {
    Returning::<T>::new().shape()
}
