//! The Envoy that tests run: found as users' is, fetched into failctl's cache when there is none.

use std::path::PathBuf;

use failctl::sandbox::envoy_binary::{Places, find};

/// The Envoy for tests. A machine without one, and without a way to fetch it, fails here with what to give.
pub async fn envoy() -> PathBuf {
    find(&Places::of_environment(None), &mut |_| ()).await.unwrap_or_else(|e| panic!("{e}")).path
}

#[tokio::test]
async fn two_searches_at_once_find_the_same_envoy() {
    let (one, two) = tokio::join!(envoy(), envoy());
    assert!(one.is_file());
    assert_eq!(one, two);
}
