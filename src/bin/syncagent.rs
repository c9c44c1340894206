//! The agent for `PublishedResource` objects: see `syncagent --help`.

/// It gives back what a burst took, a few seconds later, and needs no thread of ours for that.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    syncagent_core::cli::main()
}
