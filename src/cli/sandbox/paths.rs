//! `failctl sandbox kubeconfig` and `failctl sandbox fleet`: where the documents are.

use super::{Ctx, Which};
use crate::error::{Exit, Failure};
use crate::sandbox::documents;

/// Arguments of `failctl sandbox kubeconfig`.
#[derive(clap::Args, Debug)]
pub(super) struct Kubeconfig {
    #[command(flatten)]
    which: Which,
}

/// Arguments of `failctl sandbox fleet`.
#[derive(clap::Args, Debug)]
pub(super) struct Fleet {
    #[command(flatten)]
    which: Which,
    /// Print the document itself
    #[arg(long)]
    show: bool,
}

pub(super) fn kubeconfig(args: Kubeconfig, ctx: &mut Ctx) -> Result<Exit, Failure> {
    print(&args.which, documents::KUBECONFIG, false, ctx)
}

pub(super) fn fleet(args: Fleet, ctx: &mut Ctx) -> Result<Exit, Failure> {
    print(&args.which, documents::FLEET, args.show, ctx)
}

fn print(which: &Which, file: &str, show: bool, ctx: &Ctx) -> Result<Exit, Failure> {
    let path = which.dir()?.join(file);
    if !path.exists() {
        return Err(which.absent());
    }
    let text = match show {
        true => std::fs::read_to_string(&path).map_err(|e| Failure::new(Exit::Internal, e))?,
        false => format!("{}\n", path.display()),
    };
    ctx.ui.data(text)?;
    Ok(Exit::Ok)
}
