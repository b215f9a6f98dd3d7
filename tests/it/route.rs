//! `failctl route`: single routes at a cluster's edge.

use crate::support::fleet::{Ground, users_routes};

const ADD: [&str; 8] =
    ["route", "add", "--cluster", "local", "--path-prefix", "/", "--dest-name", "default-service-blue-10000"];
const REMOVE: [&str; 8] =
    ["route", "remove", "--cluster", "local", "--path-prefix", "/", "--dest-name", "default-service-blue-10000"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

fn routes(ground: &Ground, name: &str) -> Vec<String> {
    let service = ground.get("local", "VirtualService", name);
    let routes = service["spec"]["virtualHost"]["routes"].as_array().unwrap();
    routes.iter().map(|r| r["name"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_route_is_added_once_however_often_it_is_asked_for() {
    let ground = Ground::new();
    ground.golden("route_add", &with(&ADD, &["--yes"]));
    let made = ground.get("local", "VirtualService", "default");
    let route = &made["spec"]["virtualHost"]["routes"][0];
    assert_eq!(made["spec"]["virtualHost"]["domains"], serde_json::json!(["*"]));
    assert_eq!(route["routeAction"]["single"]["upstream"]["name"], "default-service-blue-10000");
    ground.golden("route_add_again", &ADD);
    assert_eq!(routes(&ground, "default").len(), 1);
}

#[test]
fn it_goes_into_the_users_virtual_service_and_out_of_it_again() {
    let ground = Ground::new();
    ground.put("local", users_routes());
    let before = ground.world();
    ground.ok(&with(&ADD, &["--yes"]));
    ground.ok(&with(&ADD, &["--yes", "--name", "second"]));
    assert_eq!(
        routes(&ground, "mine"),
        ["api", "failctl/route/gloo-system.default-service-blue-10000/", "second", "all"]
    );
    ground.golden("route_remove", &with(&REMOVE, &["--yes"]));
    assert_eq!(routes(&ground, "mine"), ["api", "second", "all"]);
    ground.ok(&["route", "remove", "--cluster", "local", "--name", "second", "--yes"]);
    assert_eq!(ground.world(), before);
    ground.golden("route_remove_again", &with(&REMOVE, &["--yes"]));
}

#[test]
fn the_last_route_takes_the_virtual_service_that_was_made_for_it_along() {
    let ground = Ground::new();
    let before = ground.world();
    ground.ok(&with(&ADD, &["--yes"]));
    ground.ok(&with(&REMOVE, &["--yes"]));
    assert_eq!(ground.world(), before);
}

#[test]
fn a_failovers_route_and_a_single_one_live_side_by_side() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    let two =
        ["route", "add", "--cluster", "local", "--path-prefix", "/two", "--dest-name", "default-service-blue-10000"];
    ground.ok(&with(&two, &["--yes"]));
    assert_eq!(
        routes(&ground, "default"),
        ["failctl/route/gloo-system.default-service-blue-10000/two", "failctl/color"]
    );
    assert_eq!(ground.run(&["diff"]).code, Some(0));
    ground.ok(&["delete", "--yes"]);
    assert_eq!(routes(&ground, "default"), ["failctl/route/gloo-system.default-service-blue-10000/two"]);
}

#[test]
fn a_route_to_an_upstream_that_is_not_there_is_refused() {
    let ground = Ground::new();
    let ran = ground.golden(
        "route_add_unknown",
        &[
            "route",
            "add",
            "--cluster",
            "local",
            "--path-prefix",
            "/",
            "--dest-name",
            "default-service-blau-10000",
            "--yes",
        ],
    );
    assert_eq!(ran.code, Some(5));
    let ran = ground.golden(
        "route_add_cluster",
        &["route", "add", "--cluster", "lokal", "--path-prefix", "/", "--dest-name", "x", "--yes"],
    );
    assert_eq!(ran.code, Some(2));
}
