//! http-echo: answers every path with one text, as `hashicorp/http-echo` 0.2.3 does.
//!
//! In: its command line and an address. Out: HTTP answers and access-log lines. May not know: pods.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use jiff::Timestamp;

use super::http::{self as server, Answer};
use super::logs::Logs;
use super::signals::Gate;

/// The version in its header `x-app-version`: the one of the digest that is widely pinned.
const VERSION: &str = "0.2.3";

/// http-echo's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The text it answers with; a line break is added.
    pub text: String,
    /// The port it listens on.
    pub port: u16,
}

impl Options {
    /// Reads its command line as Go's `flag` package does. The error is what it prints before it ends with 127.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Options { text: String::new(), port: 5678 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|f| !f.is_empty()) else {
                return Err("Too many arguments!".into());
            };
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if !matches!(name, "text" | "listen") {
                return Err(format!("flag provided but not defined: -{name}"));
            }
            let value = inline.or_else(|| args.next().cloned());
            let value = value.ok_or_else(|| format!("flag needs an argument: -{name}"))?;
            if name == "text" {
                options.text = value;
            } else {
                let port = value.rsplit(':').next().and_then(|p| p.parse().ok());
                options.port = port.ok_or_else(|| format!("listen tcp: address {value}: missing port in address"))?;
            }
        }
        if options.text.is_empty() { Err("Missing -text option!".into()) } else { Ok(options) }
    }
}

/// Serves until dropped. Returns only if it cannot listen.
pub async fn serve(options: Options, address: IpAddr, gate: Gate, logs: Logs) -> std::io::Error {
    let said = logs.clone();
    let port = options.port;
    let listening = move || said.push(format!("{} Server is listening on :{port}", clock()));
    let body = Bytes::from(options.text + "\n");
    let answer = move |request, peer| answer(request, peer, body.clone(), logs.clone());
    server::serve(SocketAddr::new(address, port), gate, listening, answer).await
}

async fn answer(mut request: Request<Incoming>, peer: SocketAddr, body: Bytes, logs: Logs) -> Answer {
    let start = Instant::now();
    // A client that is still sending must be able to finish.
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    let health = request.uri().path() == "/health";
    let body = if health { Bytes::from_static(b"{\"status\":\"ok\"}\n") } else { body };
    if !health {
        logs.push(access_line(&request, peer, body.len(), start));
    }
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert("x-app-name", HeaderValue::from_static("http-echo"));
    headers.insert("x-app-version", HeaderValue::from_static(VERSION));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn access_line(request: &Request<Incoming>, peer: SocketAddr, length: usize, start: Instant) -> String {
    let header = |name| request.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or("");
    format!(
        "{} {} {peer} \"{} {} {:?}\" 200 {length} \"{}\" {:?}",
        clock(),
        header(HOST),
        request.method(),
        request.uri().path(),
        request.version(),
        header(USER_AGENT),
        start.elapsed()
    )
}

fn clock() -> impl std::fmt::Display {
    Timestamp::now().strftime("%Y/%m/%d %H:%M:%S")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_text_is_taken_as_written_with_its_quotes() {
        let options = |text: &str, port| Ok(Options { text: text.to_owned(), port });
        assert_eq!(parse(&["-text=\"blue-pod\""]), options("\"blue-pod\"", 5678));
        assert_eq!(parse(&["--text", "a b", "-listen=:80"]), options("a b", 80));
        assert_eq!(parse(&["-listen", "0.0.0.0:8080", "-text=x"]), options("x", 8080));
    }

    #[test]
    fn wrong_options_end_it_with_its_own_complaint() {
        assert_eq!(parse(&[]), Err("Missing -text option!".into()));
        assert_eq!(parse(&["-text=a", "more"]), Err("Too many arguments!".into()));
        assert!(parse(&["-colour=blue"]).unwrap_err().contains("-colour"));
    }

    #[tokio::test]
    async fn every_path_is_answered_with_the_text_and_logged() {
        let address = std::net::Ipv4Addr::new(127, 29, 41, 7);
        let logs = Logs::default();
        let options = Options { text: "\"blue-pod\"".into(), port: 5678 };
        let server = tokio::spawn(serve(options, address.into(), Gate::new().1, logs.clone()));
        let mut reader = logs.read(None);
        assert!(reader.more().await);
        let mut stream = TcpStream::connect((address, 5678)).await.unwrap();
        stream.write_all(b"GET /any HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        for part in ["HTTP/1.1 200 OK", "x-app-name: http-echo", "x-app-version: 0.2.3", "content-length: 11"] {
            assert!(answer.contains(part), "{part} in {answer}");
        }
        assert!(answer.ends_with("\r\n\r\n\"blue-pod\"\n"), "{answer}");
        let lines = logs.read(Some(1)).ready();
        assert!(String::from_utf8_lossy(&lines[0].text).contains("\"GET /any HTTP/1.1\" 200 11"), "{lines:?}");
        server.abort();
        let _ = server.await;
        assert!(TcpStream::connect((address, 5678)).await.is_err(), "it listens after its end");
    }
}
