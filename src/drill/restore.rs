//! Putting back what a journal says was or may have been broken. Safe to repeat, and safe if nothing was broken.
//! What comes in: a journal, clients. What goes out: one line per deed; the journal stays until all is back.
//! May not know: why a drill ended.

use super::act;
use super::journal::Journal;
use crate::cluster::Clients;
use crate::model::name::ClusterName;

/// One deed, put back or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// Where.
    pub cluster: ClusterName,
    /// What had been done.
    pub deed: String,
    /// A remark when it was left alone, or why it could not be put back.
    pub result: Result<Option<String>, String>,
}

/// Puts back everything that is open, the last deed first. One that fails does not stop the others.
pub async fn all(journal: &mut Journal, clients: &Clients) -> anyhow::Result<Vec<PutBack>> {
    let open: Vec<usize> = journal.open_deeds().map(|(i, _)| i).collect();
    some(journal, clients, &open).await
}

/// Puts back these deeds, in the order given.
pub async fn some(journal: &mut Journal, clients: &Clients, which: &[usize]) -> anyhow::Result<Vec<PutBack>> {
    let mut done = Vec::new();
    for &index in which {
        let entry = journal.record.deeds[index].clone();
        if entry.undone {
            continue;
        }
        let result = act::carry_out(clients, &entry.cluster, &entry.deed, true).await;
        if result.is_ok() {
            journal.undone(index)?;
        }
        done.push(PutBack {
            cluster: entry.cluster,
            deed: entry.deed.to_string(),
            result: result.map_err(|e| format!("{e:#}")),
        });
    }
    Ok(done)
}
