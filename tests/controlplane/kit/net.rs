//! Plain HTTP for the kit itself: is somebody up, and etcd's JSON gateway.

use std::sync::OnceLock;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;

/// The kit's own runtime: control planes outlive the tests that ask for them.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    RUNTIME.get_or_init(|| build().expect("a runtime can be made"))
}

/// Runs blocking work from anywhere, also from within a test's own runtime.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// One request without a body; nothing when nobody answers.
pub fn get(url: &str) -> Option<(u16, Bytes)> {
    request(http::Request::get(url).body(Full::default()).ok()?).ok()
}

/// One request with a JSON body.
pub fn post(url: &str, body: &serde_json::Value) -> anyhow::Result<(u16, Bytes)> {
    let request = http::Request::post(url).header("content-type", "application/json");
    self::request(request.body(Full::new(body.to_string().into()))?)
}

fn request(request: http::Request<Full<Bytes>>) -> anyhow::Result<(u16, Bytes)> {
    static CLIENT: OnceLock<Client<HttpConnector, Full<Bytes>>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::builder(TokioExecutor::new()).build_http());
    let ask = async {
        let answer = client.request(request).await?;
        let status = answer.status().as_u16();
        anyhow::Ok((status, answer.into_body().collect().await?.to_bytes()))
    };
    let limited = async { tokio::time::timeout(std::time::Duration::from_secs(30), ask).await? };
    apart(|| runtime().block_on(limited))
}
