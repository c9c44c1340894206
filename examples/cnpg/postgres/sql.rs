//! The little SQL that is needed on both sides: to connect, and to run statements about names and passwords.

use tokio_postgres::{Client, Config, NoTls};

use super::Error;

/// Connects; the connection ends when the client is dropped.
pub(crate) async fn connect(to: &Config) -> Result<Client, Error> {
    let (client, connection) = to.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

/// Runs a statement in which `%I` stands for a name and `%L` for text.
///
/// Statements about databases and roles take no parameters, so the server itself is asked to quote them (`format`).
pub(crate) async fn run(client: &Client, statement: &str, words: &[&str]) -> Result<(), Error> {
    let row = client
        .query_one(
            "SELECT format($1::text, VARIADIC $2::text[])",
            &[&statement, &words],
        )
        .await?;
    let quoted: String = row.get(0);
    Ok(client.batch_execute(&quoted).await?)
}

/// Whether a query finds anything.
pub(crate) async fn finds(client: &Client, query: &str, word: &str) -> Result<bool, Error> {
    Ok(client.query_opt(query, &[&word]).await?.is_some())
}

/// What the server said, or else what went wrong on the way to it.
pub(crate) fn sentence(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => said.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
