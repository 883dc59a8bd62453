//! The Feign client of the scenarios, and of the testkit's stand-in for the Java user service.

use serde_json::Value;
use vernal::feign::feign_client;

use crate::service::Echo;

/// The target of its log lines.
pub(crate) const LOG: &str = concat!(module_path!(), "::EchoClient");

/// What the order service, or `interop.echo`, offers for tests; the Java user service describes it alike, so that the
/// log lines begin alike.
#[feign_client("${interop.echo:order-service}", context_id = "interop-echo")]
pub(crate) trait EchoClient {
    /// The value in path, query and header.
    #[get("/echo/{value}")]
    async fn echo(
        &self,
        value: &str,
        #[query] q: &[&str],
        #[header("X-Value")] header: Option<&str>,
    ) -> vernal::feign::Result<Echo>;

    /// A body that comes back with this status.
    #[post("/mirror/{status}")]
    async fn mirror(
        &self,
        status: u16,
        #[query] token: &[&str],
        #[header("X-Value")] header: Option<&str>,
        #[header("Authorization")] authorization: Option<&str>,
        body: &Value,
    ) -> vernal::feign::Result<String>;
}
