//! The whole agent against API servers: embedded ones by default, real ones by kubeconfig.
//!
//! `SYNCAGENT_TEST_KCP_KUBECONFIG` names a kubeconfig whose current context is a kcp workspace in which workspaces may be
//! made; `SYNCAGENT_TEST_KUBECONFIG` one of a service cluster. With both set the suite runs against these.
//! `SYNCAGENT_TEST_GO_AGENT` names an executable of kcp's api-syncagent, whose installation is then taken over too.

mod access;
mod adversary;
mod budgets;
mod copies;
mod declared;
mod drift;
mod environment;
mod facts;
mod fairness;
mod found;
mod generations;
mod go_agent;
mod immutable;
mod lines;
mod mutations;
mod offering;
mod orders;
mod outages;
mod past;
mod program;
mod published;
mod published_resources;
mod referrers;
mod related;
mod restored;
mod schemas;
mod scopes;
mod seeing;
mod spent;
mod stage;
mod takeover;
mod takeover_marks;
mod takeover_plan;
mod takeover_whole;
mod things;
mod trouble;
mod world;
