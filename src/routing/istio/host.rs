//! Names of hosts, clusters and SNIs in an Istio mesh. What comes in: parts of names. What goes out: names and answers
//! about them. May not know: objects.

/// A host as an object in `namespace` writes it, in full: a name without a dot is a Service of the same namespace
/// (Istio's ResolveShortnameToFQDN).
pub fn full(host: &str, namespace: &str, domain: &str) -> String {
    if host.contains('.') || host == "*" { host.to_string() } else { format!("{host}.{namespace}.svc.{domain}") }
}

/// Whether a pattern (`*`, `*.suffix` or a plain host) covers a host, which may itself be a pattern.
pub fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(suffix) => host.strip_prefix('*').unwrap_or(host).ends_with(suffix) && host.len() > suffix.len(),
        None => pattern == host,
    }
}

/// Of two patterns that have hosts in common the narrower one; nothing when they have none.
pub fn narrower<'a>(one: &'a str, other: &'a str) -> Option<&'a str> {
    if covers(one, other) {
        Some(other)
    } else if covers(other, one) {
        Some(one)
    } else {
        None
    }
}

/// The Envoy cluster of a port (and subset) of a host, as Istio names it.
pub fn cluster(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// The SNI a client asks an east-west gateway for, and the cluster behind it there.
pub fn sni(port: u16, subset: &str, host: &str) -> String {
    format!("outbound_.{port}_.{subset}_.{host}")
}

/// The Envoy cluster that leads from a sidecar to its application.
pub fn inbound(port: u16) -> String {
    format!("inbound|{port}||")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_dot_is_a_service_of_the_same_namespace() {
        assert_eq!(full("reviews", "default", "cluster.local"), "reviews.default.svc.cluster.local");
        assert_eq!(full("reviews.shop", "default", "cluster.local"), "reviews.shop");
        assert_eq!(full("*", "default", "cluster.local"), "*");
    }

    #[test]
    fn a_wildcard_covers_what_ends_like_it_and_not_itself_without_the_dot() {
        assert!(covers("*", "a.b") && covers("*.global", "a.global") && covers("*.global", "*.a.global"));
        assert!(!covers("*.global", "global") && !covers("*.global", "a.globally") && !covers("a.b", "*.b"));
        assert_eq!(narrower("*.b", "a.b"), Some("a.b"));
        assert_eq!(narrower("a.b", "*"), Some("a.b"));
        assert_eq!(narrower("a.b", "c.b"), None);
    }

    #[test]
    fn clusters_and_snis_are_named_as_istio_names_them() {
        assert_eq!(
            cluster(9080, "", "reviews.default.svc.kind3.global"),
            "outbound|9080||reviews.default.svc.kind3.global"
        );
        assert_eq!(sni(9080, "v1", "a.b"), "outbound_.9080_.v1_.a.b");
        assert_eq!(sni(9080, "", "a.b"), "outbound_.9080_._.a.b");
    }
}
