//! The thin binary: arguments in, exit code out.

/// A sandbox is many small JSON values that come and go on all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    failctl::main(std::env::args_os())
}
