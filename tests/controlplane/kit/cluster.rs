//! One cluster's control plane: etcd, kube-apiserver over HTTPS with RBAC and tokens, and controllers as asked.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use failctl::sandbox::address::Addresses;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};
use serde_json::json;

use super::etcd::Etcd;
use super::process::{Process, Program};
use super::{net, program};

/// The port of controller managers.
const CONTROLLERS_PORT: u16 = 10257;

/// All controllers but those that need a cloud: with a scheduler and a node, Pods run.
pub const CONTROLLERS: [&str; 3] = ["*", "-node-ipam-controller", "-service-lb-controller"];

/// What is made of a cluster.
#[derive(Clone)]
pub struct Plan {
    /// Its name in kubeconfigs.
    pub name: String,
    /// Its addresses.
    pub at: Addresses,
    /// Its folder.
    pub dir: PathBuf,
    /// Controllers to run, as `kube-controller-manager --controllers` says them; empty: nobody runs controllers.
    pub controllers: Vec<String>,
    /// Addresses for Services.
    pub services: String,
}

/// A running control plane; it ends when this is dropped.
pub struct Cluster {
    /// How it was made.
    pub plan: Plan,
    /// Its store.
    pub etcd: Etcd,
    api: Process,
    controllers: Option<Process>,
    ca: String,
    token: String,
}

impl Plan {
    /// A cluster without controllers.
    pub fn new(name: &str, at: Addresses, dir: &Path) -> Plan {
        let (name, dir) = (name.to_owned(), dir.join(name));
        Plan { name, at, dir, controllers: Vec::new(), services: "10.96.0.0/16".into() }
    }

    /// The same with controllers.
    pub fn with_controllers(mut self, controllers: &[&str]) -> Plan {
        self.controllers = controllers.iter().map(ToString::to_string).collect();
        self
    }

    fn makes_accounts(&self) -> bool {
        self.controllers.iter().any(|c| c == "*" || c == "serviceaccount-controller")
    }

    /// Starts it; it answers when this returns.
    pub fn start(self) -> anyhow::Result<Cluster> {
        let what = format!("cluster {}", self.name);
        net::apart(|| Cluster::start(self)).context(what)
    }
}

/// Starts several clusters side by side.
pub fn start_all(plans: Vec<Plan>) -> anyhow::Result<Vec<Cluster>> {
    std::thread::scope(|scope| {
        let started: Vec<_> = plans.into_iter().map(|plan| scope.spawn(|| plan.start())).collect();
        started.into_iter().map(|s| s.join().map_err(|_| anyhow::anyhow!("starting a cluster panicked"))?).collect()
    })
}

impl Cluster {
    fn start(plan: Plan) -> anyhow::Result<Cluster> {
        std::fs::create_dir_all(&plan.dir)?;
        let address = plan.at.api();
        let ca = certificates(&plan.dir, address.ip())?;
        let token = hex::encode(rand::random::<[u8; 24]>());
        std::fs::write(plan.dir.join("tokens.csv"), format!("{token},admin,admin,\"system:masters\"\n"))?;
        let etcd = Etcd::start(address.ip(), &plan.dir)?;
        let api = Program::new("kube-apiserver", program("kube-apiserver")?, &plan.dir, &arguments(&plan, &etcd.url));
        let mut cluster = Cluster { api: api.start()?, plan, etcd, controllers: None, ca, token };
        std::fs::write(cluster.kubeconfig_path(), serde_json::to_string(&cluster.kubeconfig("admin"))?)?;
        let client = cluster.kit_client()?;
        cluster.api.wait_until("ready", || net::runtime().block_on(ready(&client)))?;
        if !cluster.plan.controllers.is_empty() {
            cluster.start_controllers()?;
        }
        Ok(cluster)
    }

    /// Starts a scheduler for it; it ends when it is dropped.
    pub fn start_scheduler(&self) -> anyhow::Result<Process> {
        let flags = [
            format!("--kubeconfig={}", self.kubeconfig_path().display()),
            "--leader-elect=false".into(),
            format!("--bind-address={}", self.plan.at.api().ip()),
        ];
        Program::new("kube-scheduler", program("kube-scheduler")?, &self.plan.dir, &flags).start()
    }

    /// Kills the API server and the controllers, as a lost control plane does; what is stored stays.
    pub fn kill_control(&mut self) {
        self.controllers = None;
        self.api.kill();
    }

    /// Starts them again; the API answers when this returns.
    pub fn revive_control(&mut self) -> anyhow::Result<()> {
        let arguments = arguments(&self.plan, &self.etcd.url);
        self.api = Program::new("kube-apiserver", program("kube-apiserver")?, &self.plan.dir, &arguments).start()?;
        let client = self.kit_client()?;
        self.api.wait_until("ready", || net::runtime().block_on(ready(&client)))?;
        if self.plan.controllers.is_empty() { Ok(()) } else { self.start_controllers() }
    }

    fn start_controllers(&mut self) -> anyhow::Result<()> {
        let dir = &self.plan.dir;
        let ip = self.plan.at.api().ip();
        let args = [
            format!("--kubeconfig={}", self.kubeconfig_path().display()),
            format!("--controllers={}", self.plan.controllers.join(",")),
            format!("--service-account-private-key-file={}", dir.join("sa.key").display()),
            format!("--root-ca-file={}", dir.join("ca.crt").display()),
            "--leader-elect=false".into(),
            format!("--bind-address={ip}"),
            format!("--secure-port={CONTROLLERS_PORT}"),
            "--kube-api-qps=200".into(),
            "--kube-api-burst=400".into(),
            "--concurrent-gc-syncs=4".into(),
        ];
        let path = program("kube-controller-manager")?;
        let mut process = Program::new("kube-controller-manager", path, dir, &args).start()?;
        // Its first deed for everybody is the ServiceAccount of the namespace that is always there.
        let client = self.kit_client()?;
        let accounts: kube::Api<k8s_openapi::api::core::v1::ServiceAccount> = kube::Api::namespaced(client, "default");
        process.wait_until("at work", || {
            net::runtime().block_on(async { accounts.get_opt("default").await.is_ok_and(|found| found.is_some()) })
        })?;
        self.controllers = Some(process);
        Ok(())
    }

    /// A kubeconfig of one context with the administrator's token.
    pub fn kubeconfig(&self, context: &str) -> Kubeconfig {
        self.kubeconfig_with(context, &self.token)
    }

    /// A kubeconfig of one context with somebody's token.
    pub fn kubeconfig_with(&self, context: &str, token: &str) -> Kubeconfig {
        let name = &self.plan.name;
        let server = format!("https://{}", self.plan.at.api());
        let value = json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": context,
            "clusters": [{"name": name, "cluster":
                {"server": server, "certificate-authority-data": BASE64_STANDARD.encode(&self.ca)}}],
            "users": [{"name": format!("{name}-user"), "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": name, "user": format!("{name}-user")}}],
        });
        serde_json::from_value(value).expect("a kubeconfig made of plain strings")
    }

    /// Where the administrator's kubeconfig is kept.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.plan.dir.join("kubeconfig")
    }

    /// The certificate that clients verify the server with, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// A client of the calling runtime, as administrator.
    pub async fn client(&self) -> anyhow::Result<Client> {
        self.client_with(&self.token).await
    }

    /// A client of the calling runtime with somebody's token.
    pub async fn client_with(&self, token: &str) -> anyhow::Result<Client> {
        let config = self.kubeconfig_with("kit", token);
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// What kubectl prints as administrator; it must succeed.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(crate::support::kubectl());
        command.args(args).env("KUBECONFIG", self.kubeconfig_path()).env("HOME", &self.plan.dir).stdin(Stdio::null());
        let out = command.output().context("running kubectl")?;
        let error = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "kubectl {}: {error}", args.join(" "));
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Applies documents, which are kept in the cluster's folder.
    pub fn kubectl_apply(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.plan.dir.join(file);
        std::fs::write(&path, text)?;
        self.kubectl(&["apply", "--server-side", "-f", &path.display().to_string()]).map(drop)
    }

    /// A client of the kit's runtime.
    fn kit_client(&self) -> anyhow::Result<Client> {
        net::apart(|| net::runtime().block_on(self.client()))
    }

    /// Process ids of everything that runs for this cluster.
    pub fn ids(&self) -> Vec<u32> {
        [self.etcd.id(), self.api.id()].into_iter().chain(self.controllers.as_ref().map(Process::id)).collect()
    }
}

async fn ready(client: &Client) -> bool {
    let request = http::Request::get("/readyz").body(Vec::new()).expect("a plain request");
    let ask = tokio::time::timeout(Duration::from_secs(5), client.request_text(request));
    ask.await.is_ok_and(|answer| answer.is_ok_and(|text| text == "ok"))
}

fn arguments(plan: &Plan, etcd: &str) -> Vec<String> {
    let address = plan.at.api();
    let file = |name: &str| plan.dir.join(name).display().to_string();
    vec![
        format!("--etcd-servers={etcd}"),
        format!("--bind-address={}", address.ip()),
        format!("--advertise-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        "--authorization-mode=RBAC".into(),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--service-cluster-ip-range={}", plan.services),
        // Without controllers nobody makes the ServiceAccounts that it insists on.
        format!("--disable-admission-plugins={}", if plan.makes_accounts() { "" } else { "ServiceAccount" }),
        "--endpoint-reconciler-type=none".into(),
        "--allow-privileged=true".into(),
        "--kubelet-preferred-address-types=InternalIP".into(),
    ]
}

/// Writes the server's certificate and the key that signs tokens; returns the CA.
fn certificates(dir: &Path, address: IpAddr) -> anyhow::Result<String> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let mut leaf = CertificateParams::new(["kubernetes.default.svc".to_string(), "localhost".into()])?;
    leaf.subject_alt_names.push(SanType::IpAddress(address));
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &rcgen::Issuer::new(ca, &ca_key))?;
    let signer = KeyPair::generate()?;
    for (name, text) in [
        ("ca.crt", ca_certificate.pem()),
        ("api.crt", certificate.pem()),
        ("api.key", key.serialize_pem()),
        ("sa.key", signer.serialize_pem()),
        ("sa.pub", signer.public_key_pem()),
    ] {
        std::fs::write(dir.join(name), text)?;
    }
    Ok(ca_certificate.pem())
}
