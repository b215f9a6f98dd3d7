//! Lists read page by page: the snapshot behind a `continue` token.
//! What comes in: a list as it was at one revision. What goes out: its next page, or "expired".
//! As in Kubernetes, all pages of one list show the same revision. The newest few snapshots are kept.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::status::Status;

/// How many unfinished lists are remembered.
const KEPT: usize = 32;

/// One page.
pub struct Page {
    /// Its objects.
    pub items: Vec<Arc<Value>>,
    /// The revision of the whole list.
    pub revision: u64,
    /// Where to go on; none at the end.
    pub token: Option<String>,
    /// How many follow.
    pub remaining: usize,
}

/// Snapshots behind tokens.
#[derive(Default)]
pub struct Pages {
    next: u64,
    snapshots: VecDeque<Snapshot>,
}

/// A whole list as it was at one revision.
struct Snapshot {
    id: u64,
    revision: u64,
    items: Vec<Arc<Value>>,
}

impl Pages {
    /// The first `limit` objects of a list at a revision.
    pub fn first(&mut self, items: Vec<Arc<Value>>, revision: u64, limit: usize) -> Page {
        if items.len() <= limit {
            return Page { items, revision, token: None, remaining: 0 };
        }
        self.next += 1;
        let snapshot = Snapshot { id: self.next, revision, items };
        let first = page(&snapshot, 0, limit);
        self.snapshots.push_back(snapshot);
        if self.snapshots.len() > KEPT {
            self.snapshots.pop_front();
        }
        first
    }

    /// The page a token stands for.
    ///
    /// # Errors
    /// 400 for a token that is none, 410 when its snapshot is forgotten.
    pub fn next(&self, token: &str, limit: usize) -> Result<Page, Status> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        let parts = text.split_once(':').and_then(|(id, at)| Some((id.parse().ok()?, at.parse::<usize>().ok()?)));
        let (id, at): (u64, usize) = parts.ok_or_else(|| Status::bad_request("continue key is not valid"))?;
        let expired = || {
            let told = "The provided continue parameter is too old to display a consistent list result. \
                        You can start a new list without the continue parameter.";
            Status::expired(told)
        };
        let snapshot = self.snapshots.iter().find(|s| s.id == id).ok_or_else(expired)?;
        Ok(page(snapshot, at.min(snapshot.items.len()), limit))
    }
}

fn page(Snapshot { id, revision, items }: &Snapshot, at: usize, limit: usize) -> Page {
    let end = at.saturating_add(limit).min(items.len());
    let token = (end < items.len()).then(|| BASE64_URL_SAFE_NO_PAD.encode(format!("{id}:{end}")));
    Page { items: items[at..end].to_vec(), revision: *revision, token, remaining: items.len() - end }
}
