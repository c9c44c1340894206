//! Tokens, authorities and kubeconfigs that change in their files, over real sockets.

use serde_json::json;
use syncagent_core::io::clients::{Connection, KcpAccess};
use syncagent_real::guard::Guard;

use super::{kcp, possible, service};
use crate::spent::Spent;
use crate::stage::{Stage, play_in_real_time};
use crate::things;
use crate::world::eventually;

/// A kubeconfig that names a file for its token.
fn with_file(kubeconfig: &str, file: &std::path::Path) -> String {
    let mut config: serde_json::Value = serde_yaml::from_str(kubeconfig).unwrap();
    config["users"][0]["user"] = json!({"tokenFile": file.to_str().unwrap()});
    serde_yaml::to_string(&config).unwrap()
}

/// The token of an agent is changed in its file, and the old one is worth nothing from that moment: the first request that
/// is refused has the file read again, and goes through.
#[test]
fn a_token_that_rotates_in_its_file_is_read_again() {
    play_in_real_time(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        let (kcp, service) = (kcp(&stage), service(&stage));
        let at = "127.0.0.1:0".parse().unwrap();
        let (kcp_at, service_at) = (
            kcp.listen(at).await.unwrap(),
            service.listen(at).await.unwrap(),
        );
        let folder = Guard::make("syncagent-tokens").unwrap();
        let files = ["kcp", "service"].map(|it| folder.dir().join(it));
        let rotate = |n: usize| {
            let (before, now) = (format!("token-{}", n - 1), format!("token-{n}"));
            kcp.token(&now, "agent", &["system:kcp:admin"]);
            service.token(&now, "agent", &["system:masters"]);
            for file in &files {
                std::fs::write(file, &now).unwrap();
            }
            for server in [&kcp, &service] {
                server.drop_token(&before);
                server.faults().cut_watches();
            }
        };
        rotate(1);
        stage
            .wire(
                &with_file(&service_at.kubeconfig(""), &files[1]),
                &with_file(&kcp_at.kubeconfig_at("", &stage.provider.path), &files[0]),
            )
            .await;
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        let spent = Spent::from_here(&stage);
        rotate(2);
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        consumer.there(&thing, "b", things::synced).await;
        super::alive(&stage, &consumer, &thing, "a", 3).await;
        spent.at_most(25);
        stage.stop().await;
    });
}

/// The service cluster gets another authority, and the agent another token: its kubeconfig is written anew, and that is all
/// it is told.
#[test]
fn a_kubeconfig_that_is_written_anew_is_read_again() {
    play_in_real_time(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        let (kcp, service) = (kcp(&stage), service(&stage));
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let kcp_at = kcp.listen(anywhere).await.unwrap();
        let before = service.listen(anywhere).await.unwrap();
        let folder = Guard::make("syncagent-kubeconfigs").unwrap();
        let [here, there] = ["service", "kcp"].map(|it| folder.dir().join(it));
        let write = |path: &std::path::Path, text: String| std::fs::write(path, text).unwrap();
        service.token("token-1", "agent", &["system:masters"]);
        write(&here, before.kubeconfig("token-1"));
        let provider = &stage.provider.path;
        write(&there, kcp_at.kubeconfig_at(&kcp.kcp_admin(), provider));
        let connection = Connection::from_kubeconfig(here.to_str()).await;
        let access = KcpAccess::from_kubeconfig(there.to_str()).await;
        stage.connect(connection.unwrap(), access.unwrap());
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;

        let spent = Spent::from_here(&stage);
        service.token("token-2", "agent", &["system:masters"]);
        service.drop_token("token-1");
        let address = before.address();
        drop(before);
        let now = eventually("the port is free again", || async {
            service.listen(address).await.ok()
        })
        .await;
        write(&here, now.kubeconfig("token-2"));
        consumer.order(&thing, "b", &json!({"size": 1})).await;
        consumer.there(&thing, "b", things::synced).await;
        super::alive(&stage, &consumer, &thing, "a", 3).await;
        // Twelve, and an event where the order's step meets the server while it is away: then its consumer hears of that.
        spent.at_most(13);
        stage.stop().await;
    });
}
