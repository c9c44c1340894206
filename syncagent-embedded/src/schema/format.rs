//! The formats of texts that are checked. Others are only documentation.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

/// Whether a text has a format; an unknown one fits everything.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => date_time(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "byte" => base64::engine::general_purpose::STANDARD
            .decode(text)
            .is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "mac" => MAC.is_match(text),
        "uuid" => UUID.is_match(text),
        "uuid3" => UUID.is_match(text) && digit(text) == Some('3'),
        "uuid4" => UUID.is_match(text) && digit(text) == Some('4'),
        "uuid5" => UUID.is_match(text) && digit(text) == Some('5'),
        "email" => EMAIL.is_match(text),
        "hostname" => text.len() <= 253 && HOSTNAME.is_match(text),
        "uri" => URI.is_match(text),
        "duration" => DURATION.is_match(text),
        "hexcolor" => HEX_COLOR.is_match(text),
        _ => true,
    }
}

macro_rules! patterns {
    ($($name:ident = $pattern:literal;)*) => {
        $(static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a constant that a test compiles"));)*

        #[cfg(test)]
        fn all() -> Vec<&'static Regex> {
            vec![$(&$name),*]
        }
    };
}

patterns! {
    MAC = "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$";
    UUID = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    EMAIL = r"^[^@\s<>]+@[^@\s<>]+$";
    HOSTNAME = r"^([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\p{S}\p{L}-]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.|$))+$";
    URI = r"^(/|[A-Za-z][A-Za-z0-9+.-]*:)\S*$";
    DURATION = r"^-?\s*(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w|nanoseconds?|nanos?|microseconds?|micros?|milliseconds?|millis?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|wks?)\s*)+$|^0$";
    HEX_COLOR = "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
}

fn date_time(text: &str) -> bool {
    // RFC 3339 asks for a `T`, seconds and a zone, all of which jiff would do without.
    text.as_bytes()
        .get(10)
        .is_some_and(|c| matches!(c, b'T' | b't'))
        && text.as_bytes().get(16) == Some(&b':')
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = if address.parse::<Ipv4Addr>().is_ok() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// The digit that tells the version of a UUID.
fn digit(text: &str) -> Option<char> {
    text.chars().filter(|c| *c != '-').nth(12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_their_texts() {
        assert_eq!(all().len(), 7);
        for (format, good, bad) in [
            ("date-time", "2026-01-02T03:04:05Z", "2026-01-02"),
            (
                "date-time",
                "2026-01-02T03:04:05.5+02:00",
                "2026-01-02 03:04:05",
            ),
            ("date", "2026-01-02", "2026-13-02"),
            ("byte", "YQ==", "a?"),
            ("ipv4", "1.2.3.4", "1.2.3"),
            ("ipv6", "::1", "1.2.3.4"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "01:02:03:04:05:06", "01"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("email", "a@b.c", "a"),
            ("hostname", "a.example.com", "-a"),
            ("uri", "https://a/b", "a b"),
            ("duration", "1h30m", "soon"),
        ] {
            assert!(fits(format, good), "{format} {good}");
            assert!(!fits(format, bad), "{format} {bad}");
        }
        assert!(fits("whatever", "x"));
    }
}
