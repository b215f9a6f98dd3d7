//! Mutating webhooks of the sandbox's API server, asked over HTTPS of a server of the test's own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use failctl::sandbox::address::Claim;
use failctl::sandbox::api::{ApiConfig, Server};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use crate::support;

type Answer = dyn Fn(&Value) -> Value + Send + Sync;

/// A webhook server and what it was asked.
struct Webhook {
    address: SocketAddr,
    ca: String,
    asked: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Webhook {
    /// Serves on `ip`; `answer` makes the response (without uid) of a request.
    async fn start(ip: std::net::IpAddr, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Webhook {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![ip.to_string()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Arc<Answer>) = (asked.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, seen, answer) = (acceptor.clone(), seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (seen, answer) = (seen.clone(), answer.clone());
                        async move { Ok::<_, Infallible>(respond(request, &seen, &answer).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let ca = base64::engine::general_purpose::STANDARD.encode(certificate.pem());
        Webhook { address, ca, asked, task }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// A configuration that asks it about Pods in namespaces labelled `injection=on`.
    fn configuration(&self, policy: &str) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "injector"},
            "webhooks": [{
                "name": "pods.injector.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "failurePolicy": policy, "timeoutSeconds": 20,
                "clientConfig": {"url": format!("https://{}/inject", self.address), "caBundle": self.ca},
                "namespaceSelector": {"matchLabels": {"injection": "on"}},
                "rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            }]
        })
    }
}

async fn respond(request: Request<Incoming>, seen: &Mutex<Vec<Value>>, answer: &Arc<Answer>) -> Response<Full<Bytes>> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    let mut response = answer(&review["request"]);
    response["uid"] = review["request"]["uid"].clone();
    seen.lock().unwrap().push(review["request"].clone());
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Response::new(Full::new(answer.to_string().into()))
}

fn patch(steps: Value) -> Value {
    let patch = base64::engine::general_purpose::STANDARD.encode(steps.to_string());
    json!({"allowed": true, "patchType": "JSONPatch", "patch": patch})
}

/// An API server with two namespaces, one of them labelled.
struct Lab {
    server: Server,
    client: Client,
    ip: std::net::IpAddr,
    _claim: Claim,
}

impl Lab {
    async fn start() -> Lab {
        let claim = Claim::take(None, rand::random()).expect("a free block of addresses");
        let at = claim.block.cluster(0).unwrap();
        let server = Server::start(ApiConfig::new("hooks", at.api())).await.unwrap();
        let client = server.client().await.unwrap();
        for (name, labels) in [("with", json!({"injection": "on"})), ("without", json!({}))] {
            let space = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
            Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &space).await.unwrap();
        }
        Lab { server, client, ip: at.node(), _claim: claim }
    }

    fn hooks(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration");
        Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind))
    }

    async fn register(&self, configuration: Value) -> Result<DynamicObject, kube::Error> {
        self.hooks().create(&PostParams::default(), &serde_json::from_value(configuration).unwrap()).await
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn pod(metadata: Value) -> Pod {
    let pod = json!({"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "hashicorp/http-echo"}]}});
    serde_json::from_value(pod).unwrap()
}

fn injects(_: &Value) -> Value {
    patch(json!([
        {"op": "add", "path": "/spec/containers/-", "value": {"name": "istio-proxy", "image": "istio/proxyv2"}},
        {"op": "add", "path": "/metadata/annotations", "value": {"injected": "yes"}},
    ]))
}

#[tokio::test]
async fn a_pod_in_a_selected_namespace_is_stored_as_the_webhook_wants_it_and_completed() {
    let lab = Lab::start().await;
    let webhook = Webhook::start(lab.ip, injects).await;
    lab.register(webhook.configuration("Fail")).await.unwrap();
    let made = lab.pods("with").create(&PostParams::default(), &pod(json!({"generateName": "app-"}))).await.unwrap();
    let containers = &made.spec.as_ref().unwrap().containers;
    assert_eq!(containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["app", "istio-proxy"]);
    assert_eq!(containers[1].termination_message_path.as_deref(), Some("/dev/termination-log"), "not completed");
    assert_eq!(made.metadata.annotations.as_ref().unwrap()["injected"], "yes");
    let asked = webhook.asked();
    assert_eq!((asked.len(), asked[0]["operation"].as_str()), (1, Some("CREATE")));
    assert_eq!(asked[0]["object"]["metadata"]["name"].as_str(), made.metadata.name.as_deref(), "the name it saw");
    assert_eq!(asked[0]["object"]["spec"]["serviceAccountName"], "default");
    let other = lab.pods("without").create(&PostParams::default(), &pod(json!({"name": "plain"}))).await.unwrap();
    assert_eq!(other.spec.unwrap().containers.len(), 1);
    assert_eq!(webhook.asked().len(), 1, "asked about another namespace");
    lab.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_in_the_webhooks_words_and_nothing_is_stored() {
    let lab = Lab::start().await;
    let refuses = |_: &Value| json!({"allowed": false, "status": {"message": "no pods today"}});
    let webhook = Webhook::start(lab.ip, refuses).await;
    lab.register(webhook.configuration("Ignore")).await.unwrap();
    let refused = lab.pods("with").create(&PostParams::default(), &pod(json!({"name": "p"}))).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!(status.code, 403);
    assert!(status.message.contains("pods.injector.example.com") && status.message.contains("no pods today"));
    assert!(lab.pods("with").get_opt("p").await.unwrap().is_none());
    lab.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_webhook_that_cannot_be_reached_stops_the_write_only_if_it_says_so() {
    let lab = Lab::start().await;
    let webhook = Webhook::start(lab.ip, injects).await;
    webhook.task.abort();
    while tokio::net::TcpStream::connect(webhook.address).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    lab.register(webhook.configuration("Fail")).await.unwrap();
    let refused = lab.pods("with").create(&PostParams::default(), &pod(json!({"name": "p"}))).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!(status.code, 500);
    assert!(status.message.contains("failed calling webhook \"pods.injector.example.com\""), "{}", status.message);
    let ignore =
        Patch::Strategic(json!({"webhooks": [{"name": "pods.injector.example.com", "failurePolicy": "Ignore"}]}));
    lab.hooks().patch("injector", &PatchParams::default(), &ignore).await.unwrap();
    let made = lab.pods("with").create(&PostParams::default(), &pod(json!({"name": "p"}))).await.unwrap();
    assert_eq!(made.spec.unwrap().containers.len(), 1);
    lab.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_webhook_whose_certificate_is_anothers_is_not_trusted() {
    let lab = Lab::start().await;
    let (webhook, other) = (Webhook::start(lab.ip, injects).await, Webhook::start(lab.ip, injects).await);
    let mut configuration = webhook.configuration("Fail");
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = other.ca.clone().into();
    lab.register(configuration).await.unwrap();
    let refused = lab.pods("with").create(&PostParams::default(), &pod(json!({"name": "p"}))).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert!(webhook.asked().is_empty());
    lab.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_is_told_as_one_and_an_update_shows_both_states() {
    let lab = Lab::start().await;
    let webhook = Webhook::start(lab.ip, |_: &Value| json!({"allowed": true, "warnings": ["mind the gap"]})).await;
    lab.register(webhook.configuration("Fail")).await.unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    lab.pods("with").create(&dry, &pod(json!({"name": "p"}))).await.unwrap();
    assert!(lab.pods("with").get_opt("p").await.unwrap().is_none());
    lab.pods("with").create(&PostParams::default(), &pod(json!({"name": "p"}))).await.unwrap();
    let label = Patch::Merge(json!({"metadata": {"labels": {"new": "yes"}}}));
    lab.pods("with").patch("p", &PatchParams::default(), &label).await.unwrap();
    let asked = webhook.asked();
    let dry: Vec<_> = asked.iter().map(|a| a["dryRun"].as_bool().unwrap()).collect();
    assert_eq!(dry, [true, false, false]);
    assert_eq!(asked[2]["operation"], "UPDATE");
    assert_eq!(asked[2]["object"]["metadata"]["labels"]["new"], "yes");
    assert!(asked[2]["oldObject"]["metadata"]["labels"].is_null() && asked[2]["oldObject"]["kind"] == "Pod");
    lab.server.stop().await.unwrap();
}

#[tokio::test]
async fn kubectl_applies_a_configuration_shows_it_and_hears_of_every_mistake() {
    let lab = Lab::start().await;
    let webhook = Webhook::start(lab.ip, injects).await;
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| {
        let path = dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.display().to_string()
    };
    let kubeconfig = write("kubeconfig", &serde_json::to_value(lab.server.kubeconfig("hooks")).unwrap());
    let good = write("good.json", &webhook.configuration("Fail"));
    let mut wrong = webhook.configuration("Perhaps");
    wrong["webhooks"][0]["clientConfig"]["url"] = "http://127.0.0.1/inject".into();
    wrong["webhooks"][0]["timeoutSeconds"] = 60.into();
    wrong["webhooks"][0]["sideEffects"] = "Some".into();
    let wrong = write("wrong.json", &wrong);
    let run = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(support::kubectl());
        command.args(args).env("KUBECONFIG", &kubeconfig).env("HOME", dir.path());
        let output = command.output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (ok, said) = run(&["apply", "-f", &wrong]).await;
    assert!(!ok);
    for part in ["failurePolicy", "clientConfig.url", "timeoutSeconds", "sideEffects"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let (ok, said) = run(&["apply", "-f", &good]).await;
    assert!(ok, "{said}");
    let (_, said) = run(&["get", "mutatingwebhookconfigurations"]).await;
    assert!(said.contains("NAME") && said.contains("WEBHOOKS") && said.contains("injector   1"), "{said}");
    let (_, said) =
        run(&["get", "mutatingwebhookconfigurations", "injector", "-o", "jsonpath={.webhooks[0].rules[0].scope}"])
            .await;
    assert_eq!(said, "*");
    let (ok, said) = run(&["delete", "-f", &good]).await;
    assert!(ok, "{said}");
    let made = lab.pods("with").create(&PostParams::default(), &pod(json!({"name": "p"}))).await.unwrap();
    assert_eq!(made.spec.unwrap().containers.len(), 1, "asked after it was deleted");
    lab.server.stop().await.unwrap();
}
