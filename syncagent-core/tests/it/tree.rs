//! The pure core stays pure: nothing in its tree waits or touches a network.

use std::process::Command;

#[test]
fn the_pure_core_has_no_runtime_and_no_network_in_its_tree() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-p",
            "syncagent-core",
            "--no-default-features",
            "--edges",
            "normal,build",
        ])
        .args([
            "--prefix",
            "none",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(tree.contains("serde_json"), "{tree}");
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let banned = [
            "tokio", "hyper", "tower", "rustls", "kube", "h2", "futures", "ring",
        ];
        assert!(
            !banned
                .iter()
                .any(|it| name == *it || name.starts_with(&format!("{it}-"))),
            "{line}"
        );
    }
}
