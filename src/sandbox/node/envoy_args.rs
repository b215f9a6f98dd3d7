//! The command line of an Envoy container.
//!
//! In: arguments as written for any Envoy since 1.14. Out: the configuration text, and arguments for today's Envoy.
//! May not know: what the configuration says.

/// An Envoy's command line, its configuration apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyArgs {
    /// The text of `--config-yaml`.
    pub config: String,
    /// Everything else that today's Envoy takes, in the order written.
    pub rest: Vec<String>,
    /// Arguments left out, with the reason; for the container's log.
    pub left_out: Vec<String>,
}

/// Options that today's Envoy does not take, and whether they have a value.
const GONE: [(&str, bool); 4] =
    [("--max-obj-name-len", true), ("--max-stats", true), ("--bootstrap-version", true), ("--service-config", true)];

/// Options that would let two Envoys of one machine meet, each with a value: hot restart does not exist between pods.
const HOT_RESTART: [&str; 5] = ["--base-id", "--base-id-path", "--restart-epoch", "--socket-path", "--socket-mode"];

impl EnvoyArgs {
    /// Reads the arguments; an Envoy without `--config-yaml` cannot be run here.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut parsed = EnvoyArgs { config: String::new(), rest: Vec::new(), left_out: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            let mut value = || inline.clone().or_else(|| args.next().cloned());
            match name {
                "--config-yaml" => parsed.config = value().ok_or("--config-yaml: its value is missing")?,
                "-c" | "--config-path" => {
                    let path = value().unwrap_or_default();
                    return Err(format!(
                        "envoy -c {path}: a pod of the sandbox has no files; give the configuration with --config-yaml"
                    ));
                }
                "--disable-hot-restart" | "--use-dynamic-base-id" => {}
                _ if HOT_RESTART.contains(&name) => {
                    let value = value().unwrap_or_default();
                    parsed.left_out.push(format!("{name} {value}: pods share no memory"));
                }
                _ => match GONE.iter().find(|(gone, _)| *gone == name) {
                    Some((_, has_value)) => {
                        let value = if *has_value { value().unwrap_or_default() } else { String::new() };
                        parsed.left_out.push(format!("{name} {value}: today's Envoy does not take it"));
                    }
                    None => parsed.rest.push(arg.clone()),
                },
            }
        }
        if parsed.config.trim().is_empty() {
            return Err("envoy: the sandbox runs Envoy from --config-yaml, and there is none".into());
        }
        Ok(parsed)
    }

    /// Whether the container says how many workers it wants.
    pub fn says_concurrency(&self) -> bool {
        self.rest.iter().any(|a| a == "--concurrency" || a.starts_with("--concurrency="))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<EnvoyArgs, String> {
        EnvoyArgs::parse(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_guides_arguments_are_kept_but_for_the_configuration_and_hot_restart() {
        let args = parse(&[
            "--config-yaml",
            "a: 1",
            "--disable-hot-restart",
            "--log-level",
            "debug",
            "--concurrency",
            "1",
            "--file-flush-interval-msec",
            "10",
        ])
        .unwrap();
        assert_eq!(args.config, "a: 1");
        assert_eq!(args.rest, ["--log-level", "debug", "--concurrency", "1", "--file-flush-interval-msec", "10"]);
        assert!(args.left_out.is_empty() && args.says_concurrency());
    }

    #[test]
    fn what_todays_envoy_does_not_take_is_left_out_and_said() {
        let args = parse(&["--config-yaml={}", "--max-obj-name-len", "189", "--base-id=7", "-l", "info"]).unwrap();
        assert_eq!((args.config.as_str(), args.rest), ("{}", vec!["-l".to_owned(), "info".to_owned()]));
        assert_eq!(args.left_out.len(), 2);
    }

    #[test]
    fn without_inline_configuration_the_reason_is_said() {
        assert!(parse(&["-c", "/etc/envoy/envoy.yaml"]).unwrap_err().contains("--config-yaml"));
        assert!(parse(&["--log-level", "debug"]).unwrap_err().contains("--config-yaml"));
    }
}
