//! The load against servers that refuse, hang, cut, fail and stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use failctl::probe::capacity::answers_per_second;
use failctl::probe::load::Pace;
use failctl::probe::target::Who;
use failctl::probe::{Event, Target, start};
use failctl::sim::record::{Class, Outcome, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

#[derive(Clone, Copy)]
enum Manner {
    Answer,
    AnswerAndClose,
    Status(u16),
    Hang,
    Reset,
    Cut,
    /// The whole server stands still in this stretch.
    Stall(Instant, Instant),
}

struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

async fn serve(manner: Manner) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(talk(stream, manner));
        }
    });
    Server { port, connections }
}

async fn talk(mut stream: TcpStream, manner: Manner) {
    const BLUE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nblue-pod";
    let mut buffer = [0u8; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
        let text = match manner {
            Manner::Answer | Manner::AnswerAndClose => BLUE.to_string(),
            Manner::Status(code) => format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\n\r\n"),
            Manner::Hang => std::future::pending().await,
            Manner::Reset => String::new(),
            Manner::Cut => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nblu".into(),
            Manner::Stall(from, to) => {
                if Instant::now() >= from {
                    sleep_until(to).await;
                }
                BLUE.to_string()
            }
        };
        let _ = stream.write_all(text.as_bytes()).await;
        if matches!(manner, Manner::Cut | Manner::Reset | Manner::AnswerAndClose) {
            return;
        }
    }
}

fn pace(millis: u64) -> Pace {
    Pace { duration: Duration::from_millis(millis), timeout: Duration::from_millis(400), max_in_flight: 1000, burst: 1 }
}

fn at(port: u16) -> Target {
    Target::new(&format!("http://127.0.0.1:{port}/"), None, Who::default()).unwrap()
}

async fn all(targets: Vec<(Target, u32)>, pace: Pace) -> Vec<Event> {
    let mut running = start(targets, pace);
    let mut events = Vec::new();
    while let Some(event) = timeout(Duration::from_secs(20), running.events.recv()).await.expect("the load ends") {
        events.push(event);
    }
    events
}

fn records(events: &[Event], wanted: usize) -> Vec<Record> {
    let record = |e: &Event| match e {
        Event::Ended { target, record } if *target == wanted => Some(record.clone()),
        _ => None,
    };
    events.iter().filter_map(record).collect()
}

async fn class_of(port: u16) -> Option<Class> {
    let events = all(vec![(at(port), 50)], pace(100)).await;
    let records = records(&events, 0);
    assert_eq!(records.len(), 5);
    let class = records[0].failure();
    assert!(records.iter().all(|r| r.failure() == class), "{records:?}");
    class
}

#[tokio::test]
async fn every_failure_is_named_by_its_cause() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(class_of(closed).await, Some(Class::Refused));
    for (manner, class) in [
        (Manner::Answer, None),
        (Manner::Status(204), None),
        (Manner::Status(503), Some(Class::ServerError)),
        (Manner::Status(404), Some(Class::ClientError)),
        (Manner::Hang, Some(Class::Timeout)),
        (Manner::Reset, Some(Class::ResetBeforeHeaders)),
        (Manner::Cut, Some(Class::CutAfterHeaders)),
    ] {
        assert_eq!(class_of(serve(manner).await.port).await, class);
    }
}

#[tokio::test]
async fn a_connection_that_is_never_accepted_is_a_connect_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // A queue of one: with it full, the kernel answers no further connection.
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        filling.push(stream);
    }
    assert_eq!(class_of(address.port()).await, Some(Class::ConnectTimeout));
}

#[tokio::test]
async fn a_stall_is_paid_by_every_request_that_was_meant_to_start_in_it() {
    let from = Instant::now() + Duration::from_millis(500);
    let server = serve(Manner::Stall(from, from + Duration::from_secs(1))).await;
    let pace = Pace { timeout: Duration::from_secs(5), ..pace(2000) };
    let records = records(&all(vec![(at(server.port), 100)], pace).await, 0);
    assert_eq!(records.len(), 200, "the rate does not wait for slow answers");
    assert!(records.iter().all(|r| r.failure().is_none()));
    let slow = |ms: u64| records.iter().filter(|r| r.latency >= ms * 1000).count();
    // 100 requests start in the stall; a loop that waits for each answer would have seen one.
    assert!((85..=105).contains(&slow(50)), "{} requests took 50 ms or more", slow(50));
    assert!((40..=60).contains(&slow(500)), "{} requests took 500 ms or more", slow(500));
}

#[tokio::test]
async fn two_targets_get_each_its_rate_over_few_connections() {
    let (a, b) = (serve(Manner::Answer).await, serve(Manner::Status(500)).await);
    let events = all(vec![(at(a.port), 200), (at(b.port), 50)], pace(1000)).await;
    for (target, rate) in [(0, 200), (1, 50)] {
        let records = records(&events, target);
        assert_eq!(records.len(), rate);
        let mut starts: Vec<_> = records.iter().map(|r| r.start).collect();
        starts.sort_unstable();
        let apart = 1_000_000 / rate as u64;
        assert!(starts.windows(2).all(|w| w[1] - w[0] == apart), "evenly spaced");
    }
    let outcome = &records(&events, 0)[0].outcome;
    assert_eq!(*outcome, Outcome::Answered { status: 200, by: "blue-pod".into() });
    let made = a.connections.load(Ordering::Relaxed);
    assert!(made <= 40, "{made} connections for 200 requests");
}

#[tokio::test]
async fn a_burst_starts_at_one_moment_and_the_rate_stays() {
    let server = serve(Manner::Answer).await;
    let pace = Pace { burst: 4, ..pace(1000) };
    let mut starts: Vec<_> =
        records(&all(vec![(at(server.port), 100)], pace).await, 0).iter().map(|r| r.start).collect();
    starts.sort_unstable();
    let meant: Vec<_> = (0..100).map(|n| n / 4 * 40_000).collect();
    assert_eq!(starts, meant, "four every 40 ms");
}

#[tokio::test]
async fn starts_beyond_the_limit_are_counted_not_delayed() {
    let server = serve(Manner::Hang).await;
    let pace = Pace { max_in_flight: 5, timeout: Duration::from_secs(2), ..pace(500) };
    let events = all(vec![(at(server.port), 100)], pace).await;
    let missed = events.iter().filter(|e| matches!(e, Event::Missed { .. })).count();
    assert_eq!((records(&events, 0).len(), missed), (5, 45));
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_no_request() {
    let server = serve(Manner::AnswerAndClose).await;
    let records = records(&all(vec![(at(server.port), 20)], pace(1000)).await, 0);
    assert_eq!(records.iter().filter(|r| r.failure().is_some()).count(), 0);
}

#[tokio::test]
async fn what_a_service_answers_at_most_counts_answers_and_nothing_else() {
    let answered = serve(Manner::Answer).await;
    let failed = serve(Manner::Status(500)).await;
    let hung = serve(Manner::Hang).await;
    let targets = [at(answered.port), at(failed.port), at(hung.port)];
    let (many, none, silent) =
        tokio::join!(answers_per_second(&targets[0]), answers_per_second(&targets[1]), answers_per_second(&targets[2]));
    assert!(many > 50.0, "{many}");
    assert_eq!((none, silent), (0.0, 0.0));
    assert_eq!(answered.connections.load(Ordering::Relaxed), 16);
}

#[tokio::test]
async fn a_stopped_load_ends_with_its_requests_and_a_dropped_one_at_once() {
    let server = serve(Manner::Answer).await;
    let mut running = start(vec![(at(server.port), 100)], pace(60_000));
    running.events.recv().await.unwrap();
    running.stop();
    let rest = timeout(Duration::from_secs(2), async { while running.events.recv().await.is_some() {} }).await;
    assert!(rest.is_ok(), "no further request is started");

    let hanging = serve(Manner::Hang).await;
    let before = Instant::now();
    drop(start(vec![(at(hanging.port), 100)], Pace { timeout: Duration::from_secs(60), ..pace(60_000) }));
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_url_that_cannot_be_loaded_is_refused_with_the_reason() {
    let why = |url| Target::new(url, None, Who::default()).unwrap_err().to_string();
    assert!(why("https://shop.example").contains("plain HTTP only, not https"));
    assert!(why("http://").contains("not a URL"), "{}", why("http://"));
    let target = Target::new("127.0.0.1:8080/a?b=c", Some("shop.example"), Who::default()).unwrap();
    assert_eq!(target.address, ("127.0.0.1".to_string(), 8080));
    assert_eq!(target.path.to_string(), "/a?b=c");
    assert_eq!(target.host, "shop.example");
}
