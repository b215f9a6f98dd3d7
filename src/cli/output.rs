//! How a command prints its answer: for people, or for scripts. Shared by commands; no command itself.

use serde::Serialize;

use super::Ctx;
use crate::error::{Exit, Failure};

/// `-o`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// A table
    #[default]
    Table,
    /// One JSON object
    Json,
    /// One YAML document
    Yaml,
}

/// Prints a value in the format asked for; the exit code is the command's own, whatever the format.
pub fn print<T: Serialize>(
    ctx: &Ctx,
    output: Output,
    report: &T,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    match output {
        Output::Table => ctx.ui.data(text()),
        Output::Json => {
            let json = serde_json::to_string_pretty(report).map_err(|e| Failure::new(Exit::Internal, e))?;
            ctx.ui.data(json + "\n")
        }
        Output::Yaml => {
            let value = serde_json::to_value(report).map_err(|e| Failure::new(Exit::Internal, e))?;
            ctx.ui.data(crate::yaml::emit(&value))
        }
    }
}
