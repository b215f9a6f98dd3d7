//! TrafficPolicy (v1alpha2): selectors, where requests go, how loss is noticed. What failctl does not compile is an
//! error that says so. May not know: which Services there are, what becomes of it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::smh::{RefSpec, SelectorSpec, ServiceSpec};
use crate::model::duration::Millis;
use crate::model::failover::OutlierDetection;
use crate::model::fleet::Fleet;
use crate::model::problem::{Problem, Severity};
use crate::model::smh::{HttpMatcher, Path, Reference, Retries, ServiceSelector, ShiftTo, TrafficPolicy};
use crate::spec::reading::Reading;
use crate::spec::shape::Spelling;
use crate::spec::text::Located;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Doc).to_value());

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Doc {
    /// Whose traffic, and what is done to it.
    #[schemars(required)]
    spec: Option<Spec>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    /// Whose requests; everybody's when empty.
    source_selector: Option<Vec<SelectorSpec>>,
    /// Which Services; all when empty.
    destination_selector: Option<Vec<DestinationSpec>>,
    /// Which requests; all when empty.
    http_request_matchers: Option<Vec<MatcherSpec>>,
    /// Where they are sent instead.
    traffic_shift: Option<ShiftSpec>,
    /// Not compiled.
    fault_injection: Option<Value>,
    /// Time a whole request may take.
    request_timeout: Option<String>,
    /// When requests are tried again.
    retries: Option<RetriesSpec>,
    /// Not compiled.
    cors_policy: Option<Value>,
    /// Not compiled.
    mirror: Option<Value>,
    /// Not compiled.
    header_manipulation: Option<Value>,
    /// How loss is noticed.
    outlier_detection: Option<OutlierSpec>,
    /// Only Istio's mutual TLS.
    mtls: Option<MtlsSpec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DestinationSpec {
    /// By labels, namespaces and clusters.
    kube_service_matcher: Option<SelectorSpec>,
    /// By name.
    kube_service_refs: Option<RefsSpec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefsSpec {
    /// The Services.
    #[schemars(required)]
    services: Option<Vec<ServiceSpec>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MatcherSpec {
    /// Beginning of the path.
    prefix: Option<String>,
    /// The whole path.
    exact: Option<String>,
    /// A regular expression for the path.
    regex: Option<String>,
    /// Headers.
    headers: Option<Vec<HeaderSpec>>,
    /// Query parameters.
    query_parameters: Option<Vec<ParameterSpec>>,
    /// Method.
    method: Option<MethodSpec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeaderSpec {
    /// Name.
    #[schemars(required)]
    name: Option<String>,
    /// Value; without one the header must be there.
    value: Option<String>,
    /// Whether the value is a regular expression.
    regex: Option<bool>,
    /// Whether it must not match.
    invert_match: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ParameterSpec {
    /// Name.
    #[schemars(required)]
    name: Option<String>,
    /// Value; without one the parameter must be there.
    value: Option<String>,
    /// Whether the value is a regular expression.
    regex: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MethodSpec {
    /// GET, POST, …
    #[schemars(required)]
    method: Option<Method>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShiftSpec {
    /// Where to.
    #[schemars(required)]
    destinations: Option<Vec<ToSpec>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToSpec {
    /// A FailoverService, as v0.7 calls it.
    failover_service_ref: Option<RefSpec>,
    /// A FailoverService, as v0.8 and later call it.
    failover_service: Option<FailoverRefSpec>,
    /// Another Service.
    kube_service: Option<KubeServiceSpec>,
    /// Percent of the requests.
    #[schemars(range(max = 100))]
    weight: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FailoverRefSpec {
    /// Name.
    #[schemars(required)]
    name: Option<String>,
    /// Namespace.
    #[schemars(required)]
    namespace: Option<String>,
    /// Not compiled.
    subset: Option<Value>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KubeServiceSpec {
    /// Name.
    #[schemars(required)]
    name: Option<String>,
    /// Namespace.
    #[schemars(required)]
    namespace: Option<String>,
    /// The cluster, as it is registered.
    #[schemars(required)]
    cluster_name: Option<String>,
    /// Not compiled.
    subset: Option<Value>,
    /// Port, where the Service has several.
    #[schemars(range(min = 1, max = 65535))]
    port: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetriesSpec {
    /// Retries after the first attempt.
    #[schemars(required, range(min = 0, max = 100))]
    attempts: Option<i32>,
    /// Time one attempt may take.
    per_try_timeout: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutlierSpec {
    /// 5xx answers in a row. Default: 5.
    consecutive_errors: Option<u32>,
    /// Time between sweeps. Default: 10s.
    interval: Option<String>,
    /// Time the first ejection lasts. Default: 30s.
    base_ejection_time: Option<String>,
    /// Share of hosts, percent. Default: 100.
    #[schemars(range(max = 100))]
    max_ejection_percent: Option<u8>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MtlsSpec {
    /// Istio's.
    istio: Option<IstioMtlsSpec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IstioMtlsSpec {
    /// The mode.
    tls_mode: Option<TlsMode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum TlsMode {
    Disable,
    Simple,
    IstioMutual,
}

/// Reads a TrafficPolicy.
pub fn read(
    document: &Located,
    value: Value,
    reference: Reference,
    fleet: Option<&Fleet>,
) -> (Option<TrafficPolicy>, Vec<Problem>) {
    let (mut r, doc) = Reading::begin::<Doc>(document, &SCHEMA, value, Spelling::Proto);
    let Some(spec) = doc.and_then(|d| d.spec) else { return (None, r.problems) };
    let r = &mut r;
    refuse(r, &spec);
    let mut policy = TrafficPolicy {
        reference,
        sources: Vec::new(),
        destinations: Vec::new(),
        matchers: Vec::new(),
        shift: Vec::new(),
        outlier: spec.outlier_detection.map(|o| outlier(r, o)),
        retries: spec.retries.and_then(|s| retries(r, s)),
        timeout: r.optional_time("/spec/requestTimeout", spec.request_timeout),
    };
    for (i, selector) in spec.source_selector.into_iter().flatten().enumerate() {
        policy.sources.push(selector.read(r, &format!("/spec/sourceSelector/{i}"), fleet));
    }
    for (i, selector) in spec.destination_selector.into_iter().flatten().enumerate() {
        policy.destinations.push(destination(r, &format!("/spec/destinationSelector/{i}"), selector, fleet));
    }
    for (i, spec) in spec.http_request_matchers.into_iter().flatten().enumerate() {
        policy.matchers.push(matcher(r, &format!("/spec/httpRequestMatchers/{i}"), spec));
    }
    if let Some(shift) = spec.traffic_shift {
        policy.shift = shifted(r, shift, fleet);
    }
    if policy.outlier.is_some() && !policy.sources.is_empty() {
        let what = "outlier detection belongs to a Service and cannot differ by caller";
        let hint = "leave sourceSelector out, or put outlierDetection into a policy of its own";
        r.error("FCT0363", "/spec/sourceSelector", what, Some(hint.into()));
    }
    let problems = std::mem::take(&mut r.problems);
    let wrong = problems.iter().any(|p| p.severity == Severity::Error);
    ((!wrong).then_some(policy), problems)
}

/// What failctl does not compile, and would otherwise lose in silence.
fn refuse(r: &mut Reading<'_>, spec: &Spec) {
    let given = [
        ("faultInjection", spec.fault_injection.is_some()),
        ("corsPolicy", spec.cors_policy.is_some()),
        ("mirror", spec.mirror.is_some()),
        ("headerManipulation", spec.header_manipulation.is_some()),
    ];
    for (field, _) in given.into_iter().filter(|(_, given)| *given) {
        let hint = "leave it out here and write a VirtualService of your own for it";
        r.error("FCT0361", &format!("/spec/{field}"), format!("failctl does not compile `{field}`"), Some(hint.into()));
    }
    let mode = spec.mtls.as_ref().and_then(|m| m.istio.as_ref()).and_then(|i| i.tls_mode);
    if mode.is_some_and(|m| m != TlsMode::IstioMutual) {
        let what = "between clusters there is only mutual TLS with Istio's identities";
        r.error("FCT0361", "/spec/mtls/istio/tlsMode", what, Some("write ISTIO_MUTUAL, or leave mtls out".into()));
    }
    let acts = spec.traffic_shift.is_some()
        || spec.outlier_detection.is_some()
        || spec.retries.is_some()
        || spec.request_timeout.is_some()
        || spec.mtls.is_some()
        || given.iter().any(|(_, given)| *given);
    if !acts {
        let hint = "add outlierDetection, trafficShift, retries or requestTimeout";
        r.warning("FCT0364", "/spec", "this policy selects traffic and does nothing to it", Some(hint.into()));
    }
}

fn destination(r: &mut Reading<'_>, at: &str, spec: DestinationSpec, fleet: Option<&Fleet>) -> ServiceSelector {
    if spec.kube_service_matcher.is_some() && spec.kube_service_refs.is_some() {
        let hint = "make two items of the list: any of them selects";
        r.error("FCT0362", at, "one selector is either a matcher or names, not both", Some(hint.into()));
    }
    let matcher = spec.kube_service_matcher.map(|m| m.read(r, &format!("{at}/kubeServiceMatcher"), fleet));
    let named = spec.kube_service_refs.and_then(|n| n.services);
    let at = format!("{at}/kubeServiceRefs/services");
    if named.as_ref().is_some_and(Vec::is_empty) {
        r.error("FCT0202", &at, "`services` is empty", Some("an empty selector would mean every Service".into()));
    }
    let mut seen = BTreeSet::new();
    let mut refs = Vec::new();
    for (i, spec) in named.into_iter().flatten().enumerate() {
        let at = format!("{at}/{i}");
        let Some(service) = spec.read(r, &at, fleet) else { continue };
        if seen.insert(service.clone()) {
            refs.push(service);
        } else {
            r.error("FCT0208", &at, format!("{service} is selected twice"), None);
        }
    }
    ServiceSelector { matcher, refs }
}

fn matcher(r: &mut Reading<'_>, at: &str, spec: MatcherSpec) -> HttpMatcher {
    let given = [spec.prefix.is_some(), spec.exact.is_some(), spec.regex.is_some()];
    if given.iter().filter(|g| **g).count() > 1 {
        let what = "a path is matched by one of prefix, exact and regex";
        r.error("FCT0362", at, what, Some("make two items of the list: any of them matches".into()));
    }
    let path = spec.exact.map(Path::Exact).or(spec.prefix.map(Path::Prefix)).or(spec.regex.map(Path::Regex));
    let headers = spec.headers.into_iter().flatten().filter_map(|h| {
        Some((h.name?, h.value.filter(|v| !v.is_empty()), h.regex.unwrap_or(false), h.invert_match.unwrap_or(false)))
    });
    let parameters = spec.query_parameters.into_iter().flatten();
    HttpMatcher {
        path,
        method: spec.method.and_then(|m| m.method).map(|m| format!("{m:?}").to_uppercase()),
        headers: headers.collect(),
        parameters: parameters
            .filter_map(|p| Some((p.name?, p.value.filter(|v| !v.is_empty()), p.regex.unwrap_or(false))))
            .collect(),
    }
}

fn shifted(r: &mut Reading<'_>, spec: ShiftSpec, fleet: Option<&Fleet>) -> Vec<(ShiftTo, Option<u32>)> {
    const AT: &str = "/spec/trafficShift/destinations";
    let specs = spec.destinations.unwrap_or_default();
    let several = specs.len() > 1;
    if specs.is_empty() && r.problems.is_empty() {
        r.error("FCT0202", AT, "there is nowhere to shift to", None);
    }
    let mut all = Vec::new();
    let mut sum = 0;
    for (i, spec) in specs.into_iter().enumerate() {
        let at = format!("{AT}/{i}");
        let weight = spec.weight;
        sum += weight.unwrap_or(0);
        if several && weight.is_none() {
            let what = "without `weight` this destination would get no request";
            r.error("FCT0365", &at, what, Some("give every destination a weight; together they are 100".into()));
        }
        let Some(to) = to(r, &at, spec, fleet) else { continue };
        all.push((to, weight.filter(|_| several)));
    }
    if (several || sum > 0) && sum != 100 && !all.is_empty() {
        let what = format!("the weights add up to {sum}");
        r.error("FCT0365", AT, what, Some("weights are percent of the requests; together they are 100".into()));
    }
    all
}

fn to(r: &mut Reading<'_>, at: &str, spec: ToSpec, fleet: Option<&Fleet>) -> Option<ShiftTo> {
    let given = [spec.failover_service_ref.is_some(), spec.failover_service.is_some(), spec.kube_service.is_some()];
    if given.iter().filter(|g| **g).count() != 1 {
        let what = "a destination is one of failoverServiceRef (failoverService since v0.8) and kubeService";
        r.error("FCT0362", at, what, None);
        return None;
    }
    let subset = |r: &mut Reading<'_>, field: &str, given: bool| {
        if given {
            let hint = "leave it out: a failover is between whole Services";
            r.error("FCT0361", &format!("{at}/{field}/subset"), "failctl does not compile `subset`", Some(hint.into()));
        }
    };
    if let Some(reference) = spec.failover_service_ref {
        return reference.read(r, &format!("{at}/failoverServiceRef")).map(ShiftTo::Failover);
    }
    if let Some(f) = spec.failover_service {
        subset(r, "failoverService", f.subset.is_some());
        let reference = RefSpec { name: f.name, namespace: f.namespace };
        return reference.read(r, &format!("{at}/failoverService")).map(ShiftTo::Failover);
    }
    let k = spec.kube_service?;
    subset(r, "kubeService", k.subset.is_some());
    let service = ServiceSpec { name: k.name, namespace: k.namespace, cluster_name: k.cluster_name };
    let service = service.read(r, &format!("{at}/kubeService"), fleet)?;
    Some(ShiftTo::Service(service, k.port.and_then(|p| u16::try_from(p).ok())))
}

fn retries(r: &mut Reading<'_>, spec: RetriesSpec) -> Option<Retries> {
    let per_try_timeout = r.optional_time("/spec/retries/perTryTimeout", spec.per_try_timeout);
    Some(Retries { attempts: u32::try_from(spec.attempts?).ok()?, per_try_timeout })
}

fn outlier(r: &mut Reading<'_>, spec: OutlierSpec) -> OutlierDetection {
    const AT: &str = "/spec/outlierDetection";
    let max_ejection_percent = spec.max_ejection_percent.unwrap_or(100);
    if max_ejection_percent == 0 {
        let what = "`maxEjectionPercent: 0` never ejects a host, so nothing would fail over";
        r.error("FCT0213", &format!("{AT}/maxEjectionPercent"), what, Some("write 100, or leave it out".into()));
    } else if max_ejection_percent < 100 {
        let what = format!(
            "with `maxEjectionPercent: {max_ejection_percent}` some hosts of a dead cluster keep their traffic"
        );
        r.warning("FCT0214", &format!("{AT}/maxEjectionPercent"), what, Some("write 100, or leave it out".into()));
    }
    if spec.consecutive_errors == Some(0) {
        let what = "`consecutiveErrors: 0` turns detection off; Service Mesh Hub took it for unset";
        r.error(
            "FCT0211",
            &format!("{AT}/consecutiveErrors"),
            what,
            Some("write 1 or more, or leave it out for 5".into()),
        );
    }
    OutlierDetection {
        consecutive_5xx: spec.consecutive_errors.unwrap_or(5),
        interval: r.time(&format!("{AT}/interval"), spec.interval, Millis::secs(10)),
        base_ejection_time: r.time(&format!("{AT}/baseEjectionTime"), spec.base_ejection_time, Millis::secs(30)),
        max_ejection_percent,
    }
}
