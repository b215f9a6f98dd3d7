//! The programs, asked over HTTP on addresses of their own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;

/// The sample on four addresses that say its programs' names to each other.
struct Sample {
    tasks: JoinSet<std::io::Error>,
    page: Ipv4Addr,
    env: BTreeMap<String, String>,
}

impl Sample {
    fn new(third: u8) -> Sample {
        let at = |n: u8| Ipv4Addr::new(127, 29, third, n);
        let pairs = [
            ("HOSTNAME", "the-pod".to_owned()),
            ("CLUSTER_NAME", "kind2".to_owned()),
            ("DETAILS_HOSTNAME", at(1).to_string()),
            ("REVIEWS_HOSTNAME", at(2).to_string()),
            ("RATINGS_HOSTNAME", at(3).to_string()),
        ];
        let env = pairs.map(|(k, v)| (k.to_owned(), v)).into();
        Sample { tasks: JoinSet::new(), page: at(4), env }
    }

    async fn run(&mut self, program: Program, ip: Ipv4Addr) {
        let (env, logs) = (self.env.clone(), Logs::default());
        let mut reader = logs.read(None);
        self.tasks.spawn(async move {
            let (_open, gate) = Gate::new();
            serve(program, ip.into(), &env, gate, logs).await
        });
        assert!(reader.more().await, "{program} says nothing");
    }

    async fn all(version: u8, third: u8) -> Sample {
        let mut sample = Sample::new(third);
        let at = |n: u8| Ipv4Addr::new(127, 29, third, n);
        sample.run(Program::Details, at(1)).await;
        sample.run(Program::Reviews(version), at(2)).await;
        sample.run(Program::Ratings, at(3)).await;
        sample.run(Program::Productpage, at(4)).await;
        sample
    }
}

async fn ask(to: Ipv4Addr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((to, PORT)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn the_page_shows_reviews_without_stars_with_black_and_with_red_ones() {
    for (version, third, shown) in [(1, 61, None), (2, 62, Some("color: black")), (3, 63, Some("color: red"))] {
        let sample = Sample::all(version, third).await;
        let (status, page) = ask(sample.page, "/productpage?u=normal").await;
        assert_eq!(status, 200);
        assert!(page.contains("Reviews served by: the-pod in kind2"), "{page}");
        assert_eq!(page.contains("class=\"stars\""), shown.is_some(), "{page}");
        assert!(shown.is_none_or(|s| page.contains(s)), "{page}");
    }
}

#[tokio::test]
async fn without_reviews_the_page_shows_an_error_and_the_api_passes_it_on() {
    let mut sample = Sample::new(64);
    sample.run(Program::Details, Ipv4Addr::new(127, 29, 64, 1)).await;
    sample.run(Program::Productpage, sample.page).await;
    let (status, page) = ask(sample.page, "/productpage").await;
    assert_eq!(status, 200);
    assert!(page.contains("Error fetching product reviews!") && page.contains("Book Details"), "{page}");
    let (status, body) = ask(sample.page, "/api/v1/products/0/reviews").await;
    assert_eq!(status, 500);
    assert!(body.contains("reviews are currently unavailable"), "{body}");
    assert_eq!(ask(sample.page, "/api/v1/products/0").await.0, 200);
}

#[tokio::test]
async fn reviews_say_which_pod_and_cluster_they_come_from_and_do_without_ratings() {
    let mut sample = Sample::new(65);
    let reviews = Ipv4Addr::new(127, 29, 65, 2);
    sample.run(Program::Reviews(3), reviews).await;
    let (status, body) = ask(reviews, "/reviews/0").await;
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &said["podname"], &said["clustername"]), (200, &"the-pod".into(), &"kind2".into()));
    assert!(said["reviews"][0]["rating"]["error"].is_string(), "{said}");
    assert_eq!(ask(reviews, "/health").await.0, 200);
    assert_eq!(ask(reviews, "/reviews/zero").await.0, 400);
}

#[tokio::test]
async fn calls_go_through_the_proxy_that_the_environment_names_with_their_tracing_headers() {
    let listener = tokio::net::TcpListener::bind("127.29.66.9:15002").await.unwrap();
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let n = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let env = BTreeMap::from([
        ("http_proxy".to_owned(), "http://127.29.66.9:15002".to_owned()),
        ("SERVICES_DOMAIN".to_owned(), "shop".to_owned()),
    ]);
    let mut from = http::HeaderMap::new();
    from.insert("x-request-id", HeaderValue::from_static("abc"));
    from.insert("x-private", HeaderValue::from_static("no"));
    let peers = Peers::of(&env);
    let patience = std::time::Duration::from_secs(20);
    let (status, _) = peers.get(client::Peer::Ratings, "/ratings/0", &from, patience).await.unwrap();
    assert_eq!(status, 503);
    let request = proxy.await.unwrap();
    assert!(request.starts_with("GET http://ratings.shop:9080/ratings/0 HTTP/1.1"), "{request}");
    assert!(request.contains("x-request-id: abc") && !request.contains("x-private"), "{request}");
}

#[tokio::test]
async fn a_connection_is_used_again_and_another_made_when_it_was_closed() {
    let listener = tokio::net::TcpListener::bind("127.29.66.9:15003").await.unwrap();
    // Two answers on the first connection, then it is closed; one on the next.
    let proxy = tokio::spawn(async move {
        for answers in [2, 1] {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..answers {
                let mut request = vec![0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    });
    let env = BTreeMap::from([("http_proxy".to_owned(), "http://127.29.66.9:15003".to_owned())]);
    let peers = Peers::of(&env);
    let (from, patience) = (http::HeaderMap::new(), std::time::Duration::from_secs(20));
    for _ in 0..3 {
        let (status, _) = peers.get(client::Peer::Ratings, "/ratings/0", &from, patience).await.unwrap();
        assert_eq!(status, 200);
    }
    proxy.await.unwrap();
}
