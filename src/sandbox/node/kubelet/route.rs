//! What a request asks for.
//!
//! In: a method, a path, a query. Out: a [`Route`] and the query's values. May not know: pods.

use std::borrow::Cow;

use http::{Method, StatusCode, Uri};

/// What can be asked of a kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// Whether it lives.
    Health,
    /// The pods it runs.
    Pods,
    /// What a container has written.
    Logs(Target<'a>),
    /// Run a command.
    Exec(Target<'a>),
    /// See what a container writes.
    Attach(Target<'a>),
    /// Reach a pod's ports.
    Forward {
        /// The pod's namespace.
        namespace: &'a str,
        /// The pod's name.
        pod: &'a str,
    },
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// The container's name.
    pub container: &'a str,
}

impl<'a> Route<'a> {
    /// Reads a request; the error is an answer.
    pub fn of(method: &Method, path: &'a str) -> Result<Self, (StatusCode, String)> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, &parts[..]) {
            (&Method::GET, ["healthz"]) => Ok(Route::Health),
            (&Method::GET, ["pods" | "runningpods"] | ["pods" | "runningpods", ""]) => Ok(Route::Pods),
            (&Method::GET, ["containerLogs", namespace, pod, container]) => {
                Ok(Route::Logs(Target { namespace, pod, container }))
            }
            // A uid may stand between the pod and the container.
            (&Method::GET | &Method::POST, [what @ ("exec" | "attach"), namespace, pod, .., container])
                if matches!(parts.len(), 4 | 5) =>
            {
                let target = Target { namespace, pod, container };
                Ok(if *what == "exec" { Route::Exec(target) } else { Route::Attach(target) })
            }
            (&Method::GET | &Method::POST, ["portForward", namespace, pod] | ["portForward", namespace, pod, _]) => {
                Ok(Route::Forward { namespace, pod })
            }
            _ => Err(super::not_found(method, path)),
        }
    }
}

/// The values of a query.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Of a request's address.
    pub fn of(uri: &Uri) -> Self {
        let owned = |(k, v): (Cow<'_, str>, Cow<'_, str>)| (k.into_owned(), v.into_owned());
        Query(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).map(owned).collect())
    }

    /// Every value of a name, in order.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// The first value of a name.
    pub fn get<'q>(&'q self, name: &'q str) -> Option<&'q str> {
        self.all(name).next()
    }

    /// Whether a name is set to something true.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| matches!(v, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let of = |path| Route::of(&Method::GET, path);
        assert_eq!(of("/healthz"), Ok(Route::Health));
        assert_eq!(of("/pods"), Ok(Route::Pods));
        let target = Target { namespace: "n", pod: "p", container: "c" };
        assert_eq!(of("/containerLogs/n/p/c"), Ok(Route::Logs(target)));
        assert_eq!(of("/exec/n/p/c"), Ok(Route::Exec(target)));
        assert_eq!(of("/attach/n/p/some-uid/c"), Ok(Route::Attach(target)));
        assert_eq!(of("/portForward/n/p"), Ok(Route::Forward { namespace: "n", pod: "p" }));
        assert!(of("/exec/n/p").is_err() && of("/exec/n/p/u/c/more").is_err());
        assert_eq!(of("/metrics").unwrap_err().0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_name_may_have_several_values() {
        let query = Query::of(&"/exec/n/p/c?command=sh&command=-c&command=a%20b&tty=1&input=0".parse().unwrap());
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["sh", "-c", "a b"]);
        assert!(query.flag("tty") && !query.flag("input") && !query.flag("output"));
    }
}
