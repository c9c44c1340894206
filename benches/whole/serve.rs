//! The embedded servers, in a process of their own: their time is not the agent's, nor the bench's.
//!
//! The first line says how to reach them. Then each line that comes in asks for something: `counts`, or `forget`.

use std::collections::BTreeMap;
use std::io::BufRead as _;

use serde_json::json;
use syncagent_embedded::{Server, audit};

use crate::servers::BENCH;

pub(crate) async fn serve() {
    let (kcp, service) = (Server::kcp().build(), Server::kubernetes().build());
    let at = "127.0.0.1:0".parse().expect("an address");
    let kcp_at = kcp.listen(at).await.expect("a port is free");
    let service_at = service.listen(at).await.expect("a port is free");
    println!(
        "{}",
        json!({
            "kcp": kcp_at.kubeconfig_at(&kcp.kcp_admin(), "/clusters/root"),
            "service": service_at.kubeconfig(&service.admin()),
        })
    );
    let sides = [("kcp", &kcp), ("service", &service)];
    tokio::task::block_in_place(|| {
        for line in std::io::stdin().lock().lines() {
            match line.as_deref() {
                Ok("counts") => {
                    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
                    for (side, server) in sides {
                        for entry in server.audit() {
                            if entry.user_agent != BENCH {
                                *counts.entry(told(side, &entry)).or_default() += 1;
                            }
                        }
                    }
                    println!("{}", json!(counts));
                }
                Ok("forget") => {
                    sides.iter().for_each(|(_, server)| server.clear_audit());
                    println!("{{}}");
                }
                _ => return,
            }
        }
    });
}

fn told(side: &str, entry: &audit::Entry) -> String {
    crate::servers::told(side, &entry.verb, &entry.resource, &entry.subresource)
}
