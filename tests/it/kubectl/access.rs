//! auth can-i, whoami, and tokens with few rights.

use super::Cluster;

#[test]
fn can_i_answers_for_oneself_and_for_others() {
    let cluster = Cluster::start();
    cluster.ok("create serviceaccount bot");
    cluster.ok("create role reader --verb=get,list --resource=pods");
    cluster.ok("create rolebinding readers --role=reader --serviceaccount=default:bot");
    assert_eq!(cluster.ok("auth can-i delete deployments"), "yes\n");
    let bot = "--as=system:serviceaccount:default:bot";
    assert_eq!(cluster.ok(&format!("auth can-i list pods {bot}")), "yes\n");
    let no = cluster.run(&["auth", "can-i", "delete", "pods", bot], "");
    assert_eq!((no.status.code(), super::text(&no.stdout).starts_with("no")), (Some(1), true));
    let list = cluster.ok(&format!("auth can-i --list {bot}"));
    assert!(list.lines().any(|l| l.starts_with("pods ") && l.contains("[get list]")), "{list}");
    assert!(cluster.ok("auth whoami").contains("system:masters"));
}

#[test]
fn a_token_can_what_its_account_can_and_a_wrong_one_nothing() {
    let cluster = Cluster::start();
    cluster.ok("create serviceaccount bot");
    cluster.ok("create role reader --verb=get,list --resource=configmaps");
    cluster.ok("create rolebinding readers --role=reader --serviceaccount=default:bot");
    let token = cluster.ok("create token bot").trim().to_owned();
    let config = serde_json::to_string(&cluster.server.kubeconfig_with("bot", &token)).unwrap();
    let path = cluster.file("bot", &config).display().to_string();
    let bot = |line: &str| format!("--kubeconfig {path} {line}");
    assert_eq!(cluster.ok(&bot("get cm -o name")), "");
    let forbidden = cluster.fails(&bot("get pods"));
    let says = "User \"system:serviceaccount:default:bot\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert!(forbidden.contains(says), "{forbidden}");
    cluster.ok("delete serviceaccount bot");
    // A server may believe a token for some seconds more.
    let refused = |said: &std::process::Output| super::text(&said.stderr).contains("must be logged in");
    let line = bot("get cm");
    super::until("the token is dead", || refused(&cluster.run(&line.split(' ').collect::<Vec<_>>(), "")));
    let config = serde_json::to_string(&cluster.server.kubeconfig_with("bot", "wrong")).unwrap();
    cluster.file("bot", &config);
    assert!(cluster.fails(&bot("get cm")).contains("must be logged in"));
}
