//! Label selectors as they are typed: `team=db,stage in (a, b),!old`.
//!
//! The API server selects; this only finds out beforehand whether it will understand.

use crate::object::labels::{is_key, is_value};

/// Checks a selector.
///
/// # Errors
///
/// The first demand that cannot be understood, and how one is written.
pub(crate) fn check(text: &str) -> Result<(), String> {
    demands(text)?.iter().try_for_each(|demand| {
        read(demand).ok_or_else(|| {
            format!(
                "`{}` is not understood; write `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key`, `!key`, `key>1` or `key<1`, with commas between",
                demand.trim()
            )
        })
    })
}

/// The demands of a selector: what commas outside of parentheses part.
fn demands(text: &str) -> Result<Vec<&str>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let (mut start, mut open) = (0, false);
    for (at, char) in text.char_indices() {
        match char {
            '(' if open => return Err("has parentheses in parentheses".to_owned()),
            ')' if !open => return Err("closes a parenthesis that was not opened".to_owned()),
            '(' => open = true,
            ')' => open = false,
            ',' if !open => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err("opens a parenthesis and does not close it".to_owned());
    }
    found.push(&text[start..]);
    Ok(found)
}

/// Reads one demand; `None`: it is not understood.
fn read(demand: &str) -> Option<()> {
    let demand = demand.trim();
    let right = |fits: bool| fits.then_some(());
    if let Some(key) = demand.strip_prefix('!') {
        return right(is_key(key.trim()));
    }
    if let Some((head, values)) = demand.strip_suffix(')').and_then(|it| it.split_once('(')) {
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        let values = values.split(',').map(str::trim);
        let known = matches!(operator, "in" | "notin");
        return right(known && is_key(key.trim()) && values.into_iter().all(is_value));
    }
    let signs = ["!=", "==", "="];
    let equal = signs.iter().find_map(|sign| demand.split_once(sign));
    if let Some((key, value)) = equal {
        return right(is_key(key.trim()) && is_value(value.trim()));
    }
    if let Some((key, value)) = demand.split_once(['<', '>']) {
        return right(is_key(key.trim()) && value.trim().parse::<i64>().is_ok());
    }
    right(is_key(demand))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_takes_is_taken() {
        for text in [
            "",
            " ",
            "a",
            "!a",
            "! a",
            "a=b",
            "a==b",
            "a!=b",
            "a=",
            " team = db , stage != test ",
            "example.com/team in (a, b),x notin (c)",
            "a in (),b",
            "weight>5,weight<10",
        ] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn what_kubectl_refuses_is_refused() {
        for text in [
            ",",
            "a,",
            "a b",
            "a=b=c",
            "a=b c",
            "a in b",
            "a in (b",
            "a in b)",
            "a in ((b))",
            "in (a)",
            "a within (b)",
            "a>b",
            "=a",
            "-a=b",
            "a/b/c=d",
            "a=-b",
            "é=a",
        ] {
            assert!(check(text).is_err(), "{text:?}");
        }
        let told = check("team=db,a b").unwrap_err();
        assert!(
            told.starts_with("`a b` is not understood; write "),
            "{told}"
        );
    }
}
