//! The functions of sprig that people use, with sprig's results.
//!
//! Left out, each with its reason: what reads the agent's environment or network, chance and keys (a plan must be the same
//! for the same input), clocks, and what changes a map in place.
//! Two results are settled here that Go leaves to chance: `keys` and `values` come in the order of the keys.

mod lists;
mod numbers;
mod texts;

use super::builtin::Function;

/// A function of sprig, or one of the Go agent's own hashes.
pub(super) fn find(name: &str) -> Option<Function> {
    texts::find(name)
        .or_else(|| numbers::find(name))
        .or_else(|| lists::find(name))
}

/// Why a function of sprig is not here.
pub(super) fn left_out(name: &str) -> Option<&'static str> {
    Some(match name {
        "env" | "expandenv" => "it reads the environment of the agent",
        "getHostByName" => "it asks the network",
        "randAlphaNum" | "randAlpha" | "randAscii" | "randNumeric" | "randInt" | "randBytes"
        | "shuffle" | "uuidv4" => "its result is different each time",
        "bcrypt"
        | "htpasswd"
        | "genPrivateKey"
        | "derivePassword"
        | "buildCustomCert"
        | "genCA"
        | "genCAWithKey"
        | "genSelfSignedCert"
        | "genSelfSignedCertWithKey"
        | "genSignedCert"
        | "genSignedCertWithKey"
        | "encryptAES"
        | "decryptAES" => "it makes keys or ciphers, differently each time",
        "now" | "ago" | "date" | "date_in_zone" | "dateInZone" | "date_modify" | "dateModify"
        | "must_date_modify" | "mustDateModify" | "duration" | "durationRound" | "htmlDate"
        | "htmlDateInZone" | "toDate" | "mustToDate" | "unixEpoch" => "time is no input of a rule",
        "set" | "unset" => "it changes a map in place; write `merge (dict ...) $map` or `omit`",
        "osBase" | "osClean" | "osDir" | "osExt" | "osIsAbs" => {
            "it depends on the system; write it without `os`"
        }
        "typeOf" | "typeIs" | "typeIsLike" => "it names types of Go; write `kindOf` or `kindIs`",
        "snakecase" | "camelcase" | "kebabcase" | "semver" | "semverCompare" | "urlParse"
        | "urlJoin" | "addf" | "add1f" | "subf" | "divf" | "mulf" | "toDecimal" | "wrap"
        | "wrapWith" | "abbrevboth" | "hello" => {
            "it is not among the functions that are taken; a CEL expression or a function in Rust can do it"
        }
        _ => return None,
    })
}
