//! Which Kubernetes a cluster runs. What comes in: a client. What goes out: its version, or why it does not answer.
//! May not know: what the version is for.

use std::time::Duration;

use kube::Client;

use super::clients::{Trouble, trouble_of};

/// How long the answer may take: a table of clusters should not wait for a dead one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API server's version, for example `v1.33.1`.
pub async fn version(client: &Client) -> Result<String, Trouble> {
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Err(_) => Err(Trouble::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
        Ok(Err(e)) => Err(trouble_of(&e)),
        Ok(Ok(info)) => Ok(info.git_version),
    }
}
