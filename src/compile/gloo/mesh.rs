//! The edge above a mesh: each cluster's Gloo calls the service's Pods by mutual TLS, as a member of their mesh, and takes
//! no others for them. Written on every cluster of the order: traffic that failed over reaches its Pods through the
//! Upstream of their own cluster. (Gloo's guides on Istio mutual TLS; Istio's sidecars know mutual TLS by ALPN `istio`.)

use super::super::Made;
use super::{Job, Place, manifest, names, need};
use crate::compile::Side;
use crate::compile::istio::place::Places;
use crate::manifest::{Hold, Wave};
use crate::model::failover::Member;
use crate::model::problem::Problem;
use crate::resource::upstream::{SslConfig, Upstream};
use crate::resource::{Meta, Object, Reference};

/// The protocol by which Istio's inbound side tells mutual TLS of its own kind (istio/istio, `pilot/pkg/networking/util`).
const ALPN: &str = "istio";

/// TLS of the primary's Upstream, when the failover asks for an identity in the mesh.
pub fn primary(job: &Job<'_>, made: &mut Made) -> Option<SslConfig> {
    if let Some(host) = job.failover.mesh.host.as_ref() {
        let what = format!("`mesh.host: {host}` says nothing to Gloo: it is the host of a failover between services");
        let hint = "leave it out, or write target: istioAggregate";
        made.problems.push(job.about(Problem::error("FCT0322", what).hint(hint), "/spec/mesh/host"));
    }
    for field in job.failover.mesh.transparent() {
        let what = format!("`mesh.{field}` says nothing to Gloo: it is about callers inside a mesh");
        let hint = "leave it out, or write target: istioLocality";
        made.problems.push(job.about(Problem::error("FCT0322", what).hint(hint), format!("/spec/mesh/{field}")));
    }
    ssl(job, job.failover.primary(), "/spec/order/0/clusters/0", made)
}

/// The backups' own Upstreams, to which their failover gateways forward.
pub fn backups(job: &Job<'_>, made: &mut Made) {
    for (g, group) in job.failover.order.iter().enumerate().skip(1) {
        for (m, member) in group.iter().enumerate() {
            let pointer = format!("/spec/order/{g}/clusters/{m}");
            let Some(ssl_config) = ssl(job, member, &pointer, made) else { continue };
            let Some(place) = job.place(&member.cluster) else { continue };
            let reference = names::upstream(place.gloo, &member.service);
            let spec = Upstream { ssl_config: Some(ssl_config), ..Upstream::default() };
            let body = Object::new(Meta::new(reference.name, reference.namespace), spec).body();
            made.identities.push(manifest(place, body, Hold::Fields, Wave::Upstreams));
        }
    }
}

fn ssl(job: &Job<'_>, member: &Member, pointer: &str, made: &mut Made) -> Option<SslConfig> {
    if !job.failover.mesh.identity {
        return None;
    }
    let place: Place<'_> = job.place(&member.cluster)?;
    if place.cluster.istio.is_none() {
        let what =
            format!("`mesh.identity` needs a mesh, and the fleet does not say that Istio runs on `{}`", member.cluster);
        let hint = "add istio: {version: …} to that cluster, or leave mesh.identity out";
        made.problems.push(job.about(Problem::error("FCT0321", what).hint(hint), pointer));
        return None;
    }
    made.services.insert((member.cluster.clone(), member.service.namespace.to_string()));
    made.secrets.insert(need(place, names::MESH_IDENTITY, Side::Mesh));
    let account = member.service_account.as_ref().map(|a| a.as_str());
    let known = Places::new(job.fleet, job.site).accounts(&member.cluster, &member.service, account);
    let verify_subject_alt_name = known.map_err(|p| made.problems.push(job.about(p, pointer))).ok()?;
    Some(SslConfig {
        alpn_protocols: vec![ALPN],
        secret_ref: Reference::new(names::MESH_IDENTITY, place.gloo.namespace.as_str()),
        verify_subject_alt_name,
    })
}
