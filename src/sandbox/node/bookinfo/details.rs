//! The book's details. May not know: other programs.

use http::{Method, StatusCode};
use serde_json::json;

use super::super::http::Answer;
use super::{Asked, json, not_found, number};

/// Answers `/details/N` and `/health`.
pub(super) fn answer(asked: &Asked) -> Answer {
    match (&asked.method, &asked.parts()[..]) {
        (&Method::GET, ["health"]) => json(StatusCode::OK, &json!({"status": "Details is healthy"})),
        (&Method::GET, ["details", id]) => match number(id) {
            Ok(id) => json(
                StatusCode::OK,
                &json!({
                    "id": id, "author": "William Shakespeare", "year": 1595, "type": "paperback", "pages": 200,
                    "publisher": "PublisherA", "language": "English", "ISBN-10": "1234567890",
                    "ISBN-13": "123-1234567890",
                }),
            ),
            Err(wrong) => wrong,
        },
        _ => not_found(),
    }
}
