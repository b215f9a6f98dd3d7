//! All stories of the demo, each played by a failctl of its own in a sandbox of its own, and told one after the other. The
//! tour plays them side by side: while one measures, the next brings its clusters up. In the record what is judged has the
//! machine for itself: the next brings its clusters up while one measures an outage and cleans up. No command itself.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::sync::mpsc;

use super::Ctx;
use super::demo::{Args, Story};
use super::output::{Output, print};
use super::{demo_stage, demo_turns};
use crate::cluster::stop_on_ctrl_c;
use crate::error::{Exit, Failure};
use crate::sandbox::child::{Child, Keeper, Program};

/// Requests a second for each service where stories are told side by side: two cores carry three such loads and stay half
/// idle, so that what is measured is a service's doing and not the machine's. With 25 a machine in a slow hour is full, and
/// a service on a full machine does not come back from what it lost.
const SIDE_BY_SIDE: u32 = 12;
/// Time a story may take to put its sandbox away.
const PUT_AWAY: Duration = Duration::from_secs(60);

/// Plays all stories.
pub fn tell(args: &Args, stories: &[Story], ctx: &Ctx) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let internal = |e: std::io::Error| Failure::new(Exit::Internal, e);
    let turns = tempfile::Builder::new().prefix("failctl-demo-").tempdir().map_err(internal)?;
    demo_turns::prepare(turns.path()).map_err(internal)?;
    let ended = ctx.block_on(play(args, stories, ctx, turns.path()))??;
    if ended.iter().any(|e| e.code == Exit::Interrupted as i32) {
        ctx.ui.say("stopped: the sandboxes are gone, nothing is left behind");
        return Ok(Exit::Interrupted);
    }
    match args.output {
        Output::Table => {
            for (story, ended) in stories.iter().zip(&ended) {
                ctx.ui.data(format!("\nStory {}:\n{}", story.as_str(), ended.data))?;
            }
            ctx.ui.data(format!("\nAll stories: {:.0} s\n", begun.elapsed().as_secs_f64()))?;
        }
        _ => print(ctx, args.output, &joined(&ended), String::new)?,
    }
    worst(stories, &ended)
}

/// How a story ended.
struct Ended {
    code: i32,
    data: String,
}

/// One story, being played.
struct Play {
    child: Child,
    talk: mpsc::UnboundedReceiver<String>,
    data: tokio::task::JoinHandle<String>,
}

async fn play(args: &Args, stories: &[Story], ctx: &Ctx, turns: &Path) -> Result<Vec<Ended>, Failure> {
    let stop = stop_on_ctrl_c();
    let envoy = demo_stage::envoy(&ctx.ui, args.envoy.clone()).await?;
    let executable = std::env::current_exe().map_err(|e| Failure::new(Exit::Internal, e))?;
    let keeper = Keeper::new(&executable).map_err(|e| Failure::new(Exit::Internal, e))?;
    let start = |story: Story| Play::start(&keeper, &executable, line(story, args, ctx, &envoy, turns));
    let at_once = if args.full { 2 } else { stories.len() };
    let mut plays = Vec::new();
    let told = async {
        let mut ended = Vec::new();
        for (i, story) in stories.iter().enumerate() {
            while let Some(next) = stories[..stories.len().min(i + at_once)].get(plays.len()) {
                plays.push(start(*next).await?);
            }
            ctx.ui.say(format!("\n##### {}", story.as_str()));
            ended.push(plays[i].tell(ctx).await?);
        }
        Ok::<_, Failure>(ended)
    };
    tokio::select! {
        ended = told => return ended,
        () = stop.cancelled() => {}
    }
    futures::future::join_all(plays.iter_mut().map(|p: &mut Play| p.child.stop(PUT_AWAY))).await;
    Ok(vec![Ended { code: Exit::Interrupted as i32, data: String::new() }])
}

/// What is typed for one story.
fn line(story: Story, args: &Args, ctx: &Ctx, envoy: &Path, turns: &Path) -> Vec<OsString> {
    let format = if args.output == Output::Table { "table" } else { "json" };
    let mut line: Vec<OsString> = ["demo", "--story", story.as_str(), "--output", format].map(Into::into).into();
    line.extend(["--envoy".into(), envoy.into(), "--turns".into(), turns.into()]);
    let rate = args.rate.or((!args.full).then_some(SIDE_BY_SIDE));
    line.extend(rate.iter().flat_map(|rate| ["--rate".into(), rate.to_string().into()]));
    line.extend(
        [(args.full, "--full"), (args.keep, "--keep")].iter().filter(|(is, _)| *is).map(|(_, flag)| flag.into()),
    );
    line.extend((0..ctx.global.verbose).map(|_| "-v".into()));
    line
}

impl Play {
    async fn start(keeper: &Keeper, executable: &Path, args: Vec<OsString>) -> Result<Play, Failure> {
        let program = Program { path: executable.into(), args, env: std::env::vars().collect(), ..Program::default() };
        let mut child = keeper.start(program).await.map_err(|e| Failure::new(Exit::Internal, e))?;
        let (told, talk) = mpsc::unbounded_channel();
        if let Some(stderr) = child.stderr() {
            tokio::spawn(async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if told.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let stdout = child.stdout();
        let data = tokio::spawn(async move {
            let mut text = String::new();
            if let Some(mut stdout) = stdout {
                let _ = stdout.read_to_string(&mut text).await;
            }
            text
        });
        Ok(Play { child, talk, data })
    }

    /// Says what it has said so far and what it goes on to say, to its end.
    async fn tell(&mut self, ctx: &Ctx) -> Result<Ended, Failure> {
        while let Some(line) = self.talk.recv().await {
            ctx.ui.say(line);
        }
        let code = self.child.wait().await.map_err(|e| Failure::new(Exit::Internal, e))?.code;
        let data = (&mut self.data).await.map_err(|e| Failure::new(Exit::Internal, e))?;
        Ok(Ended { code, data })
    }
}

/// The reports of all stories as one: every run, and the worst verdict.
fn joined(ended: &[Ended]) -> Value {
    let mut all = ended.iter().filter_map(|e| serde_json::from_str::<Value>(&e.data).ok());
    let Some(mut first) = all.next() else { return Value::Null };
    let weight = |v: &Value| ["pass", "inconclusive", "fail"].iter().position(|w| v == w);
    for next in all {
        if weight(&next["verdict"]) > weight(&first["verdict"]) {
            first["verdict"] = next["verdict"].clone();
        }
        if let (Some(runs), Some(more)) = (first["runs"].as_array_mut(), next["runs"].as_array()) {
            runs.extend(more.iter().cloned());
        }
    }
    first
}

fn worst(stories: &[Story], ended: &[Ended]) -> Result<Exit, Failure> {
    let mut worst = Exit::Ok;
    for (story, ended) in stories.iter().zip(ended) {
        let exit = Exit::ALL.iter().map(|(exit, _)| *exit).find(|exit| *exit as i32 == ended.code);
        worst = match (worst, exit) {
            (_, Some(Exit::No)) | (Exit::No, Some(Exit::Ok | Exit::Unknown)) => Exit::No,
            (_, Some(Exit::Unknown)) | (Exit::Unknown, Some(Exit::Ok)) => Exit::Unknown,
            (Exit::Ok, Some(Exit::Ok)) => Exit::Ok,
            // It said why itself.
            (_, other) => {
                let why = format!("story {} ended with exit code {}", story.as_str(), ended.code);
                return Err(Failure::because(other.unwrap_or(Exit::Internal), why));
            }
        };
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, verdict: &str) -> Ended {
        let data = serde_json::json!({"kind": "DrillReport", "verdict": verdict, "runs": [code]}).to_string();
        Ended { code, data }
    }

    #[test]
    fn the_worst_story_decides_and_none_is_left_out() {
        let stories = [Story::Gloo, Story::Mesh, Story::Layers];
        let all = [ended(0, "pass"), ended(1, "fail"), ended(8, "inconclusive")];
        let whole = joined(&all);
        assert_eq!((&whole["verdict"], &whole["runs"]), (&"fail".into(), &serde_json::json!([0, 1, 8])));
        assert_eq!(worst(&stories, &all).unwrap(), Exit::No);
        assert_eq!(worst(&stories, &all[..1]).unwrap(), Exit::Ok);
        assert_eq!(worst(&stories, &[ended(8, ""), ended(0, "")]).unwrap(), Exit::Unknown);
        assert_eq!(worst(&stories, &[ended(0, ""), ended(7, "")]).unwrap_err().exit, Exit::Missing);
        assert_eq!(worst(&stories, &[ended(99, "")]).unwrap_err().exit, Exit::Internal);
    }
}
