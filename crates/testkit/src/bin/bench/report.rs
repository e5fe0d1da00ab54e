//! Tables for people, an object for programs.

use std::io::Write;
use std::path::PathBuf;

use innoclone_testkit::{Result, show};
use serde_json::{Map, Value, json};

use crate::contest::{Series, Spread};
use crate::settings::Settings;

/// All results.
#[derive(Debug)]
pub(crate) struct Report {
    /// Full backups of the idle server, which others are compared with.
    pub(crate) full: Option<Series>,
    /// Restores of the chain, likewise.
    pub(crate) restore: Option<Series>,
    sections: Vec<(String, Vec<Series>)>,
    goals: Vec<Goal>,
    facts: Map<String, Value>,
    file: Option<PathBuf>,
}

/// A ratio, and what it should be.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    what: String,
    measured: Spread,
    at_most: bool,
    wanted: f64,
}

impl Goal {
    pub(crate) fn at_most(what: &str, measured: Spread, wanted: f64) -> Self {
        Self {
            what: what.to_owned(),
            measured,
            at_most: true,
            wanted,
        }
    }

    pub(crate) fn at_least(what: &str, measured: Spread, wanted: f64) -> Self {
        Self {
            at_most: false,
            ..Self::at_most(what, measured, wanted)
        }
    }

    fn is_met(&self) -> bool {
        if self.at_most {
            self.measured.median <= self.wanted
        } else {
            self.measured.median >= self.wanted
        }
    }

    fn row(&self) -> Vec<String> {
        let sign = if self.at_most { "<=" } else { ">=" };
        let Spread { median, min, max } = self.measured;
        vec![
            self.what.clone(),
            format!("{median:.2}"),
            format!("{min:.2} - {max:.2}"),
            format!("{sign} {}", self.wanted),
            if self.is_met() { "met" } else { "missed" }.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "goal": self.what,
            "measured": self.measured.median,
            "min": self.measured.min,
            "max": self.measured.max,
            "wanted": self.wanted,
            "at_most": self.at_most,
            "met": self.is_met(),
        })
    }
}

impl Report {
    pub(crate) fn begin(settings: &Settings) -> Self {
        let load = fs_err::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_owned();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        say(&format!(
            "innoclone bench: {} MiB, {} rounds; {cores} cores, load {load} before it began",
            settings.megabytes, settings.runs
        ));
        let mut report = Self {
            full: None,
            restore: None,
            sections: Vec::new(),
            goals: Vec::new(),
            facts: Map::new(),
            file: settings.json.clone(),
        };
        report.fact("megabytes", settings.megabytes.into());
        report.fact("rounds", settings.runs.into());
        report.fact("cold", settings.cold.into());
        report.fact("cores", cores.into());
        report.fact("load_before", load.into());
        report
    }

    /// Something else that is worth knowing.
    pub(crate) fn fact(&mut self, name: &str, value: Value) {
        self.facts.insert(name.to_owned(), value);
    }

    /// The result of a contest; it is shown. Times are compared with those of the last contender.
    pub(crate) fn section(&mut self, title: &str, all: Vec<Series>) {
        let last = all.last().map(|series| format!("x {}", series.name));
        self.show(title, last.as_deref(), all);
    }

    /// The results of jobs that have nothing to do with each other.
    pub(crate) fn list(&mut self, title: &str, all: Vec<Series>) {
        self.show(title, None, all);
    }

    fn show(&mut self, title: &str, compared: Option<&str>, all: Vec<Series>) {
        let last = compared.and(all.last());
        let rows: Vec<Vec<String>> = all.iter().map(|series| row(series, last)).collect();
        let ratio = compared.unwrap_or_default();
        let head = [
            title,
            "seconds",
            "min - max",
            ratio,
            "read",
            "from disk",
            "written",
            "memory",
        ];
        say(&format!("\n{}", show::table(&head, &rows)));
        self.sections.push((title.to_owned(), all));
    }

    /// A goal, shown at the end.
    pub(crate) fn goal(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// Shows all goals.
    pub(crate) fn goals(&mut self) {
        let ours = self.sections.iter().flat_map(|(_, all)| all);
        let ours = ours.filter(|series| !series.name.starts_with("cp"));
        let peak = ours.filter_map(Series::peak_memory).max().unwrap_or(0);
        let peak = Spread::of(std::iter::once(peak as f64 / f64::from(1 << 20)));
        self.goal(Goal::at_most(
            "peak memory of any innoclone process, MiB",
            peak,
            256.0,
        ));
        let rows: Vec<Vec<String>> = self.goals.iter().map(Goal::row).collect();
        let head = [
            "goal (time ratios: median of the rounds)",
            "measured",
            "min - max",
            "wanted",
            "",
        ];
        say(&show::table(&head, &rows));
        say("A missed goal is no failure: other programs on this machine count as well.");
    }

    /// Writes the JSON file, when one is wanted.
    pub(crate) fn write(&self) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let sections: Vec<Value> = self
            .sections
            .iter()
            .map(|(title, all)| {
                json!({ "title": title, "contenders": all.iter().map(Series::json).collect::<Vec<_>>() })
            })
            .collect();
        let all = json!({
            "facts": self.facts,
            "sections": sections,
            "goals": self.goals.iter().map(Goal::json).collect::<Vec<_>>(),
        });
        fs_err::write(file, format!("{}\n", serde_json::to_string_pretty(&all)?))?;
        say(&format!("written: {}", file.display()));
        Ok(())
    }
}

fn row(series: &Series, last: Option<&Series>) -> Vec<String> {
    let Spread { median, min, max } = series.seconds();
    let ratio = last.map(|last| series.ratio(last).median);
    vec![
        series.name.clone(),
        show::plain_seconds(median),
        format!(
            "{} - {}",
            show::plain_seconds(min),
            show::plain_seconds(max)
        ),
        ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
        show::bytes(series.io().read),
        show::bytes(series.io().from_disk),
        show::bytes(series.io().written),
        series.peak_memory().map_or("-".to_owned(), show::bytes),
    ]
}

/// One line, or some, for people.
pub(crate) fn say(text: &str) {
    // Who does not read any more does not need the rest.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
