//! The stars that reviewers give. Who posts others sees them until the program ends. May not know: other programs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::http::Answer;
use super::{Asked, json, not_found, number};

/// What was posted, by book.
#[derive(Default)]
pub(super) struct Ratings(Mutex<BTreeMap<i64, Value>>);

impl Ratings {
    fn of(&self, book: i64) -> Value {
        let posted = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&book).cloned();
        posted.unwrap_or_else(|| json!({"Reviewer1": 5, "Reviewer2": 4}))
    }
}

/// Answers `/ratings/N` (GET and POST) and `/health`.
pub(super) fn answer(ratings: &Ratings, asked: &Asked) -> Answer {
    let book = |id: &str| number(id);
    match (&asked.method, &asked.parts()[..]) {
        (&Method::GET, ["health"]) => json(StatusCode::OK, &json!({"status": "Ratings is healthy"})),
        (&Method::GET, ["ratings", id]) => match book(id) {
            Ok(id) => json(StatusCode::OK, &json!({"id": id, "ratings": ratings.of(id)})),
            Err(wrong) => wrong,
        },
        (&Method::POST, ["ratings", id]) => match (book(id), serde_json::from_slice::<Value>(&asked.body)) {
            (Ok(id), Ok(posted)) if posted.is_object() => {
                ratings.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, posted);
                json(StatusCode::OK, &json!({"id": id, "ratings": ratings.of(id)}))
            }
            (Err(wrong), _) => wrong,
            _ => json(StatusCode::BAD_REQUEST, &json!({"error": "please give the ratings as a JSON object"})),
        },
        _ => not_found(),
    }
}
