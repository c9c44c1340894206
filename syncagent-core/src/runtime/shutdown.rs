//! When to stop: a token, or the signals of the operating system.

use tokio_util::sync::CancellationToken;

/// Waits until the process is asked to stop: by the token when there is one, by ctrl-c or SIGTERM otherwise.
pub(crate) async fn requested(token: Option<CancellationToken>) {
    if let Some(token) = token {
        return token.cancelled().await;
    }
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                result = tokio::signal::ctrl_c() => wait_if_deaf(result).await,
            }
            return;
        }
    }
    wait_if_deaf(tokio::signal::ctrl_c().await).await;
}

/// Without signals a process runs until it is killed.
async fn wait_if_deaf(result: std::io::Result<()>) {
    if result.is_err() {
        std::future::pending::<()>().await;
    }
}
