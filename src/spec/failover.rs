//! Failover documents. What comes in: one document and the names of the fleet's clusters. What goes out: a failover,
//! or everything that is wrong with it. May not know: targets.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::mesh;
use super::raw::{
    DetectionSpec, FailoverDoc, GroupSpec, HealthCheckSpec, MemberSpec, OutlierSpec, RetriesSpec, RouteSpec,
    ServiceSpec, TargetSpec,
};
use super::reading::Reading;
use super::shape::Spelling;
use super::text::{Located, meant};
use crate::model::duration::Millis;
use crate::model::failover::{
    Detection, Failback, Failover, HealthCheck, Member, OutlierDetection, Retry, RouteIntent, ServiceRef, Target,
    TargetChoice,
};
use crate::model::fleet::Fleet;
use crate::model::name::{ClusterName, Namespace, ObjectName};
use crate::model::problem::Problem;

/// The JSON Schema of failover documents.
pub static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(FailoverDoc).to_value());

/// Envoy's route timeout where none is given.
pub const DEFAULT_ROUTE_TIMEOUT: Millis = Millis::secs(15);
/// Retries where the document does not say: one for the backup, one more if that attempt fails too.
const DEFAULT_ATTEMPTS: u32 = 2;

/// Reads a failover document. Without a fleet (none was given, which is said elsewhere) names are not looked up.
pub fn read(document: &Located, value: Value, fleet: Option<&Fleet>) -> (Option<Failover>, Vec<Problem>) {
    let (mut r, doc) = Reading::begin::<FailoverDoc>(document, &SCHEMA, value, Spelling::Exact);
    let Some(doc) = doc else { return (None, r.problems) };
    let name = doc.metadata.and_then(|m| r.word("/metadata/name", m.name, |t| ObjectName::new(t)));
    let Some(spec) = doc.spec else { return (None, r.problems) };
    let service = spec.service.map(|s| service(&mut r, s));
    let order = spec.order.map(|o| order(&mut r, o, service.as_ref(), fleet));
    let detection = spec.detection.and_then(|d| detection(&mut r, d));
    let route = spec.route.and_then(|s| route(&mut r, s));
    let retry = retries(&mut r, spec.retries, route.as_ref());
    let stable_for = spec.failback.and_then(|f| r.optional_time("/spec/failback/stableFor", f.stable_for));
    let detection = detection.map(|(d, healthy)| guarded(&mut r, d, healthy, stable_for));
    let mesh = spec.mesh.map(|m| mesh::read(&mut r, m, fleet)).unwrap_or_default();
    let target = match spec.target {
        None | Some(TargetSpec::Auto) => TargetChoice::Auto,
        Some(TargetSpec::GlooFederation) => TargetChoice::Is(Target::GlooFederation),
        Some(TargetSpec::GlooUpstream) => TargetChoice::Is(Target::GlooUpstream),
        Some(TargetSpec::IstioAggregate) => TargetChoice::Is(Target::IstioAggregate),
        Some(TargetSpec::IstioLocality) => TargetChoice::Is(Target::IstioLocality),
    };
    let wrong = r.problems.iter().any(|p| p.severity == crate::model::problem::Severity::Error);
    let whole = move || {
        let failback = Failback { stable_for };
        Some(Failover { name: name?, order: order??, detection: detection?, retry, failback, route, target, mesh })
    };
    (if wrong { None } else { whole() }, r.problems)
}

/// The service as far as it could be read.
struct PartialService {
    namespace: Option<Namespace>,
    name: Option<ObjectName>,
    port: Option<u16>,
}

fn service(r: &mut Reading<'_>, spec: ServiceSpec) -> PartialService {
    PartialService {
        namespace: r.word("/spec/service/namespace", spec.namespace, |t| Namespace::new(t)),
        name: r.word("/spec/service/name", spec.name, |t| ObjectName::new(t)),
        port: spec.port,
    }
}

fn order(
    r: &mut Reading<'_>,
    groups: Vec<GroupSpec>,
    service: Option<&PartialService>,
    fleet: Option<&Fleet>,
) -> Option<Vec<Vec<Member>>> {
    if groups.is_empty() {
        r.error("FCT0202", "/spec/order", "`order` is empty; the first group is the primary", None);
        return None;
    }
    if groups.len() == 1 {
        let hint = "add a second group with the clusters that take over";
        r.error("FCT0207", "/spec/order", "there is a primary and nothing to fail over to", Some(hint.into()));
    }
    let mut seen: BTreeSet<(ClusterName, ServiceRef)> = BTreeSet::new();
    let mut read = Vec::with_capacity(groups.len());
    for (g, group) in groups.into_iter().enumerate() {
        let at = format!("/spec/order/{g}");
        let members = group.clusters;
        if members.as_ref().is_some_and(Vec::is_empty) {
            r.error("FCT0202", &at, "this group has no cluster", None);
        }
        let mut whole = Vec::new();
        for (m, spec) in members.into_iter().flatten().enumerate() {
            let at = format!("{at}/clusters/{m}");
            let Some(member) = member(r, &at, spec, service, fleet) else { continue };
            if !seen.insert((member.cluster.clone(), member.service.clone())) {
                let ServiceRef { namespace, name, .. } = &member.service;
                let what = format!("`{namespace}/{name}` on `{}` is in the order twice", member.cluster);
                r.error("FCT0208", &at, what, Some("each place may stand in the order once".into()));
            }
            whole.push(member);
        }
        weights(r, &at, &whole);
        read.push(whole);
    }
    read.iter().all(|g| !g.is_empty()).then_some(read)
}

/// In a group either every member has a weight or none.
fn weights(r: &mut Reading<'_>, at: &str, group: &[Member]) {
    let weighted = group.iter().filter(|m| m.weight.is_some()).count();
    if weighted != 0 && weighted != group.len() {
        let without = group.iter().filter(|m| m.weight.is_none()).map(|m| format!("`{}`", m.cluster));
        let without = without.collect::<Vec<_>>().join(", ");
        let hint = format!("give {without} a weight too, or nobody");
        r.error("FCT0209", at, "some clusters of this group have a weight and some have none", Some(hint));
    }
}

/// A cluster's name must be one of the fleet's.
pub(super) fn known(r: &mut Reading<'_>, at: &str, cluster: &ClusterName, fleet: Option<&Fleet>) {
    let Some(fleet) = fleet.filter(|f| !f.clusters.contains_key(cluster)) else { return };
    let hint = meant(cluster.as_str(), fleet.clusters.keys().map(ClusterName::as_str));
    r.error("FCT0210", at, format!("`{cluster}` is no cluster of the fleet"), Some(hint));
}

fn member(
    r: &mut Reading<'_>,
    at: &str,
    spec: MemberSpec,
    service: Option<&PartialService>,
    fleet: Option<&Fleet>,
) -> Option<Member> {
    let cluster = r.word(&format!("{at}/name"), spec.name, |t| ClusterName::new(t));
    cluster.iter().for_each(|c| known(r, &format!("{at}/name"), c, fleet));
    let own = spec.service;
    let (namespace, name, port) = own.map_or((None, None, None), |s| (s.namespace, s.name, s.port));
    let namespace = match namespace {
        Some(_) => r.word(&format!("{at}/service/namespace"), namespace, |t| Namespace::new(t)),
        None => service.and_then(|s| s.namespace.clone()),
    };
    let name = match name {
        Some(_) => r.word(&format!("{at}/service/name"), name, |t| ObjectName::new(t)),
        None => service.and_then(|s| s.name.clone()),
    };
    let service =
        ServiceRef { namespace: namespace?, name: name?, port: port.or_else(|| service.and_then(|s| s.port))? };
    let service_account = r.word(&format!("{at}/serviceAccount"), spec.service_account, |t| ObjectName::new(t));
    Some(Member { cluster: cluster?, service, weight: spec.weight, service_account })
}

/// Detection, and the healthy threshold if the document wrote one.
fn detection(r: &mut Reading<'_>, spec: DetectionSpec) -> Option<(Detection, Option<u32>)> {
    let written = spec.active_health_check.as_ref().and_then(|h| h.healthy_threshold);
    let nothing = spec.active_health_check.is_none() && spec.outlier_detection.is_none();
    let active = spec.active_health_check.and_then(|h| health_check(r, h));
    let passive = spec.outlier_detection.map(|o| outlier(r, o));
    if nothing {
        let hint = "write activeHealthCheck: {path: /health}, or outlierDetection: {}, or both";
        r.error("FCT0211", "/spec/detection", "without detection nothing would ever fail over", Some(hint.into()));
    }
    let detection = match (active, passive) {
        (Some(h), Some(o)) => Detection::Both(h, o),
        (Some(h), None) => Detection::Active(h),
        (None, Some(o)) => Detection::Passive(o),
        (None, None) => return None,
    };
    Some((detection, written))
}

fn health_check(r: &mut Reading<'_>, spec: HealthCheckSpec) -> Option<HealthCheck> {
    const AT: &str = "/spec/detection/activeHealthCheck";
    let path = r.word(&format!("{AT}/path"), spec.path, path);
    let interval = r.time(&format!("{AT}/interval"), spec.interval, Millis::secs(1));
    let timeout = r.time(&format!("{AT}/timeout"), spec.timeout, Millis::secs(1));
    let no_traffic_interval = r.time(&format!("{AT}/noTrafficInterval"), spec.no_traffic_interval, interval);
    if no_traffic_interval > interval.max(Millis::secs(10)) {
        let what = format!("with `noTrafficInterval: {no_traffic_interval}` a loss stays unseen that long while idle");
        let hint = format!("leave it out; the default is the interval, {interval}");
        r.warning("FCT0212", &format!("{AT}/noTrafficInterval"), what, Some(hint));
    }
    Some(HealthCheck {
        path: path?,
        interval,
        timeout,
        unhealthy_threshold: spec.unhealthy_threshold.unwrap_or(2),
        healthy_threshold: spec.healthy_threshold.unwrap_or(2),
        no_traffic_interval,
    })
}

/// A path begins with a slash and holds nothing that ends a request line.
fn path(text: &str) -> Result<String, String> {
    match text {
        t if !t.starts_with('/') => Err(format!("`{t}` is not a path; it begins with `/`")),
        t if t.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            Err("a path holds no spaces and no control characters".into())
        }
        t => Ok(t.into()),
    }
}

fn outlier(r: &mut Reading<'_>, spec: OutlierSpec) -> OutlierDetection {
    const AT: &str = "/spec/detection/outlierDetection";
    let max_ejection_percent = spec.max_ejection_percent.unwrap_or(100);
    if max_ejection_percent == 0 {
        let what = "`maxEjectionPercent: 0` never ejects a host, so nothing would fail over";
        r.error("FCT0213", &format!("{AT}/maxEjectionPercent"), what, Some("write 100, or leave it out".into()));
    } else if max_ejection_percent < 100 {
        let most = 100 / u32::from(max_ejection_percent);
        let what = format!(
            "with `maxEjectionPercent: {max_ejection_percent}` some hosts of a dead cluster keep their traffic, and where \
             there are fewer than {most} hosts none is ejected"
        );
        r.warning("FCT0214", &format!("{AT}/maxEjectionPercent"), what, Some("write 100, or leave it out".into()));
    }
    OutlierDetection {
        consecutive_5xx: spec.consecutive_5xx.unwrap_or(5),
        interval: r.time(&format!("{AT}/interval"), spec.interval, Millis::secs(10)),
        base_ejection_time: r.time(&format!("{AT}/baseEjectionTime"), spec.base_ejection_time, Millis::secs(30)),
        max_ejection_percent,
    }
}

/// The detection with the threshold that the failback guard asks for.
fn guarded(r: &mut Reading<'_>, detection: Detection, written: Option<u32>, stable_for: Option<Millis>) -> Detection {
    let Some(stable_for) = stable_for else { return detection };
    const AT: &str = "/spec/failback/stableFor";
    let with = |r: &mut Reading<'_>, mut check: HealthCheck| {
        let passes = stable_for.0.div_ceil(check.interval.0.max(1)).max(1);
        let passes = u32::try_from(passes).unwrap_or(u32::MAX);
        match written {
            Some(written) if written != passes => {
                let what = format!(
                    "`stableFor: {stable_for}` means {passes} passes at an interval of {}, and `healthyThreshold` says {written}",
                    check.interval
                );
                r.error("FCT0215", AT, what, Some("write one of the two".into()));
            }
            _ => check.healthy_threshold = passes,
        }
        check
    };
    match detection {
        Detection::Active(check) => Detection::Active(with(r, check)),
        Detection::Both(check, outlier) => Detection::Both(with(r, check), outlier),
        Detection::Passive(outlier) => {
            let hint = "add an activeHealthCheck; outlier detection alone lets a host back in when its time is over";
            r.error("FCT0216", AT, "`stableFor` needs somebody who asks the primary how it is", Some(hint.into()));
            Detection::Passive(outlier)
        }
    }
}

fn route(r: &mut Reading<'_>, spec: RouteSpec) -> Option<RouteIntent> {
    let prefix = spec.prefix.or_else(|| Some("/".into()));
    let prefix = r.word("/spec/route/prefix", prefix, path);
    let timeout = r.optional_time("/spec/route/timeout", spec.timeout);
    let mut hosts = Vec::new();
    let written = spec.hosts.unwrap_or_else(|| vec!["*".into()]);
    if written.is_empty() {
        r.error(
            "FCT0202",
            "/spec/route/hosts",
            "`hosts` is empty",
            Some("write [\"*\"] for all, or leave it out".into()),
        );
    }
    for (i, text) in written.into_iter().enumerate() {
        let at = format!("/spec/route/hosts/{i}");
        let Some(name) = r.word(&at, Some(text), route_host) else { continue };
        if hosts.contains(&name) {
            r.error("FCT0208", &at, format!("the host `{name}` is there twice"), None);
            continue;
        }
        hosts.push(name);
    }
    hosts.sort();
    Some(RouteIntent { hosts, prefix: prefix?, timeout })
}

/// A host of a route: `*`, `*.example.com`, a name, each with an optional port.
fn route_host(text: &str) -> Result<String, String> {
    let (name, port) = text.rsplit_once(':').map_or((text, None), |(n, p)| (n, Some(p)));
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let good = bare == "*" || ObjectName::new(bare.to_ascii_lowercase()).is_ok();
    if good && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p != 0)) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("`{text}` is no host name; write for example shop.example.com, *.example.com or *"))
}

fn retries(r: &mut Reading<'_>, spec: Option<RetriesSpec>, route: Option<&RouteIntent>) -> Retry {
    const AT: &str = "/spec/retries/perTryTimeout";
    let whole = route.and_then(|r| r.timeout).unwrap_or(DEFAULT_ROUTE_TIMEOUT);
    let (attempts, per_try, idempotent) =
        spec.map_or((None, None, None), |s| (s.attempts, s.per_try_timeout, s.idempotent));
    let attempts = attempts.unwrap_or(DEFAULT_ATTEMPTS);
    let share = Millis((whole.0 / (u64::from(attempts) + 1)).max(1));
    let written = per_try.is_some();
    let per_try_timeout = r.time(AT, per_try, share);
    let said = route.and_then(|r| r.timeout).is_some();
    let owner = if said { "the route's timeout" } else { "the route's default timeout" };
    if written && attempts > 0 && per_try_timeout > whole {
        let what =
            format!("one attempt may take {per_try_timeout}, longer than {owner} of {whole}: no retry would start");
        r.error("FCT0217", AT, what, Some(format!("write {share} or less, or a longer route.timeout")));
    } else if written && attempts > 0 && per_try_timeout.0 * 2 > whole.0 {
        let what = format!("after one attempt of {per_try_timeout} a second one does not fit into {owner} of {whole}");
        r.warning("FCT0218", AT, what, Some(format!("write {share} or less, or a longer route.timeout")));
    }
    Retry { attempts, per_try_timeout, idempotent: idempotent.unwrap_or(false) }
}
