//! Services: defaults, addresses and ports.
//!
//! There is no network behind the addresses. They are handed out because clients read them, remember them and refuse a
//! Service without one; so they are unique, stable over updates, and from the ranges that people expect.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Write, items, keep, meta, text};
use crate::status::{Cause, Failure};

/// Addresses and node ports that Services of a cluster hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    addresses: BTreeSet<String>,
    ports: BTreeSet<i64>,
}

impl Taken {
    /// What these Services hold.
    #[must_use]
    pub fn of<'a>(services: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut taken = Self::default();
        for service in services {
            let addresses = items(service, "/spec/clusterIPs")
                .iter()
                .filter_map(Value::as_str);
            taken.addresses.extend(
                addresses
                    .filter(|address| *address != "None")
                    .map(str::to_owned),
            );
            let ports = items(service, "/spec/ports")
                .iter()
                .filter_map(|port| port["nodePort"].as_i64());
            taken.ports.extend(ports.filter(|port| *port != 0));
        }
        taken
    }

    fn next_address(&self) -> String {
        let all =
            (0..=255).flat_map(|high| (1..=254).map(move |low| format!("10.96.{high}.{low}")));
        all.skip(9)
            .find(|address| !self.addresses.contains(address))
            .unwrap_or_default()
    }

    fn next_port(&self, also: &BTreeSet<i64>) -> i64 {
        (30_000..=32_767)
            .find(|port| !self.ports.contains(port) && !also.contains(port))
            .unwrap_or_default()
    }
}

pub(super) fn default(service: &mut Value) {
    if let Some(ingress) = service
        .pointer_mut("/status/loadBalancer/ingress")
        .and_then(Value::as_array_mut)
    {
        for entry in ingress {
            if !text(entry, "/ip").is_empty() && entry.get("ipMode").is_none() {
                entry["ipMode"] = json!("VIP");
            }
        }
    }
    if !service["spec"].is_object() {
        service["spec"] = json!({});
    }
    let spec = &mut service["spec"];
    if text(spec, "/type").is_empty() {
        spec["type"] = json!("ClusterIP");
    }
    if text(spec, "/sessionAffinity").is_empty() {
        spec["sessionAffinity"] = json!("None");
    }
    match text(spec, "/sessionAffinity") {
        "ClientIP"
            if spec
                .pointer("/sessionAffinityConfig/clientIP/timeoutSeconds")
                .is_none() =>
        {
            spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10_800}});
        }
        "None" => spec["sessionAffinityConfig"] = Value::Null,
        _ => {}
    }
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if text(port, "/protocol").is_empty() {
            port["protocol"] = json!("TCP");
        }
        if matches!(port.get("targetPort"), None | Some(Value::Null))
            || port["targetPort"] == json!(0)
            || port["targetPort"] == json!("")
        {
            port["targetPort"] = port["port"].clone();
        }
    }
    let kind = text(spec, "/type").to_owned();
    if exposed(&kind) && text(spec, "/externalTrafficPolicy").is_empty() {
        spec["externalTrafficPolicy"] = json!("Cluster");
    }
    if kind == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"].is_null() {
        spec["allocateLoadBalancerNodePorts"] = json!(true);
    }
    if kind != "ExternalName" && spec["internalTrafficPolicy"].is_null() {
        spec["internalTrafficPolicy"] = json!("Cluster");
    }
}

pub(super) fn prepare(write: Write<'_>, service: &mut Value) -> Result<(), Failure> {
    if write.subresource == "status" {
        keep(service, write.old, "spec");
        return Ok(());
    }
    keep(service, write.old, "status");
    if let Some(old) = write.old {
        carry(old, service);
    }
    let name = text(service, "/metadata/name").to_owned();
    let refuse = |field: &str, value: &Value, why: &str| {
        Err(Failure::invalid(
            "",
            "Service",
            &name,
            vec![Cause::invalid(field, value, why)],
        ))
    };
    let held = |pointer: &str| {
        write
            .old
            .is_some_and(|old| old.pointer(pointer) == service.pointer(pointer))
    };
    let kind = text(service, "/spec/type").to_owned();
    if kind == "ExternalName" {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            service["spec"][key] = Value::Null;
        }
        return Ok(());
    }
    let asked = text(service, "/spec/clusterIP").to_owned();
    let address = match asked.as_str() {
        "" => write.taken.next_address(),
        "None" => asked,
        given if write.taken.addresses.contains(given) && !held("/spec/clusterIP") => {
            return refuse(
                "spec.clusterIPs",
                &json!([given]),
                "failed to allocate IP: provided IP is already allocated",
            );
        }
        _ => asked,
    };
    let headless = address == "None" && service.pointer("/spec/selector").is_none();
    let spec = &mut service["spec"];
    spec["clusterIP"] = json!(address);
    if items(spec, "/clusterIPs").is_empty() {
        spec["clusterIPs"] = json!([address]);
    }
    if items(spec, "/ipFamilies").is_empty() {
        spec["ipFamilies"] = if headless {
            json!(["IPv4", "IPv6"])
        } else {
            json!(["IPv4"])
        };
    }
    if text(spec, "/ipFamilyPolicy").is_empty() {
        spec["ipFamilyPolicy"] = json!(if headless {
            "RequireDualStack"
        } else {
            "SingleStack"
        });
    }
    let wants_ports = kind == "NodePort"
        || (kind == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] == json!(true));
    let mut also = BTreeSet::new();
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if wants_ports && port["nodePort"].as_i64().unwrap_or_default() == 0 {
            port["nodePort"] = json!(write.taken.next_port(&also));
        }
        also.extend(port["nodePort"].as_i64());
    }
    Ok(())
}

/// An update that leaves out what was allocated keeps it.
fn carry(old: &Value, service: &mut Value) {
    let (before, after) = (
        text(old, "/spec/type").to_owned(),
        text(service, "/spec/type").to_owned(),
    );
    if before != "ExternalName" && after != "ExternalName" {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let given = service["spec"]
                .get(key)
                .is_some_and(|value| !value.is_null() && *value != json!(""));
            if !given {
                service["spec"][key] = old["spec"][key].clone();
            }
        }
    }
    if exposed(&before) && exposed(&after) {
        let held = items(old, "/spec/ports").to_vec();
        for port in service["spec"]
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let same = |held: &&Value| {
                ["port", "protocol"]
                    .iter()
                    .all(|key| held[*key] == port[*key])
            };
            if port["nodePort"].is_null()
                && let Some(held) = held.iter().find(same)
            {
                port["nodePort"] = held["nodePort"].clone();
            }
        }
    }
    if exposed(&before) && !exposed(&after) {
        service["spec"]["externalTrafficPolicy"] = Value::Null;
        for port in service["spec"]
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            port["nodePort"] = Value::Null;
        }
    }
    if before == "LoadBalancer" && after != "LoadBalancer" {
        service["spec"]["allocateLoadBalancerNodePorts"] = Value::Null;
        service["status"] = json!({"loadBalancer": {}});
    }
}

fn exposed(kind: &str) -> bool {
    matches!(kind, "NodePort" | "LoadBalancer")
}

pub(super) fn validate(write: Write<'_>, service: &Value) -> Vec<Cause> {
    if write.subresource == "status" {
        return validate_status(service);
    }
    let mut causes = Vec::new();
    let kind = text(service, "/spec/type");
    let ports = items(service, "/spec/ports");
    if !["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].contains(&kind) {
        let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        causes.push(Cause::not_supported("spec.type", &json!(kind), &known));
    }
    if ports.is_empty() && text(service, "/spec/clusterIP") != "None" && kind != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    if kind == "ExternalName" {
        match text(service, "/spec/externalName").trim_end_matches('.') {
            "" => causes.push(Cause::required("spec.externalName", "")),
            host => causes.extend(
                meta::subdomain(host)
                    .iter()
                    .map(|problem| Cause::invalid("spec.externalName", &json!(host), problem)),
            ),
        }
    }
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (at, port) in ports.iter().enumerate() {
        let field = |key: &str| format!("spec.ports[{at}].{key}");
        match text(port, "/name") {
            "" if ports.len() > 1 => causes.push(Cause::required(field("name"), "")),
            "" => {}
            name => {
                causes.extend(
                    meta::label(name)
                        .iter()
                        .map(|problem| Cause::invalid(field("name"), &json!(name), problem)),
                );
                if !names.insert(name) {
                    causes.push(Cause::duplicate(field("name"), &json!(name)));
                }
            }
        }
        if !port["port"]
            .as_i64()
            .is_some_and(|number| (1..=65_535).contains(&number))
        {
            causes.push(Cause::invalid(
                field("port"),
                &port["port"],
                "must be between 1 and 65535, inclusive",
            ));
        }
        if port["targetPort"]
            .as_i64()
            .is_some_and(|number| !(1..=65_535).contains(&number))
        {
            causes.push(Cause::invalid(
                field("targetPort"),
                &port["targetPort"],
                "must be between 1 and 65535, inclusive",
            ));
        }
        if !["SCTP", "TCP", "UDP"].contains(&text(port, "/protocol")) {
            causes.push(Cause::not_supported(
                field("protocol"),
                &port["protocol"],
                &["SCTP", "TCP", "UDP"],
            ));
        }
        if !seen.insert((port["port"].as_i64(), text(port, "/protocol"))) {
            causes.push(Cause::duplicate(
                format!("spec.ports[{at}]"),
                &json!({"port": port["port"], "protocol": port["protocol"]}),
            ));
        }
    }
    causes.extend(meta::labels(
        "spec.selector",
        service.pointer("/spec/selector"),
    ));
    if !["None", "ClientIP"].contains(&text(service, "/spec/sessionAffinity")) {
        causes.push(Cause::not_supported(
            "spec.sessionAffinity",
            &service["spec"]["sessionAffinity"],
            &["ClientIP", "None"],
        ));
    }
    for (at, address) in items(service, "/spec/clusterIPs").iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        if address != "None" && address.parse::<IpAddr>().is_err() {
            causes.push(Cause::invalid(
                format!("spec.clusterIPs[{at}]"),
                &json!(address),
                BAD_ADDRESS,
            ));
        }
    }
    if let Some(old) = write.old {
        let (before, after) = (&old["spec"]["clusterIPs"], &service["spec"]["clusterIPs"]);
        if !before.is_null() && !after.is_null() && before[0] != after[0] {
            causes.push(Cause::invalid(
                "spec.clusterIPs[0]",
                after,
                "may not change once set",
            ));
        }
    }
    causes
}

const BAD_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

fn validate_status(service: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (at, ingress) in items(service, "/status/loadBalancer/ingress")
        .iter()
        .enumerate()
    {
        let field = |key: &str| format!("status.loadBalancer.ingress[{at}].{key}");
        let (ip, hostname) = (text(ingress, "/ip"), text(ingress, "/hostname"));
        if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
            causes.push(Cause::invalid(field("ip"), &json!(ip), BAD_ADDRESS));
        }
        if ip.is_empty() && ingress.get("ipMode").is_some() {
            causes.push(Cause::forbidden(
                field("ipMode"),
                "may not be specified when `ip` is not set",
            ));
        }
        if !hostname.is_empty() {
            causes.extend(
                meta::subdomain(hostname)
                    .iter()
                    .map(|problem| Cause::invalid(field("hostname"), &json!(hostname), problem)),
            );
            if hostname.parse::<IpAddr>().is_ok() {
                causes.push(Cause::invalid(
                    field("hostname"),
                    &json!(hostname),
                    "must be a DNS name, not an IP address",
                ));
            }
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::tests::write;
    use super::*;

    fn service(spec: &Value) -> Result<Value, String> {
        write(
            "services",
            "",
            None,
            &json!({"metadata": {"name": "a"}, "spec": spec}),
        )
    }

    #[test]
    fn defaults_are_as_recorded() {
        let spec = |given: &Value| service(given).expect("it fits")["spec"].clone();
        assert_eq!(
            spec(
                &json!({"ports": [{"port": 80, "name": "x"}, {"port": 81, "name": "y", "targetPort": "web", "protocol": "UDP"}]})
            ),
            json!({
                "ports": [
                    {"name": "x", "protocol": "TCP", "port": 80, "targetPort": 80},
                    {"name": "y", "protocol": "UDP", "port": 81, "targetPort": "web"},
                ],
                "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "type": "ClusterIP", "sessionAffinity": "None",
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
            })
        );
        assert_eq!(
            spec(&json!({"clusterIP": "None"})),
            json!({
                "clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP", "sessionAffinity": "None",
                "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack", "internalTrafficPolicy": "Cluster",
            })
        );
        assert_eq!(
            spec(&json!({"type": "ExternalName", "externalName": "example.com"})),
            json!({"type": "ExternalName", "sessionAffinity": "None", "externalName": "example.com"})
        );
        assert_eq!(
            spec(&json!({"type": "LoadBalancer", "ports": [{"port": 80}]})),
            json!({
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80, "nodePort": 30000}],
                "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "type": "LoadBalancer", "sessionAffinity": "None",
                "externalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "allocateLoadBalancerNodePorts": true, "internalTrafficPolicy": "Cluster",
            })
        );
    }

    #[test]
    fn addresses_are_handed_out_once_and_kept() {
        let first = service(&json!({"ports": [{"port": 80}]})).expect("it fits");
        let taken = Taken::of([&first]);
        assert_eq!(taken.next_address(), "10.96.0.11");
        let again = write(
            "services",
            "",
            Some(&first),
            &json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 81}]}}),
        );
        assert_eq!(again.expect("it fits")["spec"]["clusterIP"], "10.96.0.10");
        let other = write(
            "services",
            "",
            Some(&first),
            &json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.0.99", "clusterIPs": ["10.96.0.99"], "ports": [{"port": 80}]}}),
        );
        assert_eq!(
            other,
            Err("Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.0.99\"]: may not change once set".to_owned())
        );
    }

    #[test]
    fn status_is_written_through_status_only() {
        let old =
            service(&json!({"type": "LoadBalancer", "ports": [{"port": 80}]})).expect("it fits");
        let mut new = old.clone();
        new["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example.com"}]}});
        assert_eq!(write("services", "", Some(&old), &new), Ok(old.clone()));
        let status = write("services", "status", Some(&old), &new).expect("it fits");
        assert_eq!(
            status["status"],
            json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "lb.example.com"}]}})
        );
        new["status"] = json!({"loadBalancer": {"ingress": [{"ip": "x"}]}});
        assert_eq!(
            write("services", "status", Some(&old), &new),
            Err(format!(
                "Service \"a\" is invalid: status.loadBalancer.ingress[0].ip: Invalid value: \"x\": {BAD_ADDRESS}"
            ))
        );
    }

    #[test]
    fn ports_are_checked() {
        assert_eq!(
            service(&json!({})),
            Err("Service \"a\" is invalid: spec.ports: Required value".to_owned())
        );
        assert_eq!(
            service(&json!({"ports": [{"port": 0}]})),
            Err("Service \"a\" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, \
                 spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive]"
                .to_owned())
        );
    }
}
