//! The page: it asks details and reviews for every request and shows what it got, or that it did not.
//!
//! `/api/v1/products/N/reviews` passes on what reviews said, with its status. Each is asked once: what a failure looks
//! like must not be hidden by the page.

use std::time::Duration;

use http::{Method, StatusCode};
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::super::http::Answer;
use super::client::Peer;
use super::{Asked, Running, html, json, not_found, number, typed};

/// How long another program may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The template; the name's ending makes the engine escape what is put into it.
const PAGE: (&str, &str) = ("productpage.html", include_str!("productpage.html"));
/// The front page.
const INDEX: (&str, &str) = ("index.html", include_str!("index.html"));

/// Answers every path of the page.
pub(super) async fn answer(running: &Running, asked: &Asked) -> Answer {
    if asked.method != Method::GET {
        return typed(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "method not allowed\n");
    }
    match &asked.parts()[..] {
        ["health"] => typed(StatusCode::OK, "text/plain; charset=utf-8", "Product page is healthy"),
        [] | ["index.html"] => page(INDEX, &json!({})),
        ["productpage"] => productpage(running, asked).await,
        ["api", "v1", "products"] => json(StatusCode::OK, &json!([product()])),
        ["api", "v1", "products", id] => passed_on(running, asked, Peer::Details, "details", id).await,
        ["api", "v1", "products", id, "reviews"] => passed_on(running, asked, Peer::Reviews, "reviews", id).await,
        ["api", "v1", "products", id, "ratings"] => passed_on(running, asked, Peer::Ratings, "ratings", id).await,
        _ => not_found(),
    }
}

fn product() -> Value {
    json!({
        "id": 0, "title": "The Comedy of Errors",
        "descriptionHtml": "A comedy by William Shakespeare: two pairs of twins, parted at birth, meet in Ephesus and are taken for each other.",
    })
}

/// What a program says of a book: status and JSON; an error of ours when it does not say.
async fn ask(running: &Running, asked: &Asked, peer: Peer, what: &str, id: i64) -> (StatusCode, Value) {
    let unavailable = |status: StatusCode| {
        (status, json!({"error": format!("Sorry, product {what} are currently unavailable for this book.")}))
    };
    match running.peers.get(peer, &format!("/{what}/{id}"), &asked.headers, PATIENCE).await {
        Ok((StatusCode::OK, body)) => match serde_json::from_slice(&body) {
            Ok(value) => (StatusCode::OK, value),
            Err(_) => unavailable(StatusCode::BAD_GATEWAY),
        },
        Ok((status, _)) => unavailable(status),
        Err(_) => unavailable(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn passed_on(running: &Running, asked: &Asked, peer: Peer, what: &str, id: &str) -> Answer {
    match number(id) {
        Ok(id) => {
            let (status, value) = ask(running, asked, peer, what, id).await;
            json(status, &value)
        }
        Err(wrong) => wrong,
    }
}

async fn productpage(running: &Running, asked: &Asked) -> Answer {
    let (details, reviews) = tokio::join!(
        ask(running, asked, Peer::Details, "details", 0),
        ask(running, asked, Peer::Reviews, "reviews", 0),
    );
    let product = product();
    page(
        PAGE,
        &json!({
            "title": product["title"], "description": product["descriptionHtml"],
            "details_status": details.0.as_u16(), "details": details.1,
            "reviews_status": reviews.0.as_u16(), "reviews": reviews.1,
            "pod": running.pod, "cluster": running.cluster,
        }),
    )
}

fn page((name, text): (&str, &str), values: &Value) -> Answer {
    let mut environment = Environment::new();
    environment.add_filter("stars", |n: u8| "★".repeat(n.min(5).into()) + &"☆".repeat(5 - usize::from(n.min(5))));
    let made = environment.render_named_str(name, text, Serde(values));
    match made {
        Ok(page) => html(page),
        Err(error) => {
            let told = format!("the page cannot be made: {error:#}\n");
            typed(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", told)
        }
    }
}
