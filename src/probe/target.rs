//! Where requests go and how to tell who answered.
//! May not know: clusters; where the address came from.

use http::Uri;
use http::header::{HeaderName, HeaderValue};
use indexmap::IndexMap;

/// One service under load. Made by [`Target::new`], so the parts fit.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host and port to connect to.
    pub address: (String, u16),
    /// Path and query.
    pub path: Uri,
    /// The Host header.
    pub host: HeaderValue,
    /// How to tell who answered.
    pub who: Who,
}

/// How to tell who answered.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// A response header; else the first line of the body.
    pub header: Option<HeaderName>,
    /// What must be found in it; the first group, or all of the match, is the text.
    pub pattern: Option<regex::Regex>,
    /// From that text to a label.
    pub labels: IndexMap<String, String>,
}

impl Target {
    /// From a URL as a user writes it; `host` replaces the Host header.
    pub fn new(url: &str, host: Option<&str>, who: Who) -> anyhow::Result<Self> {
        let with_scheme = if url.contains("://") { url.to_string() } else { format!("http://{url}") };
        let uri: Uri = with_scheme.parse().map_err(|e| anyhow::anyhow!("`{url}` is not a URL: {e}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(other) => {
                anyhow::bail!("`{url}`: the load speaks plain HTTP only, not {other}; give the gateway's HTTP port")
            }
            None => anyhow::bail!("`{url}` is not a URL"),
        }
        let name = uri.host().ok_or_else(|| anyhow::anyhow!("`{url}` names no host"))?;
        let connect = name.trim_start_matches('[').trim_end_matches(']').to_string();
        let port = uri.port_u16().unwrap_or(80);
        let authority = uri.authority().map_or(name, |a| a.as_str());
        let host = host.unwrap_or(authority);
        let host = HeaderValue::from_str(host).map_err(|_| anyhow::anyhow!("`{host}` cannot be a Host header"))?;
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).parse()?;
        Ok(Target { address: (connect, port), path, host, who })
    }
}
