//! Which path means what. Pure.
//! What comes in: a method, a path and the kinds that are served. What goes out: a [`Route`].

use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;

use super::http::Query;
use super::kinds::{Registry, Resource, Sub};

/// An object, a collection, or a part of an object.
#[derive(Clone, Debug)]
pub struct Target {
    /// Kind.
    pub kind: Arc<Resource>,
    /// Namespace; empty for cluster scope and for all namespaces.
    pub namespace: String,
    /// Name; empty for a collection.
    pub name: String,
    /// Subresource.
    pub sub: Option<Sub>,
}

/// What a path means.
#[derive(Clone, Debug)]
pub enum Route {
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/version`.
    Version,
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    Kinds(String, String),
    /// `/openapi/v3`.
    OpenApi,
    /// `/openapi/v3/api/v1`, `/openapi/v3/apis/GROUP/VERSION`.
    OpenApiOf(String, String),
    /// Objects.
    Objects(Target),
    /// Nothing that is served.
    Nothing,
}

/// Reads a path.
pub fn route(registry: &Registry, path: &str) -> Route {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let parts: Vec<&str> = decoded.split('/').filter(|p| !p.is_empty()).collect();
    let kinds = |group: &str, version: &str| {
        if registry.of(group, version).next().is_some() {
            Route::Kinds(group.into(), version.into())
        } else {
            Route::Nothing
        }
    };
    match parts[..] {
        ["healthz" | "livez" | "readyz", ..] => Route::Health,
        ["version"] => Route::Version,
        ["api"] => Route::Core,
        ["apis"] => Route::Groups,
        ["openapi", "v3"] => Route::OpenApi,
        ["openapi", "v3", "api", version] => Route::OpenApiOf(String::new(), version.into()),
        ["openapi", "v3", "apis", group, version] => Route::OpenApiOf(group.into(), version.into()),
        ["api", version] => kinds("", version),
        ["apis", group] => Route::Group(group.into()),
        ["apis", group, version] => kinds(group, version),
        ["api", version, ref rest @ ..] => target(registry, "", version, rest),
        ["apis", group, version, ref rest @ ..] => target(registry, group, version, rest),
        _ => Route::Nothing,
    }
}

fn target(registry: &Registry, group: &str, version: &str, rest: &[&str]) -> Route {
    let (namespace, rest) = match rest {
        // `namespaces/NAME/status` is the namespace's own; `namespaces/NAME/pods` lives in it.
        ["namespaces", _] => ("", rest),
        ["namespaces", _, sub] if group.is_empty() && matches!(*sub, "status" | "finalize") => ("", rest),
        ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
        _ => ("", rest),
    };
    let (plural, name, sub) = match *rest {
        [plural] => (plural, "", None),
        [plural, name] => (plural, name, None),
        [plural, name, sub] => (plural, name, Some(sub)),
        _ => return Route::Nothing,
    };
    let Some(kind) = registry.find(group, version, plural) else { return Route::Nothing };
    let sub = match sub.map(Sub::parse) {
        None => None,
        Some(Some(sub)) if kind.has(sub) => Some(sub),
        Some(_) => return Route::Nothing,
    };
    // A namespaced object has no path without its namespace, and no other object has one with.
    if (kind.namespaced && namespace.is_empty() && !name.is_empty()) || (!kind.namespaced && !namespace.is_empty()) {
        return Route::Nothing;
    }
    Route::Objects(Target { kind, namespace: namespace.into(), name: name.into(), sub })
}

/// The verb of a request on objects, as roles name it; empty when the method means nothing here.
pub fn verb(method: &Method, target: &Target, query: &Query) -> &'static str {
    let collection = target.name.is_empty();
    match *method {
        Method::GET | Method::HEAD if target.sub.is_none() && query.flag("watch") => "watch",
        Method::GET | Method::HEAD if collection => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST if collection || target.sub.is_some() => "create",
        Method::PUT if !collection => "update",
        Method::PATCH if !collection => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE if target.sub.is_none() => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> String {
        match route(&Registry::new(std::iter::empty()), path) {
            Route::Objects(t) => format!("{} ns={} name={} sub={:?}", t.kind.qualified(), t.namespace, t.name, t.sub),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_mean_what_they_mean_in_kubernetes() {
        let cases = [
            ("/api/v1/namespaces", "namespaces ns= name= sub=None"),
            ("/api/v1/namespaces/a", "namespaces ns= name=a sub=None"),
            ("/api/v1/namespaces/a/status", "namespaces ns= name=a sub=Some(Status)"),
            ("/api/v1/namespaces/a/pods", "pods ns=a name= sub=None"),
            ("/api/v1/pods", "pods ns= name= sub=None"),
            ("/api/v1/namespaces/a/pods/p/log", "pods ns=a name=p sub=Some(Log)"),
            ("/api/v1/pods/p", "Nothing"),
            ("/api/v1/namespaces/a/nodes/n", "Nothing"),
            ("/apis/apps/v1/namespaces/a/deployments/d/scale", "deployments.apps ns=a name=d sub=Some(Scale)"),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "clusterroles.rbac.authorization.k8s.io ns= name=system:node sub=None",
            ),
            ("/apis/apps/v2", "Nothing"),
            ("/api/v1/namespaces/a/configmaps/c/scale", "Nothing"),
            ("/livez/ping", "Health"),
        ];
        for (path, expected) in cases {
            assert_eq!(told(path), expected, "{path}");
        }
    }
}
