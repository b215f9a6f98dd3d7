//! The guide to service failover with Gloo Federation, typed at the sandbox.

use crate::guide;
use crate::sandboxes::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_typed_in_order_shows_blue_then_green_then_blue_and_cleans_up() {
    let lab = Lab::guide().await;
    guide::in_order(&lab).await;
    lab.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_that_is_edited_with_kubectl_changes_the_traffic() {
    let lab = Lab::guide().await;
    guide::edited(&lab).await;
    lab.down().await;
}
