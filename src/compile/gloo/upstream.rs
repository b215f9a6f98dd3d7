//! The primary's Upstream: detection, and under target glooUpstream the failover itself.

use std::net::IpAddr;

use super::super::Made;
use super::{Job, Way, detection, manifest, mesh, names};
use crate::manifest::{Hold, Wave};
use crate::model::failover::Member;
use crate::model::identity;
use crate::model::problem::Problem;
use crate::resource::upstream::{
    Failover, LbEndpoint, Locality, LocalityEndpoints, PrioritizedLocality, Upstream, UpstreamSslConfig,
};
use crate::resource::{Meta, Object, Reference};

/// Detection alone; Federation adds the failover.
pub fn detection_only(job: &Job<'_>, made: &mut Made) {
    let spec = Upstream { ssl_config: mesh::primary(job, made), ..detection::spec(job) };
    write(job, spec, Wave::Upstreams, made);
}

/// Detection and failover in one body: one field manager has one opinion of an object.
pub fn with_failover(job: &Job<'_>, made: &mut Made) {
    let mut groups = Vec::new();
    for (g, group) in job.failover.order.iter().enumerate().skip(1) {
        let members = group.iter().enumerate();
        let places = members.filter_map(|(m, member)| {
            let pointer = format!("/spec/order/{g}/clusters/{m}");
            locality(job, member, group.len() > 1, &pointer).map_err(|p| made.problems.push(p)).ok()
        });
        groups.push(PrioritizedLocality { locality_endpoints: places.collect() });
    }
    let failover = Some(Failover { prioritized_localities: groups });
    let spec = Upstream { failover, ssl_config: mesh::primary(job, made), ..detection::spec(job) };
    write(job, spec, Wave::Failover, made);
}

fn write(job: &Job<'_>, spec: Upstream, wave: Wave, made: &mut Made) {
    let reference = names::upstream(job.primary.gloo, &job.failover.primary().service);
    let body = Object::new(Meta::new(reference.name, reference.namespace), spec).body();
    made.manifests.push(manifest(job.primary, body, Hold::Fields, wave));
    made.problems.extend(detection::notes(job));
}

fn locality(job: &Job<'_>, member: &Member, shared: bool, pointer: &str) -> Result<LocalityEndpoints, Problem> {
    let unknown = || Problem::error("FCT0305", format!("Gloo does not run on `{}`", member.cluster));
    let place = job.place(&member.cluster).ok_or_else(|| job.about(unknown(), pointer))?;
    let address = match job.site.gateway(job.fleet, &member.cluster) {
        Some(Ok(address)) => address,
        Some(Err(problem)) => return Err(job.about(problem, pointer)),
        None => {
            let what = format!("the address of the failover gateway of `{}` is not known here", member.cluster);
            let hint = format!(
                "set gateway: {{host: …, port: …}} for `{}` in the fleet, or use `failctl diff` or `failctl apply`, which discover it",
                member.cluster
            );
            return Err(job.about(Problem::error("FCT0313", what).hint(hint), pointer));
        }
    };
    if member.weight.is_some() && address.host.parse::<IpAddr>().is_err() {
        let what = format!(
            "`{}` has a weight and the DNS address {}; Gloo allows no weight on a locality with a DNS address",
            member.cluster, address.host
        );
        let hint = "leave the weights of this group out, or give the gateway an IP address";
        return Err(job.about(Problem::error("FCT0314", what).hint(hint), format!("{pointer}/weight")));
    }
    let upstream = names::upstream(place.gloo, &member.service);
    let named = names::gateway(Way::Upstream);
    Ok(LocalityEndpoints {
        lb_endpoints: vec![LbEndpoint {
            address: address.host,
            port: address.port,
            upstream_ssl_config: UpstreamSslConfig {
                secret_ref: Reference::new(named.client_secret, job.primary.gloo.namespace.as_str()),
                sni: names::sni(&upstream),
                verify_subject_alt_name: vec![identity::server(&job.fleet.name, &member.cluster)],
            },
        }],
        load_balancing_weight: member.weight,
        locality: Locality {
            region: place.cluster.region.clone(),
            zone: place.cluster.zone.clone(),
            // Envoy tells localities of one priority apart by name; two clusters may share region and zone.
            sub_zone: shared.then(|| member.cluster.to_string()),
        },
    })
}
