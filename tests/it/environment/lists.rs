//! Lists that expire half way.

use std::time::Duration;

use serde_json::json;

use super::{at_rest, kcp, possible, retired, service};
use crate::spent::Spent;
use crate::stage::play;
use crate::things;

/// More objects than a page holds, and each time the second page is asked for the first has expired.
#[test]
fn a_list_that_expires_half_way_says_nothing_about_what_it_did_not_show() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let names: Vec<String> = (0..620).map(|n| format!("t{n}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut stage, consumer) = at_rest(&all).await;
        let servers = [kcp(&stage), service(&stage)];
        for server in &servers {
            let expired = syncagent_embedded::status::Failure::expired("too old");
            server.faults().plan(
                usize::MAX,
                syncagent_embedded::faults::Fault::Refuse(Box::new(expired)),
                |asked| asked.verb == "list" && asked.uri.contains("continue="),
            );
            // All watches begin anew.
            server.faults().cut_watches();
            server.faults().compact();
        }
        stage.forget();
        let spent = Spent::from_here(&stage);
        tokio::time::sleep(Duration::from_secs(60)).await;
        Spent::over(&stage, 5).await.at_most(8);
        let writes = stage.asked(|verb| !["get", "list", "watch"].contains(&verb));
        assert!(writes.is_empty(), "{writes:#?}");
        assert!(!retired(&stage));

        // A stopped agent that starts in such a time decides nothing either.
        stage.stop().await;
        stage.forget();
        stage.start();
        Spent::over(&stage, 5).await.at_most(20);
        let writes = stage.asked(|verb| !["get", "list", "watch"].contains(&verb));
        assert!(writes.is_empty(), "{writes:#?}");

        for server in &servers {
            server.faults().clear();
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        consumer.order(&thing, "new", &json!({"size": 1})).await;
        consumer.there(&thing, "new", things::synced).await;
        for name in ["t0", "t619"] {
            super::alive(&stage, &consumer, &thing, name, 9).await;
        }
        assert!(!retired(&stage));
        spent.at_most(25);
        stage.stop().await;
    });
}
