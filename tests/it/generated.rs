//! What is generated and committed must be what the one definition says today.

use clap::CommandFactory;

use crate::support::{golden, root};

/// The first line of a generated page.
const GENERATED: &str = "<!-- Generated from the code; do not edit. -->\n\n";

#[test]
fn the_command_reference_is_current() {
    let options = clap_markdown::MarkdownOptions::new().title("failctl command reference".into()).show_footer(false);
    let text = clap_markdown::help_markdown_command_custom(&failctl::cli::Cli::command(), &options);
    golden("docs/reference.md", &format!("{GENERATED}{}\n", text.trim_end()));
}

#[test]
fn the_exit_codes_in_the_docs_are_the_ones_in_the_code() {
    let head =
        "# Exit codes\n\nOne table for every command and every output format.\n\n| code | meaning |\n|---|---|\n";
    let rows = failctl::error::Exit::ALL.map(|(exit, meaning)| format!("| {} | {meaning} |\n", exit as u8));
    golden("docs/exit-codes.md", &format!("{GENERATED}{head}{}", rows.concat()));
}

#[test]
fn every_command_has_a_test_file_of_its_own() {
    let command = failctl::cli::Cli::command();
    let all = command.get_subcommands().map(clap::Command::get_name).filter(|n| *n != "help");
    let missing: Vec<_> = all.filter(|n| !root().join(format!("tests/it/{n}.rs")).exists()).collect();
    assert!(missing.is_empty(), "write tests/it/NAME.rs for: {}", missing.join(", "));
}
