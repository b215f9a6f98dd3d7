//! Which edition of Gloo runs on a cluster, from its Deployment's image or from Federation's GlooInstance.

use serde_json::Value;

use crate::manifest::World;
use crate::model::fleet::Edition;
use crate::model::name::ClusterName;

/// The edition, or nothing when no object tells.
/// The control plane's image is `gloo-ee` in Enterprise and `gloo` in open source; Federation's GlooInstance,
/// stored on the managing cluster, says `isEnterprise`.
pub fn edition(world: &World, cluster: &ClusterName) -> Option<Edition> {
    from_deployment(world, cluster).or_else(|| from_instance(world, cluster))
}

fn from_deployment(world: &World, cluster: &ClusterName) -> Option<Edition> {
    let deployments = world.all(cluster.as_str(), "apps", "Deployment");
    let control = deployments.filter(|(_, d)| {
        let label = |key: &str| d.pointer(&format!("/metadata/labels/{key}")).and_then(Value::as_str);
        label("gloo") == Some("gloo") || label("app") == Some("gloo") && label("gloo").is_none()
    });
    let images = control.flat_map(|(_, d)| {
        let containers = d.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        containers.into_iter().flatten().filter_map(|c| c.get("image").and_then(Value::as_str))
    });
    images.map(image_edition).next().flatten()
}

/// The edition an image name stands for: the last part of the repository, before tag and digest.
fn image_edition(image: &str) -> Option<Edition> {
    let repository = image.split('@').next().unwrap_or(image);
    let last = repository.rsplit('/').next().unwrap_or(repository);
    match last.split(':').next().unwrap_or(last) {
        "gloo-ee" | "gloo-ee-envoy-wrapper" => Some(Edition::Enterprise),
        "gloo" | "gloo-envoy-wrapper" => Some(Edition::OpenSource),
        _ => None,
    }
}

fn from_instance(world: &World, cluster: &ClusterName) -> Option<Edition> {
    let holders = world.clusters.keys();
    let mut instances = holders.flat_map(|holder| world.all(holder.as_str(), "fed.solo.io", "GlooInstance"));
    let (_, found) =
        instances.find(|(_, i)| i.pointer("/spec/cluster").and_then(Value::as_str) == Some(cluster.as_str()))?;
    let enterprise = found.pointer("/spec/isEnterprise").and_then(Value::as_bool).unwrap_or(false);
    Some(if enterprise { Edition::Enterprise } else { Edition::OpenSource })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_the_control_plane_tells_the_edition() {
        assert_eq!(image_edition("quay.io/solo-io/gloo-ee:1.18.3"), Some(Edition::Enterprise));
        assert_eq!(image_edition("quay.io/solo-io/gloo:1.18.3@sha256:00"), Some(Edition::OpenSource));
        assert_eq!(image_edition("localhost:5000/discovery:1"), None);
    }
}
