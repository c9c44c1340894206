//! An unmodified kubectl against the servers, over TLS, with the kubeconfig that the server wrote.
//!
//! Each test says what a person types and what they read. Where there is no kubectl the tests say so and pass; `.ci/run`
//! makes sure that there is one.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use syncagent_embedded::{Listening, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// Long enough for a busy machine; nothing is measured.
const PATIENCE: Duration = Duration::from_secs(120);

/// kubectl with a kubeconfig, a home and a cache of its own.
struct Kubectl {
    program: PathBuf,
    home: PathBuf,
    /// Waits until its input ends, which it does when we are killed, too, and removes the home.
    broom: std::process::Child,
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        drop(self.broom.stdin.take());
        let _ = self.broom.wait();
    }
}

impl Kubectl {
    /// `None`, aloud, where no kubectl is installed.
    fn with(kubeconfig: &str) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .map(|directory| directory.join("kubectl"))
            .find(|program| program.is_file());
        let Some(program) = program else {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            {
                eprintln!(
                    "skipped: there is no kubectl on PATH; install one, or let .ci/run build it"
                );
            }
            return None;
        };
        let unique = format!(
            "syncagent-kubectl-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let home = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&home).expect("a directory for kubectl");
        std::fs::write(home.join("config"), kubeconfig).expect("a kubeconfig");
        let broom = std::process::Command::new("/bin/sh")
            .args(["-c", "read -r _; rm -rf \"$1\"", "broom"])
            .arg(&home)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        Some(Self {
            program,
            home,
            broom,
        })
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(line)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("KUBECONFIG", self.home.join("config"))
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, line: &str, stdin: &str) -> Output {
        let words = split(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = self.command(&words).spawn().expect("kubectl starts");
        let mut pipe = child.stdin.take().expect("kubectl reads");
        pipe.write_all(stdin.as_bytes())
            .await
            .expect("kubectl reads");
        drop(pipe);
        tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .expect("kubectl ends")
            .expect("kubectl runs")
    }

    /// What a command that must succeed prints.
    async fn says(&self, line: &str) -> String {
        self.says_of(line, "").await
    }

    /// The same, with a manifest on standard input.
    async fn says_of(&self, line: &str, stdin: &str) -> String {
        let output = self.run(line, stdin).await;
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "kubectl {line}\n{said}{complained}"
        );
        assert_eq!(complained, "", "kubectl {line} complains");
        said
    }

    /// What a command that must fail complains about.
    async fn complains(&self, line: &str, stdin: &str) -> String {
        let output = self.run(line, stdin).await;
        assert!(
            !output.status.success(),
            "kubectl {line} was expected to fail\n{}",
            text(&output.stdout)
        );
        text(&output.stderr)
    }

    /// The cells of a table: lines of words.
    async fn table(&self, line: &str) -> Vec<Vec<String>> {
        let said = self.says(line).await;
        said.lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Splits a command line at spaces outside single quotes.
fn split(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for (at, part) in parts {
        if at % 2 == 1 {
            match words.last_mut().filter(|_| open) {
                Some(last) => last.push_str(part),
                None => words.push(part.to_owned()),
            }
            open = true;
            continue;
        }
        for (n, word) in part.split(' ').enumerate() {
            match words.last_mut().filter(|_| n == 0 && open) {
                Some(last) => last.push_str(word),
                None if word.is_empty() => {}
                None => words.push(word.to_owned()),
            }
        }
        open = !part.ends_with(' ') && !part.is_empty();
    }
    words
}

async fn kubernetes() -> (Server, Listening) {
    let server = Server::kubernetes().build();
    let listening = server
        .listen("127.0.0.1:0".parse().expect("an address"))
        .await
        .expect("a free port");
    (server, listening)
}

const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.com
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Phase, type: string, jsonPath: .status.phase}
    schema:
      openAPIV3Schema:
        type: object
        description: Widget is a thing to try kubectl on.
        properties:
          spec:
            type: object
            description: What is wanted.
            properties:
              size: {type: integer, minimum: 1, description: How big it is.}
              tags: {type: array, items: {type: string}}
          status:
            type: object
            properties:
              phase: {type: string}
              conditions:
                type: array
                items:
                  type: object
                  properties: {type: {type: string}, status: {type: string}}
"#;

const WIDGET: &str =
    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 1}\n";

#[tokio::test(flavor = "multi_thread")]
async fn built_in_kinds_from_creation_to_deletion() {
    let (server, listening) = kubernetes().await;
    let Some(kubectl) = Kubectl::with(&listening.kubeconfig(&server.admin())) else {
        return;
    };

    assert_eq!(
        kubectl.says("create namespace shop").await,
        "namespace/shop created\n"
    );
    assert_eq!(
        kubectl
            .says("-n shop create configmap c --from-literal=a=1 --from-literal=b=2")
            .await,
        "configmap/c created\n"
    );
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n";
    assert_eq!(
        kubectl.says_of("-n shop create -f -", secret).await,
        "secret/s created\n"
    );
    assert_eq!(
        kubectl
            .says("-n shop get secret s -o 'jsonpath={.data.password}'")
            .await,
        "aHVudGVyMg=="
    );
    assert_eq!(
        kubectl.says("-n shop get cm c -o 'jsonpath={.data}'").await,
        r#"{"a":"1","b":"2"}"#
    );

    let table = kubectl.table("-n shop get configmaps").await;
    assert_eq!(table[0], ["NAME", "DATA", "AGE"]);
    assert_eq!(table[1][..2], ["c", "2"]);
    let table = kubectl.table("get namespaces shop").await;
    assert_eq!(table[0], ["NAME", "STATUS", "AGE"]);
    assert_eq!(table[1][..2], ["shop", "Active"]);
    let everywhere = kubectl.table("get secrets -A").await;
    assert_eq!(everywhere[0], ["NAMESPACE", "NAME", "TYPE", "DATA", "AGE"]);
    assert_eq!(everywhere[1][..4], ["shop", "s", "Opaque", "1"]);

    assert_eq!(
        kubectl
            .says("-n shop create service loadbalancer web --tcp=80:8080")
            .await,
        "service/web created\n"
    );
    let wide = kubectl.table("-n shop get svc -o wide").await;
    assert_eq!(
        wide[0],
        [
            "NAME",
            "TYPE",
            "CLUSTER-IP",
            "EXTERNAL-IP",
            "PORT(S)",
            "AGE",
            "SELECTOR"
        ]
    );
    assert_eq!(
        (wide[1][1].as_str(), wide[1][3].as_str()),
        ("LoadBalancer", "<pending>")
    );

    assert_eq!(
        kubectl.says("-n shop label cm c tier=front").await,
        "configmap/c labeled\n"
    );
    assert_eq!(
        kubectl.says("-n shop annotate cm c note=hello").await,
        "configmap/c annotated\n"
    );
    assert_eq!(
        kubectl.says("-n shop get cm -l tier=front -o name").await,
        "configmap/c\n"
    );
    assert_eq!(
        kubectl
            .says("-n shop get cm --field-selector metadata.name=none -o name")
            .await,
        ""
    );
    for (kind, patch) in [
        ("merge", r#"{"data":{"a":"9"}}"#),
        ("strategic", r#"{"data":{"b":null}}"#),
        ("json", r#"[{"op":"add","path":"/data/c","value":"3"}]"#),
    ] {
        let said = kubectl
            .says(&format!("-n shop patch cm c --type {kind} -p '{patch}'"))
            .await;
        assert_eq!(said, "configmap/c patched\n");
    }
    assert_eq!(
        kubectl.says("-n shop get cm c -o 'jsonpath={.data}'").await,
        r#"{"a":"9","c":"3"}"#
    );
    let described = kubectl.says("-n shop describe configmap c").await;
    for line in [
        "Name:         c",
        "Namespace:    shop",
        "Labels:       tier=front",
        "Annotations:  note: hello",
    ] {
        assert!(described.contains(line), "{line}\n{described}");
    }
    let yaml = kubectl.says("-n shop get cm c -o yaml").await;
    assert!(
        yaml.starts_with("apiVersion: v1\ndata:\n  a: \"9\"\n  c: \"3\"\nkind: ConfigMap\n"),
        "{yaml}"
    );

    let bad = kubectl
        .complains(
            "-n shop create -f -",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatum: {}\n",
        )
        .await;
    assert!(
        bad.contains("strict decoding error: unknown field \"datum\""),
        "{bad}"
    );
    assert_eq!(
        kubectl.complains("-n shop get cm nope", "").await,
        "Error from server (NotFound): configmaps \"nope\" not found\n"
    );

    assert_eq!(
        kubectl.says("-n shop delete cm c").await,
        "configmap \"c\" deleted\n"
    );
    assert_eq!(
        kubectl.says("delete namespace shop").await,
        "namespace \"shop\" deleted\n"
    );
    assert!(
        kubectl
            .complains("get namespace shop", "")
            .await
            .contains("NotFound")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_kind_is_applied_explained_and_waited_for() {
    let (server, listening) = kubernetes().await;
    let Some(kubectl) = Kubectl::with(&listening.kubeconfig(&server.admin())) else {
        return;
    };

    assert_eq!(
        kubectl.says_of("apply -f -", WIDGETS).await,
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n"
    );
    assert_eq!(
        kubectl
            .says("wait --for=condition=Established crd/widgets.example.com")
            .await,
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.com condition met\n"
    );
    let resources = kubectl.table("api-resources --api-group=example.com").await;
    assert_eq!(
        resources[1],
        ["widgets", "wd", "example.com/v1", "true", "Widget"]
    );
    let explained = kubectl.says("explain widgets.spec").await;
    for line in [
        "GROUP:      example.com",
        "KIND:       Widget",
        "FIELD: spec <Object>",
        "What is wanted.",
        "size\t<integer>",
        "How big it is.",
    ] {
        assert!(explained.contains(line), "{line}\n{explained}");
    }

    assert_eq!(
        kubectl.says_of("apply -f -", WIDGET).await,
        "widget.example.com/a created\n"
    );
    assert_eq!(
        kubectl.says_of("apply -f -", WIDGET).await,
        "widget.example.com/a unchanged\n"
    );
    let bigger = WIDGET.replace("size: 1", "size: 2");
    assert_eq!(
        kubectl.says_of("apply -f -", &bigger).await,
        "widget.example.com/a configured\n"
    );
    let other = WIDGET.replace("name: a", "name: b");
    assert_eq!(
        kubectl.says_of("apply --server-side -f -", &other).await,
        "widget.example.com/b serverside-applied\n"
    );
    let other = other.replace("size: 1", "size: 5");
    assert_eq!(
        kubectl.says_of("apply --server-side -f -", &other).await,
        "widget.example.com/b serverside-applied\n"
    );
    let conflict = kubectl
        .complains(
            "apply --server-side --field-manager=else -f -",
            &other.replace("size: 5", "size: 6"),
        )
        .await;
    assert!(
        conflict.contains("conflict with \"kubectl\": .spec.size"),
        "{conflict}"
    );
    let invalid = kubectl
        .complains("apply -f -", &WIDGET.replace("size: 1", "size: 0"))
        .await;
    assert!(
        invalid.contains(
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
        ),
        "{invalid}"
    );

    let table = kubectl.table("get wd").await;
    assert_eq!(
        table,
        [
            vec!["NAME", "SIZE", "PHASE"],
            vec!["a", "2"],
            vec!["b", "5"]
        ]
    );

    let patched = kubectl.says(r#"patch widget a --subresource=status --type=merge -p '{"status":{"phase":"Ready","conditions":[{"type":"Ready","status":"True"}]}}'"#).await;
    assert_eq!(patched, "widget.example.com/a patched\n");
    assert_eq!(
        kubectl.says("wait --for=condition=Ready widget/a").await,
        "widget.example.com/a condition met\n"
    );
    assert_eq!(
        kubectl
            .says("wait '--for=jsonpath={.status.phase}=Ready' widget/a")
            .await,
        "widget.example.com/a condition met\n"
    );

    // What changes while somebody waits is seen.
    let (waited, _) = tokio::join!(
        kubectl.says("wait '--for=jsonpath={.status.phase}=Ready' widget/b --timeout=60s"),
        kubectl.says(
            r#"patch widget b --subresource=status --type=merge -p '{"status":{"phase":"Ready"}}'"#
        )
    );
    assert_eq!(waited, "widget.example.com/b condition met\n");

    assert_eq!(
        kubectl.says("delete widget b").await,
        "widget.example.com \"b\" deleted\n"
    );
    assert_eq!(
        kubectl.says("delete crd widgets.example.com").await,
        "customresourcedefinition.apiextensions.k8s.io \"widgets.example.com\" deleted\n"
    );
    // kubectl keeps what it discovered, so it is the server that says no.
    let gone = kubectl.complains("get widgets", "").await;
    assert!(
        gone.contains("could not find the requested resource"),
        "{gone}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_each_change() {
    let (server, listening) = kubernetes().await;
    let Some(kubectl) = Kubectl::with(&listening.kubeconfig(&server.admin())) else {
        return;
    };

    kubectl.says("create configmap c --from-literal=a=1").await;
    let mut watch = kubectl
        .command(&["get", "configmaps", "-w"])
        .spawn()
        .expect("kubectl starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("kubectl prints")).lines();
    let mut next = async || {
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("a line")
            .expect("kubectl prints");
        line.unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(next().await, ["NAME", "DATA", "AGE"]);
    assert_eq!(next().await[..2], ["c", "1"]);
    kubectl
        .says(r#"patch cm c --type merge -p '{"data":{"b":"2"}}'"#)
        .await;
    assert_eq!(next().await[..2], ["c", "2"]);
    kubectl.says("create configmap d").await;
    assert_eq!(next().await[..2], ["d", "0"]);
    watch.kill().await.expect("kubectl ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_kind_is_applied_both_ways() {
    let (server, listening) = kubernetes().await;
    let Some(kubectl) = Kubectl::with(&listening.kubeconfig(&server.admin())) else {
        return;
    };

    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {a: b}, ports: [{port: 80, name: web}, {port: 81, name: more}]}\n";
    assert_eq!(
        kubectl.says_of("apply -f -", service).await,
        "service/s created\n"
    );
    assert_eq!(
        kubectl.says_of("apply -f -", service).await,
        "service/s unchanged\n"
    );
    let fewer = service.replace(", {port: 81, name: more}", "");
    assert_eq!(
        kubectl.says_of("apply -f -", &fewer).await,
        "service/s configured\n"
    );
    assert_eq!(
        kubectl
            .says("get svc s -o 'jsonpath={.spec.ports[*].port}'")
            .await,
        "80"
    );
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: one, b: two}\n";
    assert_eq!(
        kubectl.says_of("apply --server-side -f -", map).await,
        "configmap/c serverside-applied\n"
    );
    assert_eq!(
        kubectl
            .says_of("apply --server-side -f -", &map.replace(", b: two", ""))
            .await,
        "configmap/c serverside-applied\n"
    );
    assert_eq!(
        kubectl.says("get cm c -o 'jsonpath={.data}'").await,
        r#"{"a":"one"}"#
    );
    assert_eq!(
        kubectl
            .says_of("diff -f -", &map.replace(", b: two", ""))
            .await,
        ""
    );
    assert_eq!(
        kubectl.says_of("replace -f -", map).await,
        "configmap/c replaced\n"
    );
    let explained = kubectl.says("explain service.spec.ports").await;
    assert!(
        explained.contains("KIND:       Service") && explained.contains("targetPort"),
        "{explained}"
    );
    assert_eq!(
        kubectl.says_of("delete -f -", map).await,
        "configmap \"c\" deleted\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_asked_for_granted_and_used() {
    let (server, listening) = kubernetes().await;
    let Some(admin) = Kubectl::with(&listening.kubeconfig(&server.admin())) else {
        return;
    };
    let Some(jane) = Kubectl::with(&listening.kubeconfig(&server.user("jane", &["devs"]))) else {
        return;
    };

    assert_eq!(
        jane.complains("get configmaps", "").await,
        "Error from server (Forbidden): configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"\n"
    );
    let refused = jane.run("auth can-i list configmaps", "").await;
    assert_eq!(
        (
            text(&refused.stdout).as_str(),
            text(&refused.stderr).as_str()
        ),
        ("no\n", "")
    );
    assert_eq!(admin.says("auth can-i '*' '*'").await, "yes\n");
    assert_eq!(
        admin
            .says("create role reader --verb=get,list,watch --resource=configmaps")
            .await,
        "role.rbac.authorization.k8s.io/reader created\n"
    );
    assert_eq!(
        admin
            .says("create rolebinding readers --role=reader --group=devs")
            .await,
        "rolebinding.rbac.authorization.k8s.io/readers created\n"
    );
    assert_eq!(jane.says("auth can-i list configmaps").await, "yes\n");
    let nothing = jane.run("get configmaps", "").await;
    assert!(nothing.status.success());
    assert_eq!(
        text(&nothing.stderr),
        "No resources found in default namespace.\n"
    );
    let table = admin.table("get rolebindings -o wide").await;
    assert_eq!(table[1][..2], ["readers", "Role/reader"]);
    let me = jane.says("auth whoami").await;
    assert!(
        me.contains("jane") && me.contains("[devs system:authenticated]"),
        "{me}"
    );
    admin.says("create serviceaccount robot").await;
    assert!(!admin.says("create token robot").await.trim().is_empty());
    let listed = jane.says("auth can-i --list").await;
    assert!(
        listed.contains("configmaps") && listed.contains("[get list watch]"),
        "{listed}"
    );
    let grant = jane
        .complains(
            "create rolebinding mine --clusterrole=cluster-admin --user=jane",
            "",
        )
        .await;
    assert!(
        grant.contains("cannot create resource \"rolebindings\""),
        "{grant}"
    );
    assert_eq!(
        admin
            .says("get configmaps --as jane --as-group devs -o name")
            .await,
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_and_version_satisfy_kubectl() {
    let (server, listening) = kubernetes().await;
    let Some(kubectl) = Kubectl::with(&listening.kubeconfig(&server.admin())) else {
        return;
    };

    let resources = kubectl.says("api-resources --no-headers -o name").await;
    for name in [
        "configmaps",
        "secrets",
        "services",
        "leases.coordination.k8s.io",
        "roles.rbac.authorization.k8s.io",
    ] {
        assert!(
            resources.lines().any(|line| line == name),
            "{name}\n{resources}"
        );
    }
    assert!(!resources.lines().any(|line| line == "pods"), "{resources}");
    let versions = kubectl.says("api-versions").await;
    assert!(
        versions.lines().any(|line| line == "v1") && versions.contains("events.k8s.io/v1"),
        "{versions}"
    );
    let said = text(&kubectl.run("version", "").await.stdout);
    assert!(said.contains("Server Version: v"), "{said}");
    for path in ["/readyz", "/livez", "/healthz"] {
        assert_eq!(kubectl.says(&format!("get --raw {path}")).await, "ok");
    }
}

const SCHEMA: &str = r#"
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.example.com}
spec:
  group: example.com
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Phase, type: string, jsonPath: .status.phase}
    schema:
      type: object
      properties:
        spec: {type: object, description: What is wanted., properties: {size: {type: integer}}}
        status: {type: object, properties: {phase: {type: string}}}
"#;

const EXPORT: &str = r#"
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: example.com}
spec:
  resources:
  - {group: example.com, name: widgets, schema: v1.widgets.example.com, storage: {crd: {}}}
"#;

const BINDING: &str = r"
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: example.com}
spec:
  reference: {export: {path: 'root:provider', name: example.com}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_and_a_consumer_work_in_kcp() {
    let server = Server::kcp().build();
    let listening = server
        .listen("127.0.0.1:0".parse().expect("an address"))
        .await
        .expect("a free port");
    let admin = server.kcp_admin();
    let at = |path: &str| Kubectl::with(&listening.kubeconfig_at(&admin, path));
    let Some(root) = at("/clusters/root") else {
        return;
    };
    for name in ["provider", "consumer"] {
        let workspace = format!(
            "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {{name: {name}}}\nspec: {{type: {{name: universal, path: root}}}}\n"
        );
        assert_eq!(
            root.says_of("create -f -", &workspace).await,
            format!("workspace.tenancy.kcp.io/{name} created\n")
        );
        root.says(&format!(
            "wait '--for=jsonpath={{.status.phase}}=Ready' workspace/{name}"
        ))
        .await;
    }
    let table = root.table("get workspaces").await;
    assert_eq!(table[0], ["NAME", "TYPE", "REGION", "PHASE", "URL", "AGE"]);
    assert_eq!(table[1][..3], ["consumer", "universal", "Ready"]);

    let (Some(provider), Some(consumer)) =
        (at("/clusters/root:provider"), at("/clusters/root:consumer"))
    else {
        return;
    };
    assert_eq!(
        provider.says_of("create -f -", SCHEMA).await,
        "apiresourceschema.apis.kcp.io/v1.widgets.example.com created\n"
    );
    assert_eq!(
        provider.says_of("apply -f -", EXPORT).await,
        "apiexport.apis.kcp.io/example.com created\n"
    );
    assert_eq!(
        consumer.says_of("apply -f -", BINDING).await,
        "apibinding.apis.kcp.io/example.com created\n"
    );
    assert_eq!(
        consumer
            .says("wait '--for=jsonpath={.status.phase}=Bound' apibinding/example.com")
            .await,
        "apibinding.apis.kcp.io/example.com condition met\n"
    );

    let resources = consumer
        .table("api-resources --api-group=example.com")
        .await;
    assert_eq!(
        resources[1],
        ["widgets", "example.com/v1", "true", "Widget"]
    );
    assert!(
        consumer
            .says("explain widgets.spec")
            .await
            .contains("What is wanted.")
    );
    assert_eq!(
        consumer.says_of("apply -f -", WIDGET).await,
        "widget.example.com/a created\n"
    );
    assert_eq!(
        consumer.says("create configmap c --from-literal=a=1").await,
        "configmap/c created\n"
    );
    assert_eq!(
        consumer
            .says("get widgets -o 'jsonpath={.items[*].spec.size}'")
            .await,
        "1"
    );
    assert_eq!(
        consumer.table("get widgets").await,
        [vec!["NAME", "PHASE"], vec!["a"]]
    );
    assert!(
        consumer
            .says("get namespaces -o name")
            .await
            .contains("namespace/default\n")
    );
    assert!(
        provider
            .complains("get widgets", "")
            .await
            .contains("the server doesn't have a resource type \"widgets\"")
    );

    assert_eq!(consumer.says("auth can-i create configmaps").await, "yes\n");
    // What a provider's agent sees.
    let url = provider
        .says("get apiexportendpointslice example.com -o 'jsonpath={.status.endpoints[0].url}'")
        .await;
    let (_, path) = url.split_once("/services/").expect("a virtual workspace");
    let everywhere = format!("/services/{path}/clusters/*");
    let Some(agent) = at(&everywhere) else { return };
    assert_eq!(
        agent
            .says("get widgets -A -o 'jsonpath={.items[*].metadata.name}'")
            .await,
        "a"
    );

    assert_eq!(
        consumer.says("delete widget a").await,
        "widget.example.com \"a\" deleted\n"
    );
    assert_eq!(
        root.says("delete workspace consumer").await,
        "workspace.tenancy.kcp.io \"consumer\" deleted\n"
    );
}
