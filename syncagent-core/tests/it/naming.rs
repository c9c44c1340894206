//! Namings in all three syntaxes: what they give, and what is proven of them.

use proptest::prelude::*;
use serde_json::json;
use syncagent_core::definition::{CollidingNames, CopyNaming, Definition, Only, Policy, Scope};
use syncagent_core::naming::{NamingError, Order, Scheme};
use syncagent_core::object::identity::Identity;
use syncagent_core::publication::Publications;

use crate::fixture::{AGENT, kind, thing};

fn naming(namespace: &str, name: &str) -> CopyNaming {
    CopyNaming {
        namespace: Some(namespace.into()),
        name: name.into(),
    }
}

fn scheme(namespace: &str, name: &str) -> Result<(Scheme, Vec<String>), Vec<String>> {
    let kind = kind("example.io", "Thing", "things");
    Scheme::compile_unproven(&naming(namespace, name), &kind, &kind, &Only::default())
}

fn order(cluster: &str, namespace: &str, name: &str) -> Identity {
    Identity {
        cluster: cluster.into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

/// Namespace and name that a naming gives, and whether it is proven.
fn place(namespace: &str, name: &str) -> (String, String, bool) {
    let (scheme, collisions) = scheme(namespace, name).expect("it compiles");
    let copy = scheme
        .place(&order("1abc", "objnamespace", "objname"))
        .expect("it is a name");
    (copy.namespace, copy.name, collisions.is_empty())
}

#[test]
fn the_default_of_the_go_agent_gives_the_same_names_here() {
    let (namespace, name, proven) = place(
        "{{ .ClusterName }}",
        "{{ .Object.metadata.namespace | sha3short }}-{{ .Object.metadata.name | sha3short }}",
    );
    assert_eq!(namespace, "1abc");
    assert_eq!(name, "2928c2aa0e510f017f07-73d08a1ba188f1340dae");
    assert!(proven);
    assert_eq!(place("{workspace}", "{namespace.sha3}-{name.sha3}").1, name);
}

#[test]
fn every_syntax_says_the_same_thing() {
    for (go, own) in [
        (
            "{{ .Object.metadata.namespace | sha3short }}.{{ .Object.metadata.name }}",
            "{namespace.sha3}.{name}",
        ),
        (
            "{{ sha3short .Object.metadata.namespace 12 }}{{ .Object.metadata.name }}",
            "{namespace.sha3:12}{name}",
        ),
        (
            "{{ .Object.metadata.namespace | shortHash }}-{{ $.Object.metadata.name | lower }}",
            "{namespace.hash}-{name}",
        ),
        (
            "{{ .Object.metadata.namespace | sha1sum }}-{{ .Object.metadata.name | sha1sum }}",
            "{namespace.hash:40}-{name.hash:40}",
        ),
        (
            "  pg-{{ .ClusterName }}-{{ .Object.metadata.namespace | sha3sum }}-{{ .Object.metadata.name | shortHash }}\n",
            "pg-{workspace}-{namespace.sha3:64}-{name.hash}",
        ),
        (
            "$remoteNamespaceHash-$remoteNameHash",
            "{namespace.hash}-{name.hash}",
        ),
        ("$remoteNamespace.$remoteNames", "{namespace}.{name}s"),
        (
            "$remoteClusterName-$remoteNamespaceHash-$remoteName",
            "{workspace}-{namespace.hash}-{name}",
        ),
    ] {
        assert_eq!(place("{workspace}", go), place("{workspace}", own), "{go}");
        assert!(place("{workspace}", go).2, "{go}");
    }
}

#[test]
fn what_cannot_be_proven_could_collide() {
    for name in [
        "{{ .Object.metadata.namespace }}-{{ .Object.metadata.name }}",
        "{{ .Object.metadata.name }}",
        "{{ .Object.metadata.namespace | sha3short }}-{{ .Object.metadata.name | trunc 10 }}",
        "{{ sha3short .Object.metadata.namespace 4 }}-{{ .Object.metadata.name }}",
        "{{ if true }}{{ .Object.metadata.name }}{{ end }}",
        "{{ printf \"%s-%s\" .Object.metadata.namespace .Object.metadata.name }}",
        "$remoteNamespace-$remoteName",
        "$remoteName",
    ] {
        let (_, collisions) = scheme("{{ .ClusterName }}", name).expect("it compiles");
        assert_eq!(collisions.len(), 1, "{name}: {collisions:?}");
        assert!(collisions[0].contains("could collide"), "{collisions:?}");
    }
    assert_eq!(
        place(
            "{workspace}",
            "{{ printf \"%s-%s\" .Object.metadata.namespace .Object.metadata.name }}"
        )
        .1,
        "objnamespace-objname"
    );
}

#[test]
fn a_colliding_naming_is_a_problem_or_a_warning() {
    let with = |colliding_names| {
        let mut policy = Policy::derived();
        policy.colliding_names = colliding_names;
        let definition = Definition {
            copy: naming(
                "{{ .ClusterName }}",
                "{{ .Object.metadata.name | trunc 8 }}",
            ),
            policy,
            ..thing()
        };
        Publications::compile(AGENT, &[definition])
    };
    let refused = with(CollidingNames::Refuse)
        .expect_err("it is refused")
        .to_string();
    assert!(refused.contains("two orders could collide"), "{refused}");
    let warned = with(CollidingNames::Warn).expect("it is taken");
    let publication = warned.iter().next().expect("one");
    assert!(publication.warnings()[0].contains("two orders could collide"));
}

#[test]
fn a_naming_that_looks_at_more_needs_the_order_and_is_unproven() {
    for name in [
        "{{ .Object.spec.name }}",
        "{{ .ClusterPath }}x",
        "{{ . | toJson | sha1sum }}",
    ] {
        let (scheme, collisions) = scheme("{workspace}", name).expect(name);
        assert!(
            collisions[0].contains("nothing proves"),
            "{name}: {collisions:?}"
        );
        assert!(scheme.reads_order());
        let identity = order("1abc", "team", "a");
        assert_eq!(scheme.place(&identity), Err(NamingError::NotMade));
        let object = json!({"spec": {"name": "called"}});
        let seen = Order {
            object: &object,
            path: "root",
        };
        let place = scheme.place_seeing(&identity, Some(seen)).expect(name);
        assert_eq!(place.namespace, "1abc");
    }
}

#[test]
fn a_naming_that_is_none_is_refused() {
    for (name, why) in [
        (
            "{{ .Object.metadata.name | nope }}",
            "function \"nope\" not defined",
        ),
        ("{{ .Object.metadata.name", "unclosed action"),
        (
            "{name.hash:5}",
            "is no length of that hash: it has 12 to 40 digits",
        ),
        ("{workspace.hash:12}", "20 to 40"),
        ("{name:5}", "takes no length"),
        ("A{name}", "has a `A`"),
        ("$remoteName$x", "has a `$`"),
    ] {
        let problems = scheme("{workspace}", name).expect_err(name);
        assert!(
            problems.iter().any(|it| it.contains(why)),
            "{name}: {problems:?}"
        );
    }
}

#[test]
fn the_default_tells_orders_apart_whatever_the_scopes_and_however_long_the_names() {
    let long = "n".repeat(253);
    for (offered, service) in [
        (Scope::Namespaced, Scope::Namespaced),
        (Scope::Namespaced, Scope::Cluster),
        (Scope::Cluster, Scope::Namespaced),
        (Scope::Cluster, Scope::Cluster),
    ] {
        let with = |scope| syncagent_core::definition::Kind {
            scope,
            ..kind("example.io", "Thing", "things")
        };
        let naming = CopyNaming::between(offered, service);
        let scheme = Scheme::compile(&naming, &with(service), &with(offered), &Only::default());
        let scheme = scheme.expect("the default is proven");
        let namespace = if offered == Scope::Cluster {
            ""
        } else {
            "team"
        };
        let copy = scheme
            .place(&order("1abc", namespace, &long))
            .expect("it fits");
        assert!(copy.name.len() <= 63, "{}", copy.name);
    }
}

#[test]
fn a_template_that_fails_for_an_order_refuses_the_order() {
    let (scheme, _) =
        scheme("{workspace}", "{{ index .Object.metadata.name 100 }}").expect("it compiles");
    assert_eq!(
        scheme.place(&order("1abc", "team", "a")),
        Err(NamingError::NotAName)
    );
}

proptest! {
    #![proptest_config(crate::chance::cases(300))]

    /// A naming that was proven gives two orders two names, in every syntax.
    #[test]
    fn proven_namings_are_injective(
        parts in prop::collection::vec(0..10_usize, 1..5),
        separator in prop::sample::select(vec!["-", ".", "x", ""]),
        one in ("[a-z0-9]{1,3}", "[a-z0-9]([a-z0-9-]{0,2}[a-z0-9])?", "[a-z0-9]([a-z0-9.-]{0,3}[a-z0-9])?"),
        other in ("[a-z0-9]{1,3}", "[a-z0-9]([a-z0-9-]{0,2}[a-z0-9])?", "[a-z0-9]([a-z0-9.-]{0,3}[a-z0-9])?"),
    ) {
        const GO: [&str; 10] = [
            "{{ .ClusterName }}", "{{ .Object.metadata.namespace }}", "{{ .Object.metadata.name }}",
            "{{ .ClusterName | shortHash }}", "{{ .Object.metadata.namespace | sha3short }}",
            "{{ sha3short .Object.metadata.name 12 }}", "{{ .Object.metadata.name | shortHash }}",
            "{{ sha3short .Object.metadata.name 3 }}", "{{ .Object.metadata.name | trunc 1 }}", "fixed",
        ];
        let name = parts.iter().map(|at| GO[*at]).collect::<Vec<_>>().join(separator);
        prop_assume!(one != other);
        if let Ok((scheme, collisions)) = scheme("{workspace}", &name)
            && collisions.is_empty()
        {
            let place = |it: &(String, String, String)| scheme.place(&order(&it.0, &it.1, &it.2));
            if let (Ok(one), Ok(other)) = (place(&one), place(&other)) {
                prop_assert_ne!(one, other);
            }
        }
    }
}
