//! Manifests to try the sandbox with.
//! What comes in: a name. What goes out: YAML as `kubectl apply -f -` takes it.
//! May not know: clusters.

/// A set of manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sample {
    /// The Bookinfo application: productpage, details, ratings, reviews v1, v2 and v3
    Bookinfo,
    /// The Gateway and VirtualService through which Istio's ingress gateway reaches productpage
    BookinfoGateway,
    /// A Pod to run curl in
    Sleep,
}

impl Sample {
    /// The manifests.
    pub fn manifests(self) -> &'static str {
        match self {
            Sample::Bookinfo => include_str!("../../templates/sample/bookinfo.yaml"),
            Sample::BookinfoGateway => include_str!("../../templates/sample/bookinfo-gateway.yaml"),
            Sample::Sleep => include_str!("../../templates/sample/sleep.yaml"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::node::image::Image;
    use crate::yaml;

    fn objects(sample: Sample) -> Vec<serde_json::Value> {
        yaml::parse(sample.manifests()).unwrap().into_iter().map(|d| d.value).collect()
    }

    fn names(sample: Sample, keep: impl Fn(&serde_json::Value) -> bool) -> Vec<String> {
        let named = |o: &serde_json::Value| {
            format!("{} {}", o["kind"].as_str().unwrap(), o["metadata"]["name"].as_str().unwrap())
        };
        objects(sample).iter().filter(|o| keep(&o["metadata"]["labels"])).map(named).collect()
    }

    #[test]
    fn the_selectors_of_the_article_take_what_they_took_there() {
        let without_v3 = names(Sample::Bookinfo, |l| l["app"].is_string() && l["version"] != "v3");
        assert_eq!(without_v3.iter().filter(|n| n.starts_with("Service ")).count(), 4);
        let deployments: Vec<_> = without_v3.iter().filter(|n| n.starts_with("Deployment")).collect();
        assert_eq!(
            deployments,
            [
                "Deployment details-v1",
                "Deployment ratings-v1",
                "Deployment reviews-v1",
                "Deployment reviews-v2",
                "Deployment productpage-v1"
            ]
        );
        let accounts = names(Sample::Bookinfo, |l| l["account"].is_string());
        assert_eq!(accounts.len(), 4);
        assert!(accounts.contains(&"ServiceAccount bookinfo-reviews".to_owned()));
    }

    #[test]
    fn every_image_is_one_the_node_runs() {
        for object in objects(Sample::Bookinfo).into_iter().chain(objects(Sample::Sleep)) {
            let Some(containers) = object.pointer("/spec/template/spec/containers") else { continue };
            for container in containers.as_array().unwrap() {
                let image = container["image"].as_str().unwrap();
                assert!(Image::of(image).is_some(), "{image}");
            }
        }
    }
}
