//! Lines of the log, on standard error: as machines read them, with the keys of the Go agent, or for people.
//!
//! ```text
//! {"level":"info","time":"2026-11-29T02:00:00.123Z","logger":"syncagent","caller":"runtime/agent.rs:12","msg":"hello"}
//! 2026-11-29T02:00:00.123Z  INFO  runtime/agent.rs:12  hello
//! ```

use std::fmt;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::settings::LogFormat;

/// Sends lines to standard error from now on; `RUST_LOG` has the last word on which.
pub(crate) fn init(format: LogFormat, debug: bool) {
    let default = if debug {
        "info,syncagent=debug,syncagent_core=debug"
    } else {
        "warn,syncagent=info,syncagent_core=info"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .event_format(Lines(format));
    // A program that installed a subscriber of its own keeps it.
    let _ = lines.try_init();
}

struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let line = line(self.0, event.metadata(), said, Timestamp::now());
        writeln!(writer, "{line}")
    }
}

/// What an event carries.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", value) => self.message = value.to_string(),
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }
}

fn line(format: LogFormat, about: &Metadata<'_>, said: Said, now: Timestamp) -> String {
    let time = format!("{now:.3}");
    let file = about.file().unwrap_or_default();
    let file = file.rsplit_once("src/").map_or(file, |(_, file)| file);
    let caller = format!("{file}:{}", about.line().unwrap_or_default());
    match format {
        LogFormat::Json => {
            // Go's keys first, in Go's order; serde_json's map would sort them.
            let mut line = String::from("{");
            let first = [
                ("level", json!(about.level().as_str().to_lowercase())),
                ("time", time.into()),
                ("logger", about.target().into()),
                ("caller", caller.into()),
                ("msg", said.message.into()),
            ];
            let rest = said
                .fields
                .iter()
                .map(|(key, it)| (key.as_str(), it.clone()));
            for (number, (key, value)) in first.into_iter().chain(rest).enumerate() {
                if number > 0 {
                    line.push(',');
                }
                line.push_str(&format!("{}:{value}", json!(key)));
            }
            line.push('}');
            line
        }
        LogFormat::Console => {
            let level = match *about.level() {
                Level::ERROR => "ERROR",
                Level::WARN => " WARN",
                Level::INFO => " INFO",
                Level::DEBUG => "DEBUG",
                Level::TRACE => "TRACE",
            };
            let mut line = format!("{time}  {level}  {caller}  {}", said.message);
            for (key, value) in &said.fields {
                line.push_str(&format!("  {key}={value}"));
            }
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a subscriber of this format writes.
    fn written(format: LogFormat, say: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Lines(format))
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_the_keys_of_the_go_agent_first() {
        let text = written(LogFormat::Json, || {
            tracing::info!(version = "1", name = "a\"b", count = 3, "hello\n{}", "you");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "info");
        assert_eq!(line["msg"], "hello\nyou");
        assert_eq!(line["name"], "a\"b");
        assert_eq!(line["count"], 3);
        assert!(line["caller"].as_str().unwrap().starts_with("cli/log.rs:"));
        let time = line["time"].as_str().unwrap();
        assert_eq!((time.len(), &time[19..20]), (24, "."), "{time}");
        assert!(text.starts_with(r#"{"level":"info","time":""#), "{text}");
    }

    #[test]
    fn a_line_for_people_is_one_line() {
        let text = written(LogFormat::Console, || tracing::warn!(port = 80, "hello"));
        assert!(text.contains("   WARN  cli/log.rs:"), "{text}");
        assert!(text.ends_with("  hello  port=80\n"), "{text}");
    }
}
