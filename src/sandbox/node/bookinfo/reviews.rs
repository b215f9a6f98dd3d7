//! The book's reviews, in three versions: without stars, with black stars, with red stars. The stars come from
//! ratings; reviews without them are still an answer.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::http::Answer;
use super::client::Peer;
use super::{Asked, Running, json, not_found, number};

/// How long ratings may take: version 2 waits as the sample's does, version 3 loses patience earlier.
fn patience(version: u8) -> Duration {
    if version == 2 { Duration::from_secs(10) } else { Duration::from_millis(2500) }
}

/// Answers `/reviews/N` and `/health`.
pub(super) async fn answer(running: &Running, version: u8, asked: &Asked) -> Answer {
    match (&asked.method, &asked.parts()[..]) {
        (&Method::GET, ["health"]) => json(StatusCode::OK, &json!({"status": "Reviews is healthy"})),
        (&Method::GET, ["reviews", id]) => match number(id) {
            Ok(id) => json(StatusCode::OK, &reviews(running, version, id, asked).await),
            Err(wrong) => wrong,
        },
        _ => not_found(),
    }
}

async fn reviews(running: &Running, version: u8, id: i64, asked: &Asked) -> Value {
    let colour = match version {
        1 => None,
        2 => Some("black"),
        _ => Some("red"),
    };
    let ratings = match colour {
        None => None,
        Some(_) => {
            let path = format!("/ratings/{id}");
            let got = running.peers.get(Peer::Ratings, &path, &asked.headers, patience(version)).await;
            got.ok().filter(|(status, _)| status.is_success()).and_then(|(_, body)| serde_json::from_slice(&body).ok())
        }
    };
    let ratings: Option<Value> = ratings;
    let review = |reviewer: &str, text: &str| {
        let mut review = json!({"reviewer": reviewer, "text": text});
        let stars = ratings.as_ref().map(|r| r["ratings"][reviewer].clone());
        match (colour, stars) {
            (None, _) => {}
            (Some(colour), Some(stars)) if stars.is_number() => {
                review["rating"] = json!({"stars": stars, "color": colour});
            }
            (Some(_), _) => review["rating"] = json!({"error": "the ratings cannot be had right now"}),
        }
        review
    };
    json!({
        "id": id.to_string(), "podname": running.pod, "clustername": running.cluster,
        "reviews": [
            review("Reviewer1", "Two pairs of twins, one town, and nobody asks the obvious question. I laughed all the way through."),
            review("Reviewer2", "Short, fast and good fun, though not the deepest of his plays."),
        ],
    })
}
