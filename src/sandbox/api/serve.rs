//! The one handler: a request in, an answer out, over TCP and in-process alike.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde_json::Value;

use super::auth::{Known, User, impersonated};
use super::http::{BodyError, Call, Query, Reply, decode, json, plain, read, refuse, reply, text};
use super::kinds::Sub;
use super::rbac::{self, Ask};
use super::read::{get, list, show};
use super::route::{Route, Target, route, verb};
use super::state::Api;
use super::status::Status;
use super::watch::watch;
use super::webhooks::{self, Admitted};
use super::write::delete::{Deleted, Deletion, delete};
use super::write::{Options, Work, Written};
use super::{discovery, pieces, pods, proxy, reviews, scale, tokens};

/// Answers a request.
pub async fn serve<B>(api: Arc<Api>, request: Request<B>) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    match answer(api, request).await {
        Ok(reply) => reply,
        Err(status) => refuse(&status),
    }
}

async fn answer<B>(api: Arc<Api>, request: Request<B>) -> Result<Reply, Status>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    let now = jiff::Timestamp::now();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let path = request.uri().path().to_string();
    let (route, user) = {
        let state = api.lock();
        let known = Known { identity: &api.identity, users: &api.users, store: &state.store, now };
        let user = known.user(request.headers())?;
        let user = act_as(&known, user, &request)?;
        let route = route(&state.registry, &path);
        allowed(&known, &user, &route, request.method(), &path, &query)?;
        (route, user)
    };
    if let Route::Objects(target) = &route
        && matches!(target.sub, Some(Sub::Log | Sub::Exec | Sub::Attach | Sub::PortForward))
    {
        return proxy::forward(&api, target, request, &query).await;
    }
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let call = Call { method: parts.method, query, headers: parts.headers, body, user, now };
    match route {
        Route::Objects(target) => {
            let verb = verb(&call.method, &target, &call.query);
            for _ in 0..webhooks::TRIES {
                let admitted = webhooks::admit(&api, &target, verb, &call).await?;
                match objects(&api, &target, &call, admitted.as_ref()) {
                    Err(status) if webhooks::is_outdated(&status) => {}
                    answer => return answer,
                }
            }
            Err(Status::stale(&target.kind, &target.name))
        }
        route => document(&api, &route, &call),
    }
}

/// Impersonation (`kubectl --as`), for users who may.
fn act_as<B>(known: &Known, user: User, request: &Request<B>) -> Result<User, Status> {
    let Some(other) = impersonated(request.headers()) else { return Ok(user) };
    let wanted = [("users", &other.name)].into_iter();
    let wanted = wanted.chain(other.groups.iter().filter(|g| *g != "system:authenticated").map(|g| ("groups", g)));
    for (resource, name) in wanted {
        let ask = Ask { verb: "impersonate", resource, name, ..Ask::default() };
        if !rbac::allows(known.store, &user, &ask) {
            let why = format!("{resource} \"{name}\" is forbidden: {}", ask.refusal(&user));
            return Err(Status::new(403, "Forbidden", why));
        }
    }
    Ok(other)
}

fn allowed(
    known: &Known,
    user: &User,
    route: &Route,
    method: &Method,
    path: &str,
    query: &Query,
) -> Result<(), Status> {
    let Route::Objects(target) = route else {
        let verb = method.as_str().to_lowercase();
        let ask = Ask { verb: &verb, path, ..Ask::default() };
        let allowed = rbac::allows(known.store, user, &ask);
        return if allowed { Ok(()) } else { Err(Status::forbidden_path(&ask.refusal(user))) };
    };
    let verb = verb(method, target, query);
    if verb.is_empty() {
        return Err(Status::method_not_allowed());
    }
    // A namespace is asked for within itself, so a Role in it can grant that.
    let namespace = if target.kind.is("", "Namespace") { &target.name } else { &target.namespace };
    // Listing or watching one name is asking for that name.
    let selected = query.get("fieldSelector").strip_prefix("metadata.name=").filter(|n| !n.contains(','));
    let name = if target.name.is_empty() { selected.unwrap_or_default() } else { &target.name };
    let ask = Ask {
        verb,
        group: &target.kind.group,
        resource: &target.kind.plural,
        sub: target.sub.map_or("", Sub::segment),
        name,
        namespace,
        path: "",
    };
    if rbac::allows(known.store, user, &ask) {
        return Ok(());
    }
    Err(Status::forbidden(&target.kind, &target.name, &ask.refusal(user)))
}

/// Paths that are no objects.
fn document(api: &Api, route: &Route, call: &Call) -> Result<Reply, Status> {
    if matches!(route, Route::Nothing) {
        return Err(Status::no_such_path());
    }
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed());
    }
    let registry = api.lock().registry.clone();
    let aggregated = discovery::wants_aggregated(call.header(header::ACCEPT));
    let kinds = || registry.all().cloned().collect::<Vec<_>>();
    let found = |document: Option<Value>| document.map(|d| json(200, &d)).ok_or_else(Status::no_such_path);
    let whole = |core: bool| {
        let bytes = serde_json::to_vec(&discovery::aggregated(&registry, core)).unwrap_or_default();
        Ok(reply(200, discovery::AGGREGATED, super::http::full(bytes)))
    };
    match route {
        Route::Health => Ok(plain(200, "ok")),
        Route::Version => Ok(json(200, &discovery::version())),
        Route::Core if aggregated => whole(true),
        Route::Groups if aggregated => whole(false),
        Route::Core => Ok(json(200, &discovery::core_versions(&api.name))),
        Route::Groups => Ok(json(200, &discovery::groups(&registry))),
        Route::Group(group) => found(discovery::group(&registry, group)),
        Route::Kinds(group, version) => found(discovery::resources(&registry, group, version)),
        Route::OpenApi => Ok(json(200, &pieces::openapi_index(&kinds()))),
        Route::OpenApiOf(group, version) => found(pieces::openapi_document(group, version, &kinds())),
        Route::Objects(_) | Route::Nothing => Err(Status::no_such_path()),
    }
}

fn objects(api: &Arc<Api>, target: &Target, call: &Call, admitted: Option<&Admitted>) -> Result<Reply, Status> {
    let Target { kind, namespace, name, sub } = target;
    let everywhere = kind.namespaced && namespace.is_empty();
    let within = (kind.namespaced && !everywhere).then_some(namespace.as_str());
    let verb = verb(&call.method, target, &call.query);
    if !kind.stored {
        return if verb == "create" { review(api, target, call) } else { Err(Status::method_not_allowed()) };
    }
    match (verb, sub) {
        ("watch", None) if name.is_empty() => watch(api, kind, within, call),
        ("watch", None) => {
            // The old way to watch one object: its own path with `watch`.
            let mut call = call.clone();
            call.query = Query::parse(&format!("{}&fieldSelector=metadata.name%3D{name}", call_query(&call.query)));
            watch(api, kind, within, &call)
        }
        ("list", None) => list(api, kind, within, call),
        ("get", None | Some(Sub::Status)) => get(api, kind, namespace, name, call),
        ("get", Some(Sub::Scale)) => {
            let object = super::read::find(&api.lock(), kind, namespace, name)?;
            Ok(json(200, &scale::of(kind, &object)))
        }
        ("create", _) if everywhere => Err(Status::method_not_allowed()),
        ("delete", None) => remove(api, target, call),
        ("deletecollection", None) if !everywhere => remove_all(api, target, call),
        ("create" | "update" | "patch", _) => write(api, target, verb, call, admitted),
        _ => Err(Status::method_not_allowed()),
    }
}

fn call_query(query: &Query) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    query.pairs().filter(|(name, _)| name != "fieldSelector").for_each(|(name, value)| {
        text.append_pair(name, value);
    });
    text.finish()
}

fn review(api: &Api, target: &Target, call: &Call) -> Result<Reply, Status> {
    let body = decode(call)?;
    let state = api.lock();
    let known = Known { identity: &api.identity, users: &api.users, store: &state.store, now: call.now };
    reviews::answer(&known, &call.user, &target.kind, &target.namespace, body).map(|review| json(201, &review))
}

fn write(api: &Api, target: &Target, verb: &str, call: &Call, admitted: Option<&Admitted>) -> Result<Reply, Status> {
    let Target { kind, namespace, name, sub } = target;
    let options = Options::of(call)?;
    let mut state = api.lock();
    let mut work = Work { api, state: &mut state, kind, namespace, options: &options, warnings: Vec::new(), admitted };
    let plain = |value: Value| Ok(json(201, &value));
    let result = match (verb, sub) {
        ("create", None) => work.create(decode(call)?),
        ("create", Some(Sub::Binding)) => return pods::bind(&mut work, name, &decode(call)?).and_then(plain),
        ("create", Some(Sub::Eviction)) => {
            return pods::evict(&mut work, name, &decode(call)?, &options).and_then(plain);
        }
        ("create", Some(Sub::Token)) => {
            let request = decode(call)?;
            return tokens::issue(work.state, &api.identity, kind, namespace, name, request, call.now).and_then(plain);
        }
        ("update", None | Some(Sub::Status | Sub::Finalize)) => work.replace(name, *sub, decode(call)?),
        ("patch", None | Some(Sub::Status)) => work.patch(name, *sub, call.content_type(), &call.body),
        ("update" | "patch", Some(Sub::Scale)) => return rescale(&mut work, name, verb, call),
        _ => return Err(Status::method_not_allowed()),
    };
    let mut warnings = std::mem::take(&mut work.warnings);
    warnings.extend(admitted.iter().flat_map(|a| a.warnings.iter().cloned()));
    let Written { object, created } = result?;
    let mut reply = show(kind, &object, call, if created { 201 } else { 200 })?;
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            reply.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(reply)
}

fn rescale(work: &mut Work, name: &str, verb: &str, call: &Call) -> Result<Reply, Status> {
    let written = if verb == "update" {
        work.rescale(name, &decode(call)?)?
    } else {
        work.patch_scale(name, call.content_type(), &call.body)?
    };
    Ok(json(200, &scale::of(work.kind, &written.object)))
}

fn remove(api: &Api, target: &Target, call: &Call) -> Result<Reply, Status> {
    let Target { kind, namespace, name, .. } = target;
    let how = Deletion::of(call)?;
    let deleted = delete(&mut api.lock(), kind, namespace, name, &how)?;
    Ok(match deleted {
        Deleted::Gone(last) if !kind.is("", "Pod") => {
            json(200, &Status::deleted(kind, name, last["metadata"]["uid"].as_str().unwrap_or_default()))
        }
        Deleted::Gone(object) | Deleted::Waiting(object) => json(200, &super::read::served(kind, &object)),
    })
}

fn remove_all(api: &Api, target: &Target, call: &Call) -> Result<Reply, Status> {
    let Target { kind, namespace, .. } = target;
    let how = Deletion::of(call)?;
    let query = &call.query;
    let selector = super::selector::Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let mut state = api.lock();
    let within = kind.namespaced.then_some(namespace.as_str());
    let names: Vec<String> = state
        .store
        .list(&kind.table(), within)
        .filter(|o| selector.matches(o))
        .filter_map(|o| o["metadata"]["name"].as_str().map(Into::into))
        .collect();
    let mut items = Vec::new();
    for name in names {
        match delete(&mut state, kind, namespace, &name, &how) {
            Ok(Deleted::Gone(object) | Deleted::Waiting(object)) => items.push(super::read::served(kind, &object)),
            // An object that went away meanwhile, with another one, is no failure.
            Err(status) if status.code() == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let list = serde_json::json!({"kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": state.store.revision().to_string()}, "items": items});
    Ok(json(200, &list))
}

/// Answers in-process: the service behind [`super::Server::local_client`].
pub async fn local(api: Arc<Api>, mut request: Request<kube::client::Body>) -> Result<Reply, BodyError> {
    if text(request.headers(), header::AUTHORIZATION).is_empty() {
        let token = format!("Bearer {}", api.identity.token());
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&token)?);
    }
    Ok(serve(api, request).await)
}
