//! The derive macros of syncagent: `Publish`, `PublishPart`, `PublishStatus`.
//!
//! Use them through the facade `syncagent`, which documents what they are for. Each works in four stages, a file each:
//! `attr` reads what was written, `model` says what was meant, `check` finds contradictions, `expand` emits a
//! `Definition`. All mistakes are reported at once. With `SYNCAGENT_DERIVE_DEBUG=1` in the environment of the
//! compiler the expansion is printed.

mod attr;
mod check;
mod expand;
mod model;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the very file of syncagent-core; the macro needs less of it"
)]
mod template;

use darling::Error;
use proc_macro2::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use model::{Part, Publication, StatusType};

#[doc = include_str!("publish.md")]
#[proc_macro_derive(Publish, attributes(publish))]
pub fn publish(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut acc = Error::accumulator();
    let model = Publication::of(&input, &mut acc);
    if let Some(model) = &model {
        model.check(&mut acc);
    }
    finish(
        acc,
        &model.as_ref().map(Publication::expand).unwrap_or_default(),
    )
}

/// Says how the fields of a part of a spec are published: a struct below a field that says `#[publish(nested)]`.
///
/// The fields know the same keys as those of a spec; see [`Publish`](macro@Publish#on-a-field).
#[proc_macro_derive(PublishPart, attributes(publish))]
pub fn publish_part(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut acc = Error::accumulator();
    let model = Part::of(&input, &mut acc);
    model.check(&mut acc);
    finish(acc, &model.expand())
}

/// Says which fields of the status flow back: those that the struct declares, under their names on the wire.
///
/// The fields know `at`, `with` and `refers_to`; see [`Publish`](macro@Publish#on-a-field-of-the-status).
#[proc_macro_derive(PublishStatus, attributes(publish))]
pub fn publish_status(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut acc = Error::accumulator();
    let model = StatusType::of(&input, &mut acc);
    model.check(&mut acc);
    finish(acc, &model.expand())
}

/// Every mistake, and the expansion in any case: it holds what could be understood, so that a mistake is one error and
/// what the compiler has to say about the rest is said in the same compile.
fn finish(acc: darling::error::Accumulator, expansion: &TokenStream) -> proc_macro::TokenStream {
    let mut tokens = match acc.finish() {
        Ok(()) => TokenStream::new(),
        Err(mistakes) => mistakes.write_errors(),
    };
    tokens.extend(expansion.clone());
    if std::env::var_os("SYNCAGENT_DERIVE_DEBUG").is_some_and(|it| it == "1") {
        #[expect(
            clippy::print_stderr,
            reason = "asked for by the environment; a macro has no other voice"
        )]
        {
            eprintln!("{tokens}");
        }
    }
    tokens.into()
}
