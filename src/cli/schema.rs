//! `failctl schema`.

use schemars::JsonSchema;
use serde_json::Value;

use super::Ctx;
use crate::error::{Exit, Failure};
use crate::report::applied::ApplyReport;
use crate::report::certificates::CertificateReport;
use crate::report::diff::DiffReport;
use crate::report::drill::DrillReport;
use crate::report::plan::PlanReport;
use crate::report::status::StatusReport;
use crate::report::traffic::TrafficReport;
use crate::sim::document::ScenarioDocument;
use crate::spec::raw::{FailoverDoc, FleetDoc};
use crate::spec::{failover, fleet};

/// Arguments of `failctl schema`.
#[derive(clap::Args, Debug)]
#[command(after_help = "In an editor with the YAML language server, the first line of your file may say:
  # yaml-language-server: $schema=failctl.schema.json")]
pub struct Args {
    /// Which kind (default: every document that users write)
    #[arg(value_enum)]
    pub kind: Option<Kind>,
}

/// failctl's kinds.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Fleet documents
    Fleet,
    /// Failover documents
    Failover,
    /// Scenario documents, for `failctl simulate`
    Scenario,
    /// What `simulate -o json` and `demo -o json` print
    DrillReport,
    /// What `status -o json` prints
    StatusReport,
    /// What `traffic -o json` prints
    TrafficReport,
    /// What `certs status -o json` prints
    CertificateReport,
    /// What `diff -o json` prints
    DiffReport,
    /// What `--dry-run -o json` prints, of every command that writes
    PlanReport,
    /// What every command that writes prints with `-o json`
    ApplyReport,
}

/// A document of failctl: a Fleet, a Failover or a Scenario.
#[derive(JsonSchema)]
#[schemars(untagged, title = "failctl document")]
#[expect(dead_code, reason = "only its schema is of use")]
enum AnyDocument {
    Fleet(Box<FleetDoc>),
    Failover(Box<FailoverDoc>),
    Scenario(Box<ScenarioDocument>),
}

/// The schemas, as they are committed under `schema/`, by file name.
pub fn all() -> [(&'static str, String); 11] {
    [
        ("failctl.json", text(None)),
        ("fleet.json", text(Some(Kind::Fleet))),
        ("failover.json", text(Some(Kind::Failover))),
        ("scenario.json", text(Some(Kind::Scenario))),
        ("drill-report.json", text(Some(Kind::DrillReport))),
        ("status-report.json", text(Some(Kind::StatusReport))),
        ("traffic-report.json", text(Some(Kind::TrafficReport))),
        ("certificate-report.json", text(Some(Kind::CertificateReport))),
        ("diff-report.json", text(Some(Kind::DiffReport))),
        ("plan-report.json", text(Some(Kind::PlanReport))),
        ("apply-report.json", text(Some(Kind::ApplyReport))),
    ]
}

/// One schema as text.
pub fn text(kind: Option<Kind>) -> String {
    let schema: Value = match kind {
        Some(Kind::Fleet) => fleet::SCHEMA.clone(),
        Some(Kind::Failover) => failover::SCHEMA.clone(),
        Some(Kind::Scenario) => schemars::schema_for!(ScenarioDocument).to_value(),
        Some(Kind::DrillReport) => schemars::schema_for!(DrillReport).to_value(),
        Some(Kind::TrafficReport) => schemars::schema_for!(TrafficReport).to_value(),
        Some(Kind::StatusReport) => schemars::schema_for!(StatusReport).to_value(),
        Some(Kind::CertificateReport) => schemars::schema_for!(CertificateReport).to_value(),
        Some(Kind::DiffReport) => schemars::schema_for!(DiffReport).to_value(),
        Some(Kind::PlanReport) => schemars::schema_for!(PlanReport).to_value(),
        Some(Kind::ApplyReport) => schemars::schema_for!(ApplyReport).to_value(),
        None => schemars::schema_for!(AnyDocument).to_value(),
    };
    format!("{schema:#}\n")
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.ui.data(text(args.kind))?;
    Ok(Exit::Ok)
}
