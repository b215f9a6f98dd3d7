//! What Tab offers where a name of the user's own documents is asked for: clusters and failovers of the fleet file.
//! What comes in: the words typed so far. What goes out: candidates; none where nothing can be read, never an error.
//! May not know: clusters. Shared by commands; no command itself.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde_json::Value;

use super::documents::DocumentArgs;

/// Clusters of the fleet, with their contexts.
pub fn clusters() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let fleets = documents().into_iter().filter(|d| d["kind"] == "Fleet");
        let clusters = fleets.flat_map(|f| f["spec"]["clusters"].as_array().cloned().unwrap_or_default());
        matching(typed, clusters.filter_map(|c| Some((text(&c, "/name")?, text(&c, "/context")))))
    })
}

/// Failover documents, with the service that they protect.
pub fn failovers() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| named(typed, &["Failover"]))
}

/// Everything that a drill or a status can be about: Failover documents and a vendor's FailoverSchemes.
pub fn protected() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| named(typed, &["Failover", "FailoverScheme"]))
}

fn named(typed: &OsStr, kinds: &[&str]) -> Vec<CompletionCandidate> {
    let of_kind = documents().into_iter().filter(|d| kinds.iter().any(|k| d["kind"] == *k));
    let described = of_kind.filter_map(|d| {
        let service = ["/spec/service/name", "/spec/primary/name"].iter().find_map(|p| text(&d, p));
        Some((text(&d, "/metadata/name")?, service))
    });
    matching(typed, described)
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_string)
}

fn matching(typed: &OsStr, all: impl Iterator<Item = (String, Option<String>)>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fitting = all.filter(|(name, _)| name.starts_with(&*typed));
    fitting.map(|(name, about)| CompletionCandidate::new(name).help(about.map(Into::into))).collect()
}

/// The documents that the command line being completed would read, as far as they can be read.
fn documents() -> Vec<Value> {
    let words = std::env::args_os().skip_while(|w| w != "--").skip(1);
    let files = files(words.map(|w| w.to_string_lossy().into_owned()));
    let files: Vec<String> = files.into_iter().filter(|f| f != "-" && !f.ends_with("=-")).collect();
    let sources = DocumentArgs { files }.sources().unwrap_or_default();
    let read = sources.into_iter().filter_map(|s| crate::yaml::parse(&s.body).ok());
    read.flatten().map(|d| d.value).collect()
}

/// The values of `-f` and `--file`, in each of the ways to write them.
fn files(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut files = Vec::new();
    let mut next = false;
    for word in words {
        if std::mem::take(&mut next) {
            files.push(word);
        } else if word == "-f" || word == "--file" {
            next = true;
        } else if let Some(file) = word.strip_prefix("--file=") {
            files.push(file.to_string());
        } else if let Some(file) = word.strip_prefix("-f") {
            files.push(file.strip_prefix('=').unwrap_or(file).to_string());
        }
    }
    files.retain(|f| !f.is_empty());
    files
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_found_however_they_are_given() {
        let line = "failctl apply -f a.yaml --file b.yaml -flocal=c.yaml -f=d.yaml --file=e.yaml -y -f";
        let files = super::files(line.split(' ').map(String::from));
        assert_eq!(files, ["a.yaml", "b.yaml", "local=c.yaml", "d.yaml", "e.yaml"]);
    }
}
