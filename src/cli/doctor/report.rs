//! What was found, section by section: as an aligned text or as one JSON object.

use serde_json::{Value, json};
use std::fmt::Write;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// As it should be, or of no consequence.
    Ok,
    /// Works, but worse than it could.
    Warn,
    /// Does not work.
    Fail,
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Mark::Ok => "ok",
            Mark::Warn => "warn",
            Mark::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    name: String,
    mark: Mark,
    value: String,
    /// The command that mends it, or what to set.
    mend: Option<String>,
    data: Value,
}

impl Finding {
    pub(super) fn ok(name: impl Into<String>, value: impl Into<String>) -> Finding {
        Finding { name: name.into(), mark: Mark::Ok, value: value.into(), mend: None, data: Value::Null }
    }

    pub(super) fn warn(name: impl Into<String>, value: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { mark: Mark::Warn, mend: Some(mend.into()), ..Finding::ok(name, value) }
    }

    pub(super) fn fail(name: impl Into<String>, value: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { mark: Mark::Fail, mend: Some(mend.into()), ..Finding::ok(name, value) }
    }

    /// Adds what the value says, for machines.
    pub(super) fn with(self, data: Value) -> Finding {
        Finding { data, ..self }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }
}

/// A part of the machine, and what was found there.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

/// Everything that was found.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) head: String,
    pub(super) sections: Vec<Section>,
    /// Fabrics that passed their test.
    pub(super) carriers: Vec<&'static str>,
    /// The transport that was asked for.
    pub(super) choice: String,
    /// Whether a job can run.
    pub(super) is_usable: bool,
}

impl Report {
    pub(super) fn to_text(&self) -> String {
        let names = self.sections.iter().flat_map(|section| &section.findings).map(|finding| finding.name.len());
        let width = names.max().unwrap_or(0);
        let mut text = format!("{}\n", self.head);
        for section in &self.sections {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}", section.title);
            for finding in &section.findings {
                let _ = writeln!(text, "  {:4}  {:width$}  {}", finding.mark.name(), finding.name, finding.value);
                if let Some(mend) = &finding.mend {
                    let _ = writeln!(text, "  {:4}  {:width$}  mend it: {mend}", "", "");
                }
            }
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let count = |mark| {
            let findings = self.sections.iter().flat_map(|section| &section.findings);
            findings.filter(|finding| finding.mark == mark).count()
        };
        let tail = format!("{} warnings, {} failures", count(Mark::Warn), count(Mark::Fail));
        let carriers = if self.carriers.is_empty() { "nothing".to_owned() } else { self.carriers.join(", ") };
        let verdict = if self.is_usable { "usable" } else { "not usable" };
        format!("{verdict} with transport {}: {carriers} passed; {tail}", self.choice)
    }

    pub(super) fn to_json(&self) -> String {
        let sections: serde_json::Map<String, Value> = self
            .sections
            .iter()
            .map(|section| {
                let findings = section.findings.iter().map(|finding| {
                    json!({
                        "name": finding.name, "mark": finding.mark.name(), "value": finding.value,
                        "mend": finding.mend, "data": finding.data,
                    })
                });
                (section.title.replace(' ', "_"), Value::Array(findings.collect()))
            })
            .collect();
        let version = env!("CARGO_PKG_VERSION");
        let report = json!({
            "version": version, "usable": self.is_usable, "transport": self.choice, "carriers": self.carriers, "sections": sections,
        });
        format!("{report}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let memory = vec![
            Finding::ok("available", "15 GiB").with(json!({ "bytes": 16_106_127_360u64 })),
            Finding::warn("locked memory", "8 MiB", "ulimit -l unlimited"),
        ];
        let network = vec![Finding::fail("tcp", "refused", "ip link set lo up")];
        Report {
            head: "parashard".to_owned(),
            sections: vec![
                Section { title: "memory", findings: memory },
                Section { title: "self-test", findings: network },
            ],
            carriers: vec!["shm"],
            choice: "auto".to_owned(),
            is_usable: false,
        }
    }

    #[test]
    fn the_text_is_aligned_and_every_warning_says_how_to_mend_it() {
        let expected = "\
parashard

memory
  ok    available      15 GiB
  warn  locked memory  8 MiB
                       mend it: ulimit -l unlimited

self-test
  fail  tcp            refused
                       mend it: ip link set lo up

not usable with transport auto: shm passed; 1 warnings, 1 failures
";
        assert_eq!(report().to_text(), expected);
    }

    #[test]
    fn the_json_has_marks_values_and_data() {
        let value: Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(value["usable"], json!(false));
        assert_eq!(value["sections"]["memory"][0]["data"]["bytes"], json!(16_106_127_360u64));
        assert_eq!(value["sections"]["memory"][1]["mend"], json!("ulimit -l unlimited"));
        assert_eq!(value["sections"]["self-test"][0]["mark"], json!("fail"));
    }
}
