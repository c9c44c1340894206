//! The command line of the binary `syncagent`.
//!
//! Without a sub-command it is the agent, with the flags of kcp's Go api-syncagent: the same names, the same defaults. A
//! boolean flag needs a `=` to be false, a flag that is repeated counts as it was said last, and what is missing is found
//! out later, all at once ([`Settings`](super::settings::Settings)). The sub-commands look, print and end.

use clap::{ArgAction, Args, Parser, Subcommand};

use super::pubres;
use super::rbac::Rbac;

const ABOUT: &str = "Offers services of a Kubernetes cluster to the workspaces of a kcp.";
const LONG_ABOUT: &str = "\
Offers services of a Kubernetes cluster to the workspaces of a kcp.

What is offered is said by PublishedResource objects on the service cluster, the one with the operators. Without a
sub-command this is the agent; it takes the place of kcp's Go api-syncagent, with the same flags.";
const EXAMPLES: &str = "\
Examples:
  Run the agent:
    syncagent --namespace kcp-system --kcp-kubeconfig kcp.kubeconfig --apiexportendpointslice-ref databases
  See what it would do, before it does it:
    syncagent plan --namespace kcp-system --kcp-kubeconfig kcp.kubeconfig --apiexportendpointslice-ref databases
  Install the definition of PublishedResource:
    syncagent crd | kubectl apply -f -";

/// What the command line says.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "syncagent",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true
)]
pub struct CommandLine {
    /// What to do instead of being the agent.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to be the agent.
    #[command(flatten)]
    pub flags: Flags,
}

/// Everything but the agent itself.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Say what the agent would do, and change nothing.
    ///
    /// Takes the flags of the agent. Each line is a write that the agent would make; no line, and all is settled.
    #[command(args_override_self = true)]
    Plan(Flags),
    /// Write down what the Go agent has to remember, so that going back to it changes nothing.
    ///
    /// Takes the flags of the agent, which must not run meanwhile. Each line is an order that was written down, or one that
    /// could not be, and why. Ends with 0 when all of them were, and with 1 when one was not.
    #[command(args_override_self = true)]
    Handback(Flags),
    /// Say what is wrong with PublishedResources in files, before they are applied.
    ///
    /// CustomResourceDefinitions among the documents are what the servers are taken to know; other objects are passed over.
    /// Ends with 0 when nothing is wrong, with 1 when something is, and with 2 when a file cannot be read.
    Check(Check),
    /// Print the CustomResourceDefinition of PublishedResource, to be applied.
    ///
    /// It can be applied over the one of the Go agent: existing objects stay valid.
    Crd,
    /// Print what the agent must be allowed to do, as objects to apply.
    ///
    /// On the service cluster, in the workspace of the export and in that of the slice. With the PublishedResources in files
    /// the kinds that they publish are among it. With `--handback` it prints what going back to the Go agent takes beyond that,
    /// and nothing else.
    Rbac(Rbac),
    /// Look at a PublishedResource.
    Pubres {
        /// What to look at.
        #[command(subcommand)]
        what: Pubres,
    },
}

/// Which files are checked, and for whom.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// What the agent is called.
    #[arg(long, value_name = "NAME", default_value = "syncagent")]
    pub agent_name: String,
    /// Take it for wrong where nothing proves that workspaces are kept apart.
    #[arg(long)]
    pub strict: bool,
    /// Print what is in an older form in today's.
    #[arg(long)]
    pub modern: bool,
    /// The files; `-` is the standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
}

/// What there is to see of a PublishedResource.
#[derive(Clone, Debug, Subcommand)]
pub enum Pubres {
    /// Print the CRD behind it, as workspaces will see it.
    Crd(pubres::Crd),
}

/// How to be the agent.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Servers")]
pub struct Flags {
    /// The kubeconfig of the service cluster. Without it: what KUBECONFIG names, the account of the Pod, ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,
    /// The kubeconfig of the kcp. Its current context leads to the workspace with the APIExportEndpointSlice, so its server
    /// contains /clusters/. Required.
    #[arg(long, value_name = "FILE")]
    pub kcp_kubeconfig: Option<String>,
    /// Another address for the service cluster than its kubeconfig says.
    #[arg(long, value_name = "URL")]
    pub kubeconfig_host_override: Option<String>,
    /// Another file with the certificate authorities of the service cluster than its kubeconfig says.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig_ca_file_override: Option<String>,

    /// The namespace on the service cluster that the agent keeps its Lease in. Required.
    #[arg(long, value_name = "NAME", help_heading = "What is offered")]
    pub namespace: Option<String>,
    /// The name of the APIExportEndpointSlice through which the export is reached. Required.
    #[arg(long, value_name = "NAME", help_heading = "What is offered")]
    pub apiexportendpointslice_ref: Option<String>,
    /// Deprecated: the name of the APIExport. Means the APIExportEndpointSlice of the same name, which kcp makes with it.
    #[arg(long, value_name = "NAME", help_heading = "What is offered")]
    pub apiexport_ref: Option<String>,
    /// What the agent is called on everything it makes: two agents on one service cluster need two names. The default is the
    /// name of the slice followed by `-syncagent`.
    #[arg(long, value_name = "NAME", help_heading = "What is offered")]
    pub agent_name: Option<String>,
    /// Offer only PublishedResources with these labels, as in `team=db,stage!=test`.
    #[arg(long, value_name = "SELECTOR", help_heading = "What is offered")]
    pub published_resource_selector: Option<String>,
    /// Leave out parts of the agent: apiexport (filling the export), apiresourceschema (publishing schemas), sync
    /// (synchronizing objects).
    #[arg(long, value_name = "NAMES", value_delimiter = ',', action = ArgAction::Append, help_heading = "What is offered")]
    pub disabled_controllers: Vec<String>,
    /// Refuse a PublishedResource where nothing proves that workspaces are kept apart, rather than warn of it.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = boolean,
        help_heading = "What is offered"
    )]
    pub strict: Option<bool>,

    /// Of several agents of one name only that one works which holds the Lease `syncagent.<agent name>`.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = boolean,
        help_heading = "Running"
    )]
    pub enable_leader_election: Option<bool>,
    /// Where metrics are served at /metrics; 0: nowhere [default: 127.0.0.1:8085]
    #[arg(long, value_name = "ADDRESS", help_heading = "Running")]
    pub metrics_address: Option<String>,
    /// Where /healthz and /readyz are served; 0, or nothing: nowhere.
    #[arg(long, value_name = "ADDRESS", help_heading = "Running")]
    pub health_address: Option<String>,
    /// How many objects of the service cluster may be deleted in a minute; one more, and all deletions wait for a person's
    /// word [default: 60]
    #[arg(long, value_name = "NUMBER", help_heading = "Running")]
    pub deletions_per_minute: Option<usize>,
    /// Change nothing, only say what would be done, and end. As `syncagent plan`, with the lines in the log.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = boolean,
        help_heading = "Running"
    )]
    pub dry_run: Option<bool>,
    /// Tell more: every effect and every request.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = boolean,
        help_heading = "Running"
    )]
    pub log_debug: Option<bool>,
    /// How lines are written: JSON, for machines, or Console, for people [default: JSON]
    #[arg(long, value_name = "FORMAT", help_heading = "Running")]
    pub log_format: Option<String>,
}

/// A boolean as Go's flags take it.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("say true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &[&str]) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("syncagent").chain(line.iter().copied()))
    }

    #[test]
    fn the_flags_are_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_flags_of_the_go_agent_are_taken_in_both_spellings() {
        let apart = parse(&[
            "--kubeconfig",
            "a",
            "--kcp-kubeconfig",
            "b",
            "--namespace",
            "c",
            "--apiexportendpointslice-ref",
            "d",
            "--agent-name",
            "e",
            "--published-resource-selector",
            "f=g",
            "--enable-leader-election",
            "--kubeconfig-host-override",
            "h",
            "--kubeconfig-ca-file-override",
            "i",
            "--metrics-address",
            "0",
            "--health-address",
            ":8080",
            "--disabled-controllers",
            "apiexport,sync",
            "--disabled-controllers",
            "apiresourceschema",
            "--log-debug",
            "--log-format",
            "Console",
        ])
        .unwrap()
        .flags;
        let joined = parse(&[
            "--kubeconfig=a",
            "--kcp-kubeconfig=b",
            "--namespace=c",
            "--apiexportendpointslice-ref=d",
            "--agent-name=e",
            "--published-resource-selector=f=g",
            "--enable-leader-election=true",
            "--kubeconfig-host-override=h",
            "--kubeconfig-ca-file-override=i",
            "--metrics-address=0",
            "--health-address=:8080",
            "--disabled-controllers=apiexport",
            "--disabled-controllers=sync,apiresourceschema",
            "--log-debug=1",
            "--log-format=Console",
        ])
        .unwrap()
        .flags;
        assert_eq!(format!("{apart:?}"), format!("{joined:?}"));
        assert_eq!(
            apart.disabled_controllers,
            ["apiexport", "sync", "apiresourceschema"]
        );
        assert_eq!(apart.enable_leader_election, Some(true));
    }

    #[test]
    fn a_boolean_needs_a_sign_to_be_false_and_the_last_word_counts() {
        let of = |line: &[&str]| parse(line).map(|it| it.flags.enable_leader_election);
        assert_eq!(
            of(&["--enable-leader-election=false"]).unwrap(),
            Some(false)
        );
        let both = ["--enable-leader-election", "--enable-leader-election=F"];
        assert_eq!(of(&both).unwrap(), Some(false));
        assert!(of(&["--enable-leader-election", "false"]).is_err());
        assert!(of(&["--enable-leader-election=perhaps"]).is_err());
        let twice = parse(&["--namespace", "a", "--namespace", "b"]).unwrap();
        assert_eq!(twice.flags.namespace.as_deref(), Some("b"));
    }

    #[test]
    fn an_unknown_flag_is_answered_with_the_usage() {
        let error = parse(&["--nonsense"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("Usage:"), "{error}");
    }

    #[test]
    fn sub_commands_stand_beside_the_flags() {
        let planned = parse(&["plan", "--namespace", "a"]).unwrap();
        let Some(Command::Plan(flags)) = planned.command else {
            panic!("{planned:?}");
        };
        assert_eq!(flags.namespace.as_deref(), Some("a"));
        assert!(parse(&["--namespace", "a", "plan"]).is_err());
        assert!(parse(&[]).unwrap().command.is_none());
    }
}
