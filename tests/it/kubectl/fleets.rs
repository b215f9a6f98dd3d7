//! Two servers in one kubeconfig, as a fleet has them.

use super::{Cluster, SETTINGS, WEB};
use crate::ground::ApiServer;

#[test]
fn two_clusters_in_one_kubeconfig_keep_their_objects_apart() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut servers = runtime.block_on(ApiServer::start_many(2)).into_iter();
    let (first, second) = (servers.next().unwrap(), servers.next().unwrap());
    let cluster = Cluster::over(first, runtime);
    let config = serde_json::to_string(&second.kubeconfig("gloo-fed-2")).unwrap();
    let other = cluster.file("second", &config).display().to_string();
    let first = cluster.home.path().join("kubeconfig").display().to_string();
    let both = std::env::join_paths([&first, &other]).unwrap();
    let kubectl = |context: &str, line: &str, input: &str| {
        let mut command = cluster.command();
        command.env("KUBECONFIG", &both).args(["--context", context]).args(line.split(' '));
        if !input.is_empty() {
            command.args(["-f", cluster.file("input", input).to_str().unwrap()]);
        }
        let output = super::finish(command.spawn().unwrap(), line);
        assert!(output.status.success(), "{line}: {}", super::text(&output.stderr));
        super::text(&output.stdout)
    };
    for (context, colour) in [("test", "blue"), ("gloo-fed-2", "green")] {
        kubectl(context, "apply --server-side", &SETTINGS.replace("blue", colour));
        kubectl(context, "apply", &WEB.replace("http-echo", colour));
    }
    assert_eq!(kubectl("test", "get cm settings -o jsonpath={.data.colour}", ""), "blue");
    assert_eq!(kubectl("gloo-fed-2", "get cm settings -o jsonpath={.data.colour}", ""), "green");
    kubectl("gloo-fed-2", "scale deploy web --replicas 0", "");
    assert_eq!(kubectl("test", "get deploy web -o jsonpath={.spec.replicas}", ""), "2");
    assert_eq!(kubectl("gloo-fed-2", "get deploy web -o jsonpath={.spec.replicas}", ""), "0");
    kubectl("test", "delete deploy web", "");
    assert!(kubectl("gloo-fed-2", "get deploy", "").contains("web"));
    drop(second);
    assert_eq!(kubectl("test", "get cm settings -o name", ""), "configmap/settings\n");
}
