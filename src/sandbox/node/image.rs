//! What the sandbox can run: a closed set of images, and what a container's command means for each.
//!
//! In: an image reference, a command and arguments. Out: a [`Process`], or a sentence why not.
//! May not know: how a process is run.

use std::time::Duration;

use super::bookinfo::Program;
use super::echo;
use super::envoy_args::EnvoyArgs;
use super::sidecar::ProxyArgs;

/// The programs behind the images the sandbox can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// `hashicorp/http-echo`: answers every path with one text.
    HttpEcho,
    /// Envoy, upstream's or a Gloo wrapper around it.
    Envoy,
    /// Istio's proxy: a sidecar or a gateway.
    IstioProxy,
    /// A program of Istio's Bookinfo sample.
    Bookinfo(Program),
    /// A container to run commands in.
    Curl,
}

/// What the sandbox can run, as told to whoever asks for something else.
pub const RUNNABLE: &str = "hashicorp/http-echo, envoyproxy/envoy (and its -alpine, -distroless, -debug, -dev and -contrib \
     forms), gloo-envoy-wrapper, gloo-ee-envoy-wrapper, istio/proxyv2, istio/examples-bookinfo-{productpage,details,ratings}-v1 \
     and -reviews-{v1,v2,v3}, and curlimages/curl";

/// Repositories of `envoyproxy/` on Docker Hub that hold an Envoy.
const ENVOYS: [&str; 9] = [
    "envoy",
    "envoy-alpine",
    "envoy-alpine-debug",
    "envoy-alpine-dev",
    "envoy-contrib",
    "envoy-debug",
    "envoy-debug-dev",
    "envoy-dev",
    "envoy-distroless",
];

impl Image {
    /// The program of an image reference, whatever its registry, tag or digest.
    pub fn of(reference: &str) -> Option<Image> {
        let path = repository(reference);
        let name = path.rsplit('/').next().unwrap_or(path);
        match name {
            "http-echo" if path == "hashicorp/http-echo" || path.ends_with("/hashicorp/http-echo") => {
                Some(Image::HttpEcho)
            }
            "gloo-envoy-wrapper" | "gloo-ee-envoy-wrapper" => Some(Image::Envoy),
            "proxyv2" => Some(Image::IstioProxy),
            "curl" | "curl-ssl" => Some(Image::Curl),
            _ if ENVOYS.contains(&name) => Some(Image::Envoy),
            _ => Program::of(name.strip_prefix("examples-bookinfo-")?).map(Image::Bookinfo),
        }
    }

    /// What a container of this image runs, given its (already expanded) command and arguments.
    ///
    /// A command takes the place of the image's own program; of other programs only `sleep` is there.
    pub fn process(self, command: &[String], args: &[String]) -> Result<Process, String> {
        let Some((program, inline)) = command.split_first() else {
            return self.own(args);
        };
        let args: Vec<String> = inline.iter().chain(args).cloned().collect();
        let name = program.rsplit('/').next().unwrap_or(program);
        match (self, name) {
            (_, "sleep") => sleep(&args),
            (Image::HttpEcho, "http-echo")
            | (Image::Envoy, "envoy" | "docker-entrypoint.sh")
            | (Image::IstioProxy, "pilot-agent") => {
                // The entry point of Envoy's image takes the program's name as its first argument.
                let rest = args.strip_prefix(&["envoy".to_owned()]).unwrap_or(&args);
                self.own(rest)
            }
            _ => Err(format!("exec: \"{program}\": not found; the sandbox runs the image's own program, or sleep")),
        }
    }

    fn own(self, args: &[String]) -> Result<Process, String> {
        match self {
            Image::HttpEcho => Ok(Process::Echo(echo::Options::parse(args))),
            Image::Envoy => EnvoyArgs::parse(args).map(Process::Envoy),
            Image::IstioProxy => ProxyArgs::parse(args).map(Process::IstioProxy),
            Image::Bookinfo(program) => Ok(Process::Bookinfo(program)),
            Image::Curl => {
                Err("curl as a container's own program is not run here; give the container a command such as \
                 [sleep, infinity], and run curl by kubectl exec"
                    .into())
            }
        }
    }
}

/// `docker.io/hashicorp/http-echo:0.2.3@sha256:…` → `docker.io/hashicorp/http-echo`.
fn repository(reference: &str) -> &str {
    let path = reference.split('@').next().unwrap_or(reference);
    // A colon before the last slash belongs to the registry's port.
    match path.rfind(':') {
        Some(colon) if !path[colon..].contains('/') => &path[..colon],
        _ => path,
    }
}

/// What a container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// http-echo with its options, or with the complaint it ends with.
    Echo(Result<echo::Options, String>),
    /// A real Envoy.
    Envoy(EnvoyArgs),
    /// A real Envoy, as Istio's agent starts it.
    IstioProxy(ProxyArgs),
    /// A program of Bookinfo.
    Bookinfo(Program),
    /// Runs, listens nowhere, ends after that time; never for None.
    Sleep(Option<Duration>),
}

/// `sleep 20h`, `sleep 1m 30s`, `sleep infinity`, as coreutils reads them.
fn sleep(args: &[String]) -> Result<Process, String> {
    let mut total = Duration::ZERO;
    if args.is_empty() {
        return Err("sleep: missing operand".into());
    }
    for arg in args {
        if matches!(arg.as_str(), "infinity" | "inf") {
            return Ok(Process::Sleep(None));
        }
        let (number, unit) = match arg.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) => arg.split_at(at),
            None => (arg.as_str(), "s"),
        };
        let factor = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(format!("sleep: invalid time interval '{arg}'")),
        };
        let seconds = number.parse::<f64>().ok().and_then(|n| Duration::try_from_secs_f64(n * factor).ok());
        total += seconds.ok_or_else(|| format!("sleep: invalid time interval '{arg}'"))?;
    }
    Ok(Process::Sleep(Some(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn images_are_known_by_repository_whatever_their_registry_tag_or_digest() {
        let known = [
            (
                "hashicorp/http-echo@sha256:ba27d460cd1f22a1a4331bdf74f4fccbc025552357e8a3249c40ae216275de96",
                Image::HttpEcho,
            ),
            ("docker.io/hashicorp/http-echo:0.2.3", Image::HttpEcho),
            ("registry.example:5000/mirror/hashicorp/http-echo", Image::HttpEcho),
            ("envoyproxy/envoy:v1.14.2", Image::Envoy),
            ("registry.example:5000/envoy", Image::Envoy),
            ("quay.io/solo-io/gloo-envoy-wrapper:1.14.0", Image::Envoy),
            ("quay.io/solo-io/gloo-ee-envoy-wrapper:1.14.0", Image::Envoy),
            ("docker.io/istio/proxyv2:1.27.0-distroless", Image::IstioProxy),
            ("registry.example:5000/proxyv2", Image::IstioProxy),
            ("docker.io/istio/examples-bookinfo-reviews-v3:1.16.2", Image::Bookinfo(Program::Reviews(3))),
            ("istio/examples-bookinfo-productpage-v1", Image::Bookinfo(Program::Productpage)),
            ("curlimages/curl:8.9.1", Image::Curl),
        ];
        for (reference, image) in known {
            assert_eq!(Image::of(reference), Some(image), "{reference}");
        }
        for reference in [
            "nginx:1.25",
            "someone/http-echo",
            "envoyproxy/gateway:v1",
            "envoyproxy/envoy-ratelimit",
            "istio/examples-bookinfo-reviews-v4",
            "istio/pilot",
            "",
        ] {
            assert_eq!(Image::of(reference), None, "{reference}");
        }
    }

    #[test]
    fn a_sleep_command_replaces_the_program() {
        let sleeps = |text| Image::Envoy.process(&words(text), &[]);
        assert_eq!(sleeps("sleep 20h"), Ok(Process::Sleep(Some(Duration::from_secs(72_000)))));
        assert_eq!(sleeps("/bin/sleep 1m 30"), Ok(Process::Sleep(Some(Duration::from_secs(90)))));
        assert_eq!(sleeps("sleep infinity"), Ok(Process::Sleep(None)));
        assert_eq!(
            Image::HttpEcho.process(&words("sleep"), &words("0.5")),
            Ok(Process::Sleep(Some(Duration::from_millis(500))))
        );
        assert!(sleeps("sleep soon").is_err() && sleeps("sleep").is_err());
    }

    #[test]
    fn another_command_is_refused_with_what_there_is() {
        let said = Image::Envoy.process(&words("/bin/nginx -g x"), &[]).unwrap_err();
        assert!(said.contains("/bin/nginx") && said.contains("sleep"), "{said}");
    }

    #[test]
    fn the_images_own_program_may_be_named() {
        let bare = Image::HttpEcho.process(&[], &words("-text=hello")).unwrap();
        assert_eq!(Image::HttpEcho.process(&words("/http-echo -text=hello"), &[]).unwrap(), bare);
        let bare = Image::Envoy.process(&[], &words("--config-yaml {}")).unwrap();
        assert_eq!(
            Image::Envoy.process(&words("/docker-entrypoint.sh envoy"), &words("--config-yaml {}")).unwrap(),
            bare
        );
    }
}
