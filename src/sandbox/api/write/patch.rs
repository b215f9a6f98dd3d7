//! PATCH in its four forms: JSON patch, merge patch, strategic merge patch, and server-side apply.

use serde_json::Value;

use super::super::http::decode_as;
use super::super::kinds::Sub;
use super::super::pieces;
use super::super::status::{Cause, Status};
use super::{Work, Written};

/// Media types of patches.
pub const TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
                         application/strategic-merge-patch+json, application/apply-patch+yaml";

impl Work<'_> {
    /// Patches an object or the part behind a subresource.
    ///
    /// # Errors
    /// 400, 404, 409 (stale, or fields of other managers), 415, 422.
    pub fn patch(&mut self, name: &str, sub: Option<Sub>, content_type: &str, body: &[u8]) -> Result<Written, Status> {
        if content_type == "application/apply-patch+yaml" {
            return self.apply(name, sub, body);
        }
        let live = self.live(name)?;
        let patched = self.patched(&live, content_type, body)?;
        self.store_patched(&live, patched, name, sub)
    }

    /// Checks and stores a patched object.
    fn store_patched(&mut self, live: &Value, mut new: Value, name: &str, sub: Option<Sub>) -> Result<Written, Status> {
        self.check_identity(&mut new, Some(name))?;
        self.check_patched_fields(&new)?;
        self.check_version(live, &new, name)?;
        self.store_over(live, new, sub, |work, live, new| {
            pieces::track(work.kind, Some(live), new, &work.options.pen(sub));
        })
    }

    /// `live` after a patch of any form but apply.
    pub fn patched(&self, live: &Value, content_type: &str, body: &[u8]) -> Result<Value, Status> {
        let text = |e: &dyn std::fmt::Display| Status::bad_request(format!("error decoding patch: {e}"));
        match content_type {
            "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_slice(body).map_err(|e| text(&e))?;
                let mut object = live.clone();
                json_patch::patch(&mut object, &patch).map_err(|e| Status::unworkable(&e.to_string()))?;
                Ok(object)
            }
            "application/merge-patch+json" => {
                let patch: Value = serde_json::from_slice(body).map_err(|e| text(&e))?;
                let mut object = live.clone();
                pieces::json_merge(&mut object, &patch);
                Ok(object)
            }
            "application/strategic-merge-patch+json" => {
                let patch: Value = serde_json::from_slice(body).map_err(|e| text(&e))?;
                let types = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                let merged = pieces::strategic(self.kind, live, &patch);
                merged.ok_or_else(|| Status::unsupported(content_type, types))?.map_err(|e| text(&e))
            }
            other => Err(Status::unsupported(other, TYPES)),
        }
    }

    /// Server-side apply; creates what is not there.
    fn apply(&mut self, name: &str, sub: Option<Sub>, body: &[u8]) -> Result<Written, Status> {
        if !self.options.named {
            let cause = Cause::required("fieldManager", "is required for apply patch");
            return Err(Status::invalid(self.kind, "", &[cause]));
        }
        let mut body = decode_as("application/apply-patch+yaml", body)?;
        self.check_identity(&mut body, Some(name))?;
        self.check_fields(&body)?;
        if body["metadata"]["managedFields"].as_array().is_some_and(|m| !m.is_empty()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let live = self.live(name).ok();
        let (options, pen) = (self.options, self.options.pen(sub));
        match live {
            Some(live) => {
                self.check_version(&live, &body, name)?;
                let merged = pieces::apply(self.kind, Some(&live), &body, &pen, options.force)?;
                // Apply has already recorded who owns what.
                self.store_over(&live, merged, sub, |_, _, _| {})
            }
            None if sub.is_some() => Err(Status::not_found(self.kind, name)),
            None => {
                if !Self::text(&body, "/metadata/uid").is_empty() {
                    let why = "uid mismatch: the provided object specified uid, and no existing object was found";
                    return Err(Status::conflict(self.kind, name, why));
                }
                let merged = pieces::apply(self.kind, None, &body, &pen, options.force)?;
                self.make(merged, |_, _| {})
            }
        }
    }
}
