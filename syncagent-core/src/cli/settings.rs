//! Flags that make sense together, or everything that is wrong with them.
//!
//! A pure function: files are opened and servers asked later.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use super::flags::Flags;
use super::selector;
use crate::names::{self, AgentName};

/// Where metrics are served unless something else is said.
const METRICS: &str = "127.0.0.1:8085";
/// How many deletions a minute are let through unless something else is said.
const DELETIONS: usize = 60;

/// How the agent is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The kubeconfig of the service cluster; `None`: what is found.
    pub kubeconfig: Option<String>,
    /// Another address of the service cluster.
    pub host: Option<String>,
    /// Another file of certificate authorities of the service cluster.
    pub ca_file: Option<String>,
    /// The kubeconfig of the kcp.
    pub kcp_kubeconfig: String,
    /// The agent's namespace on the service cluster.
    pub namespace: String,
    /// The name of the `APIExportEndpointSlice`.
    pub slice: String,
    /// The agent's name.
    pub agent: AgentName,
    /// Which `PublishedResource` objects count; empty: all.
    pub selector: String,
    /// The parts that are left out.
    pub disabled: BTreeSet<Part>,
    /// Whether a publication is refused where nothing proves that tenants are kept apart.
    pub strict: bool,
    /// Whether the Lease decides who works.
    pub leader_election: bool,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where the health endpoints are served.
    pub health: Option<SocketAddr>,
    /// How many deletions a minute are let through.
    pub deletions_per_minute: usize,
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// Whether more is told.
    pub log_debug: bool,
    /// How lines are written.
    pub log_format: LogFormat,
    /// What should be told when the agent starts.
    pub warnings: Vec<String>,
}

/// A part of the agent that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What fills the export.
    ApiExport,
    /// What publishes schemas.
    ApiResourceSchema,
    /// What synchronizes objects.
    Sync,
}

impl Part {
    const ALL: [Self; 3] = [Self::ApiExport, Self::ApiResourceSchema, Self::Sync];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiExport => "apiexport",
            Self::ApiResourceSchema => "apiresourceschema",
            Self::Sync => "sync",
        }
    }
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Console,
}

/// Everything that is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCommandLine(pub Vec<String>);

impl fmt::Display for InvalidCommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write!(f, "Invalid command line: {problem}"),
            problems => {
                f.write_str("Invalid command line:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for InvalidCommandLine {}

impl TryFrom<Flags> for Settings {
    type Error = InvalidCommandLine;

    /// Takes flags that make sense together.
    ///
    /// ```
    /// use syncagent_core::cli::{flags::Flags, settings::Settings};
    ///
    /// let problems = Settings::try_from(Flags::default()).unwrap_err();
    /// assert!(problems.to_string().starts_with("Invalid command line:"));
    /// ```
    fn try_from(flags: Flags) -> Result<Self, InvalidCommandLine> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let said = |it: Option<String>| it.filter(|it| !it.is_empty());
        let kcp_kubeconfig = said(flags.kcp_kubeconfig).unwrap_or_else(|| {
            problems.push("--kcp-kubeconfig is missing: name the file with the way to the workspace of the APIExportEndpointSlice".into());
            String::new()
        });
        let namespace = said(flags.namespace).unwrap_or_else(|| {
            problems
                .push("--namespace is missing: name the namespace that the agent runs in".into());
            String::new()
        });
        if !namespace.is_empty() && !names::is_dns_label(&namespace) {
            problems.push(format!(
                "--namespace: `{namespace}` is no name of a namespace: it takes lower-case letters, digits and dashes, at most 63 characters"
            ));
        }
        let slice = slice(
            said(flags.apiexportendpointslice_ref),
            said(flags.apiexport_ref),
            &mut problems,
            &mut warnings,
        );
        let agent = agent(said(flags.agent_name), &slice, &mut problems);
        let selector = flags.published_resource_selector.unwrap_or_default();
        if let Err(problem) = selector::check(&selector) {
            problems.push(format!("--published-resource-selector: {problem}"));
        }
        let disabled = disabled(&flags.disabled_controllers, &mut problems);
        let metrics = flags.metrics_address.as_deref().unwrap_or(METRICS);
        let metrics = address("--metrics-address", metrics, &mut problems);
        let health = flags.health_address.as_deref().unwrap_or_default();
        let health = address("--health-address", health, &mut problems);
        if let (Some(one), Some(two)) = (metrics, health)
            && one == two
            && one.port() != 0
        {
            problems.push(format!(
                "--metrics-address and --health-address are both {one}: give one of them another port"
            ));
        }
        let dry_run = flags.dry_run.unwrap_or_default();
        let leader_election = flags.enable_leader_election.unwrap_or_default();
        if dry_run && leader_election {
            problems.push(
                "--dry-run changes nothing, and --enable-leader-election writes a Lease: leave one of them out".into(),
            );
        }
        let log_format = log_format(said(flags.log_format).as_deref(), &mut problems);
        let deletions_per_minute = flags.deletions_per_minute.unwrap_or(DELETIONS);
        match agent {
            Some(agent) if problems.is_empty() => Ok(Self {
                kubeconfig: said(flags.kubeconfig),
                host: said(flags.kubeconfig_host_override),
                ca_file: said(flags.kubeconfig_ca_file_override),
                kcp_kubeconfig,
                namespace,
                slice,
                agent,
                selector: selector.trim().to_owned(),
                disabled,
                strict: flags.strict.unwrap_or_default(),
                leader_election,
                metrics,
                health,
                deletions_per_minute,
                dry_run,
                log_debug: flags.log_debug.unwrap_or_default(),
                log_format,
                warnings,
            }),
            _ => Err(InvalidCommandLine(problems)),
        }
    }
}

/// The slice, by its own flag or by that of the walk-through.
fn slice(
    new: Option<String>,
    old: Option<String>,
    problems: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> String {
    if old.is_some() {
        warnings.push("--apiexport-ref is deprecated: say --apiexportendpointslice-ref".into());
    }
    match (new, old) {
        (Some(new), Some(old)) if new != old => problems.push(format!(
            "--apiexportendpointslice-ref says `{new}` and --apiexport-ref says `{old}`: leave --apiexport-ref out"
        )),
        (Some(name), _) | (None, Some(name)) if names::is_subdomain(&name) => return name,
        (Some(name), _) | (None, Some(name)) => problems.push(format!(
            "--apiexportendpointslice-ref: `{name}` is no name of an object: it takes lower-case letters, digits, dashes and dots"
        )),
        (None, None) => problems.push(
            "--apiexportendpointslice-ref is missing: name the slice; kcp makes one of the export's name".into(),
        ),
    }
    String::new()
}

/// The agent's name. One that is given is a label of RFC 1035; the default may contain dots, as names of slices do.
fn agent(given: Option<String>, slice: &str, problems: &mut Vec<String>) -> Option<AgentName> {
    match given {
        Some(name) => {
            let letter = name.starts_with(|it: char| it.is_ascii_lowercase());
            if letter && names::is_dns_label(&name) {
                return AgentName::parse(&name).ok();
            }
            problems.push(format!(
                "--agent-name: `{name}` is no name for an agent: it starts with a letter and takes lower-case letters, digits and dashes, at most 63 characters"
            ));
            None
        }
        None if slice.is_empty() => None,
        None => {
            let name = format!("{slice}-syncagent");
            let parsed = AgentName::parse(&name).ok();
            if parsed.is_none() {
                problems.push(format!(
                    "--agent-name is missing: its default, `{name}`, is longer than the 63 characters that a label takes"
                ));
            }
            parsed
        }
    }
}

fn disabled(named: &[String], problems: &mut Vec<String>) -> BTreeSet<Part> {
    let mut parts = BTreeSet::new();
    for name in named.iter().map(|it| it.trim()).filter(|it| !it.is_empty()) {
        match Part::ALL.into_iter().find(|it| it.name() == name) {
            Some(part) => {
                parts.insert(part);
            }
            None => problems.push(format!(
                "--disabled-controllers: there is no `{name}`: there are {}",
                Part::ALL.map(Part::name).join(", ")
            )),
        }
    }
    parts
}

/// Where to listen, as Go writes it: the host may be left out, and is then every one.
fn address(flag: &str, text: &str, problems: &mut Vec<String>) -> Option<SocketAddr> {
    if matches!(text, "" | "0") {
        return None;
    }
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.replace("localhost:", "127.0.0.1:"),
    };
    let parsed = whole.parse().ok();
    if parsed.is_none() {
        problems.push(format!(
            "{flag}: `{text}` is no address: write one as 127.0.0.1:8085 or :8085, or 0 for none"
        ));
    }
    parsed
}

fn log_format(named: Option<&str>, problems: &mut Vec<String>) -> LogFormat {
    match named.map(str::to_lowercase).as_deref() {
        None | Some("json") => LogFormat::Json,
        Some("console") => LogFormat::Console,
        Some(_) => {
            let named = named.unwrap_or_default();
            problems.push(format!(
                "--log-format: there is no `{named}`: there are JSON and Console"
            ));
            LogFormat::Json
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has to be said, and more.
    fn with(change: impl FnOnce(&mut Flags)) -> Result<Settings, String> {
        let mut flags = Flags {
            kcp_kubeconfig: Some("kcp.kubeconfig".into()),
            namespace: Some("kcp-system".into()),
            apiexportendpointslice_ref: Some("databases".into()),
            ..Flags::default()
        };
        change(&mut flags);
        Settings::try_from(flags).map_err(|it| it.to_string())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn defaults_are_those_of_the_go_agent() {
        let settings = with(|_| {}).unwrap();
        assert_eq!(settings.agent.as_str(), "databases-syncagent");
        assert_eq!(settings.metrics, METRICS.parse().ok());
        assert_eq!(settings.health, None);
        assert_eq!(settings.log_format, LogFormat::Json);
        assert!(!settings.leader_election && !settings.log_debug && !settings.dry_run);
        assert!(settings.selector.is_empty() && settings.disabled.is_empty());
        assert_eq!(settings.kubeconfig, None);
        assert_eq!(settings.warnings, Vec::<String>::new());
    }

    #[test]
    fn the_flag_of_the_walk_through_means_the_slice() {
        let settings = with(|it| {
            it.apiexportendpointslice_ref = None;
            it.apiexport_ref = some("postgresql.cnpg.io");
        })
        .unwrap();
        assert_eq!(settings.slice, "postgresql.cnpg.io");
        assert_eq!(settings.agent.as_str(), "postgresql.cnpg.io-syncagent");
        assert_eq!(settings.warnings.len(), 1);
        let same = with(|it| it.apiexport_ref = some("databases")).unwrap();
        assert_eq!(same.slice, "databases");
    }

    #[test]
    fn values_are_taken_as_go_takes_them() {
        let settings = with(|it| {
            it.metrics_address = some(":9090");
            it.health_address = some("localhost:9091");
            it.log_format = some("cOnSoLe");
            it.disabled_controllers = vec!["sync".into(), " apiexport".into(), String::new()];
            it.agent_name = some("a-1");
            it.kubeconfig = some("");
        })
        .unwrap();
        assert_eq!(settings.metrics, "0.0.0.0:9090".parse().ok());
        assert_eq!(settings.health, "127.0.0.1:9091".parse().ok());
        assert_eq!(settings.log_format, LogFormat::Console);
        assert_eq!(settings.disabled, [Part::ApiExport, Part::Sync].into());
        assert_eq!(settings.kubeconfig, None);
        let none = with(|it| {
            it.metrics_address = some("0");
            it.health_address = some("0");
        })
        .unwrap();
        assert_eq!((none.metrics, none.health), (None, None));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let told = Settings::try_from(Flags {
            agent_name: some("1.a"),
            published_resource_selector: some("a b"),
            disabled_controllers: vec!["syncs".into()],
            metrics_address: some("nowhere"),
            log_format: some("xml"),
            ..Flags::default()
        })
        .unwrap_err()
        .to_string();
        assert!(told.starts_with("Invalid command line:\n  - "), "{told}");
        for flag in [
            "--kcp-kubeconfig is missing",
            "--namespace is missing",
            "--apiexportendpointslice-ref is missing",
            "--agent-name: `1.a`",
            "--published-resource-selector: `a b`",
            "--disabled-controllers: there is no `syncs`: there are apiexport, apiresourceschema, sync",
            "--metrics-address: `nowhere`",
            "--log-format: there is no `xml`",
        ] {
            assert!(told.contains(flag), "{flag} is not in {told}");
        }
        assert_eq!(told.lines().count(), 9, "{told}");
    }

    #[test]
    fn each_problem_names_its_flag_and_what_to_do() {
        type Case = (fn(&mut Flags), &'static str);
        let cases: [Case; 8] = [
            (
                |it| it.apiexport_ref = some("other"),
                "Invalid command line: --apiexportendpointslice-ref says `databases` and --apiexport-ref says `other`: leave --apiexport-ref out",
            ),
            (
                |it| (it.dry_run, it.enable_leader_election) = (Some(true), Some(true)),
                "--dry-run changes nothing, and --enable-leader-election writes a Lease",
            ),
            (
                |it| it.health_address = some("127.0.0.1:8085"),
                "--metrics-address and --health-address are both 127.0.0.1:8085",
            ),
            (|it| it.agent_name = some("a.b"), "--agent-name: `a.b`"),
            (|it| it.agent_name = some("1a"), "--agent-name: `1a`"),
            (
                |it| it.apiexportendpointslice_ref = Some("a".repeat(60)),
                "--agent-name is missing: its default",
            ),
            (|it| it.namespace = some("A"), "--namespace: `A`"),
            (
                |it| it.apiexportendpointslice_ref = some("A"),
                "--apiexportendpointslice-ref: `A`",
            ),
        ];
        for (change, wanted) in cases {
            let told = with(change).unwrap_err();
            assert!(told.contains(wanted), "{wanted} is not in {told}");
        }
    }
}
