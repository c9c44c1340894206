//! Names never cross tenants.

use proptest::prelude::*;
use syncagent_core::definition::{CopyNaming, Only};
use syncagent_core::naming::{CopyName, Scheme};
use syncagent_core::object::identity::Identity;

use crate::fixture::kind;

const NAMESPACES: &[&str] = &[
    "{workspace}",
    "{workspace}-{namespace}",
    "pg-{workspace}",
    "all",
    "{namespace}",
    "{workspace}{namespace}",
];
const NAMES: &[&str] = &[
    "{namespace.hash}-{name.hash}",
    "{name}",
    "{namespace}-{name}",
    "{namespace}.{name}",
    "{name}.{namespace}",
    "{workspace}-{name.hash}",
    "{workspace}.{namespace.hash}{name}",
    "x-{name}-{namespace.hash}",
    "{name}{name.hash}",
    "fixed",
];

fn schemes() -> Vec<Scheme> {
    let kind = kind("example.io", "Thing", "things");
    let mut safe = Vec::new();
    for namespace in NAMESPACES {
        for name in NAMES {
            let naming = CopyNaming {
                namespace: Some((*namespace).into()),
                name: (*name).into(),
            };
            safe.extend(Scheme::compile(&naming, &kind, &kind, &Only::default()));
        }
    }
    safe
}

#[test]
fn some_namings_are_accepted_and_some_are_not() {
    let accepted = schemes().len();
    assert!(
        (8..NAMESPACES.len() * NAMES.len() / 2).contains(&accepted),
        "{accepted}"
    );
}

/// Names that meet each other's separators as often as possible.
fn adversarial() -> impl Strategy<Value = Identity> {
    let label = "[ab]([ab-]{0,3}[ab])?";
    let name = "[ab]([ab.-]{0,4}[ab])?";
    ("[ab]{1,3}", label, name).prop_map(|(cluster, namespace, name)| Identity {
        cluster,
        namespace,
        name,
    })
}

proptest! {
    #![proptest_config(crate::chance::cases(500))]

    #[test]
    fn an_accepted_naming_is_injective(a in adversarial(), b in adversarial()) {
        prop_assume!(a != b);
        for scheme in schemes() {
            if let (Ok(one), Ok(other)) = (scheme.place(&a), scheme.place(&b)) {
                prop_assert_ne!(one, other, "{:?}", scheme);
            }
        }
    }

    #[test]
    fn every_name_is_a_name(cluster in ".{0,20}", namespace in ".{0,70}", name in ".{0,260}") {
        let identity = Identity { cluster, namespace, name };
        for scheme in schemes() {
            if let Ok(CopyName { namespace, name }) = scheme.place(&identity) {
                prop_assert!(syncagent_core::names::is_dns_label(&namespace), "{}", namespace);
                prop_assert!(syncagent_core::names::is_subdomain(&name), "{}", name);
            }
        }
    }

    #[test]
    fn a_name_that_reads_back_reads_back(identity in adversarial()) {
        for scheme in schemes().into_iter().filter(Scheme::reads_back) {
            if let Ok(copy) = scheme.place(&identity) {
                let back = scheme.origin_name(&copy.name);
                prop_assert!(back.is_none() || back == Some(identity.name.clone()), "{:?}", scheme);
            }
        }
    }
}
