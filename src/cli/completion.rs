//! `failctl completion`.

use clap_complete::Shell;
use clap_complete::env::Shells;

use super::Ctx;
use crate::error::{Exit, Failure};

/// The variable by which a completion script asks failctl what could come next.
pub const VARIABLE: &str = "COMPLETE";

/// Arguments of `failctl completion`.
#[derive(clap::Args, Debug)]
#[command(after_help = "The script asks the failctl on PATH at each Tab, so it offers the names of your clusters and failovers too:
those of the files named with -f, of $FAILCTL_FILE, or of failctl.yaml.

Examples:
  failctl completion bash > /etc/bash_completion.d/failctl
  failctl completion zsh > \"${fpath[1]}/_failctl\"
  failctl completion fish > ~/.config/fish/completions/failctl.fish
  failctl completion powershell >> $PROFILE")]
pub struct Args {
    /// The shell to complete in
    pub shell: Shell,
}

/// The completion script of a shell, as it is committed under `completions/`.
pub fn script(shell: Shell) -> Result<Vec<u8>, Failure> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let known = shells.completer(&name);
    let known = known.ok_or_else(|| Failure::because(Exit::Usage, format!("there is no completion for {name}")))?;
    let mut bytes = Vec::new();
    let written = known.write_registration(VARIABLE, "failctl", "failctl", "failctl", &mut bytes);
    written.map_err(|e| Failure::new(Exit::Internal, e))?;
    Ok(bytes)
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.ui.data(script(args.shell)?)?;
    Ok(Exit::Ok)
}
