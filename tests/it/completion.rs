//! `failctl completion`: the committed scripts are current, and a real bash completes names of the user's documents.

use std::path::Path;
use std::process::Command;

use clap_complete::Shell;
use tempfile::TempDir;

use super::support::offline::{FLEET, failover, one_failover, out, run, said};
use super::support::{failctl, golden, root};

const SHELLS: [(Shell, &str); 4] = [
    (Shell::Bash, "completions/failctl.bash"),
    (Shell::Zsh, "completions/_failctl"),
    (Shell::Fish, "completions/failctl.fish"),
    (Shell::PowerShell, "completions/_failctl.ps1"),
];

#[test]
fn committed_completions_are_current_and_what_the_command_prints() {
    let dir = TempDir::new().unwrap();
    for (shell, file) in SHELLS {
        let script = String::from_utf8(failctl::cli::completion::script(shell).unwrap()).unwrap();
        golden(file, &script);
        let printed = out(run(dir.path(), &["completion", &shell.to_string()]));
        assert_eq!(printed, (0, script, String::new()));
    }
    said("completion-unknown-shell", out(run(dir.path(), &["completion", "tcsh"])));
}

/// What bash offers for a line whose last word is being typed.
fn offered(dir: &Path, line: &[&str]) -> Vec<String> {
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; \
                  _clap_complete_failctl failctl \"${COMP_WORDS[COMP_CWORD]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let bin = failctl().parent().unwrap().to_path_buf();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash"]).arg(root().join("completions/failctl.bash")).arg("failctl").args(line);
    let ran = bash.current_dir(dir).env("PATH", path).env_remove("FAILCTL_FILE").output().expect("bash is installed");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().lines().map(str::to_string).filter(|l| !l.is_empty()).collect()
}

#[test]
fn bash_completes_commands_values_and_the_names_of_clusters_and_failovers() {
    let dir = one_failover();
    let path = dir.path();
    assert_eq!(offered(path, &["app"]), ["apply"]);
    assert_eq!(offered(path, &["apply", "b"]), ["blue"]);
    assert_eq!(offered(path, &["apply", "x"]), Vec::<String>::new());
    assert_eq!(offered(path, &["render", "--cluster", ""]), ["local", "remote"]);
    assert_eq!(offered(path, &["gateway", "url", "re"]), ["remote"]);
    assert_eq!(offered(path, &["simulate", "--failover", ""]), ["blue"]);
    assert_eq!(offered(path, &["simulate", "--fault", "sc"]), ["scale-to-zero"]);
    assert_eq!(offered(path, &["status", "-o", "w"]), ["wide"]);
}

#[test]
fn names_come_from_the_files_on_the_line_and_unreadable_ones_are_passed_over() {
    let dir = one_failover();
    let path = dir.path();
    std::fs::write(path.join("other.yaml"), format!("{FLEET}{}", failover("green", ""))).unwrap();
    std::fs::write(path.join("broken.yaml"), "a: [").unwrap();
    assert_eq!(offered(path, &["diff", "-f", "other.yaml", ""]).first().map(String::as_str), Some("green"));
    assert_eq!(offered(path, &["diff", "-f", "broken.yaml", "b"]), Vec::<String>::new());
    assert_eq!(offered(path, &["diff", "-f", "nowhere.yaml", "b"]), Vec::<String>::new());
    let guide = format!("local={}", root().join("tests/golden/gloo/guide/local.yaml").display());
    let schemes = offered(path, &["status", "-f", &guide, ""]);
    assert!(schemes.contains(&"failover-scheme".to_string()), "{schemes:?}");
    let nowhere = TempDir::new().unwrap();
    assert_eq!(offered(nowhere.path(), &["apply", "b"]), Vec::<String>::new());
}
