//! The agent for `PublishedResource` objects: see `syncagent --help`.

fn main() -> std::process::ExitCode {
    syncagent_core::cli::main()
}
