//! The thin binary: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    failctl::main(std::env::args_os())
}
