//! `failctl certs`: certificates for mutual TLS between gateways and between the clusters of a mesh.

mod generate;
mod install;
mod issue;
mod material;
pub(super) mod mesh;
mod rotate;
mod status;
mod store;

use std::path::PathBuf;

use super::Ctx;
use super::documents::DocumentArgs;
use crate::error::{Exit, Failure};

/// Arguments of `failctl certs`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Make a root for the fleet and a certificate for every gateway; what is there and valid stays
    Generate(generate::Args),
    /// Write them to the clusters as TLS secrets
    Install(install::Args),
    /// Replace the root without an outage, one step at a time
    Rotate(rotate::Args),
    /// Show what is on disk and what is installed, and whether the two ends accept each other
    Status(status::Args),
}

/// Where certificates lie, and for whom they are.
#[derive(clap::Args, Debug, Clone)]
pub struct Where {
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// Directory of certificates and keys (default: failctl-certs beside the first document)
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl Where {
    /// The directory: named, or `failctl-certs` beside the first document that is ours.
    fn dir(&self) -> PathBuf {
        if let Some(dir) = &self.dir {
            return dir.clone();
        }
        let named = self.documents.files.iter().find(|f| *f != "-" && !f.contains('=')).map(PathBuf::from);
        let file = named.or_else(|| std::env::var_os("FAILCTL_FILE").filter(|f| !f.is_empty()).map(PathBuf::from));
        let beside = match file {
            Some(path) if path.is_dir() => path,
            Some(path) => path.parent().map(PathBuf::from).unwrap_or_default(),
            None => PathBuf::new(),
        };
        beside.join("failctl-certs")
    }
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Generate(args) => generate::run(args, ctx),
        Action::Install(args) => install::run(args, ctx),
        Action::Rotate(args) => rotate::run(args, ctx),
        Action::Status(args) => status::run(args, ctx),
    }
}
