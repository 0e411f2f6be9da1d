//! A drill as it is laid out, for people.

use super::report::{Check, Drill, Kind, Outcome, Verdict, Which};
use crate::awr::page::{Cell, Page, Part, Section, Table, Tone};
use crate::awr::request::Paged;

impl Paged for Drill {
    fn page(&self) -> Page {
        let backup = self.backup.map_or_else(|| "no backup".to_owned(), |label| label.to_string());
        Page {
            title: if self.kind == Kind::Full { "Disaster recovery drill" } else { "Restore drill" }.to_owned(),
            subtitle: format!("server {}, backup {backup}, {}", self.server, self.started_at),
            highlights: self.figures(),
            sections: self.sections(),
        }
    }
}

impl Drill {
    /// What one wants to know first.
    fn figures(&self) -> Vec<(String, Cell)> {
        let mut figures = vec![
            ("Verdict".to_owned(), Cell::from(self.verdict.text()).tone(self.verdict.tone())),
            ("Time to be back (RTO)".to_owned(), self.rto_seconds.map_or_else(|| Cell::from("not reached"), Cell::seconds)),
        ];
        if let Some(rpo) = &self.rpo {
            let lost = rpo.lost_wal_bytes.map_or_else(|| Cell::from("unknown"), bytes);
            let seconds = rpo.seconds.map_or_else(|| Cell::from("unknown"), Cell::seconds);
            figures.push(("Last commit before the incident (RPO)".to_owned(), seconds));
            figures.push(("WAL that would be lost".to_owned(), lost));
        }
        figures.push(("Restored".to_owned(), bytes(self.bytes)));
        figures
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = vec![self.outcome(), self.way(), self.checks_section()];
        if !self.tables.is_empty() {
            sections.push(self.tables_section());
        }
        sections
    }

    fn outcome(&self) -> Section {
        let mut facts = self.figures();
        facts.extend([
            ("backup".to_owned(), Cell::from(self.backup.map_or_else(String::new, |label| label.to_string()))),
            ("which".to_owned(), Cell::from(self.which.text())),
            ("repository".to_owned(), Cell::from(self.repository.clone())),
            ("target".to_owned(), Cell::from(self.target.clone())),
            ("replayed up to".to_owned(), Cell::from(self.replayed_to.clone().unwrap_or_default())),
        ]);
        if let Some(rpo) = &self.rpo {
            facts.push(("incident".to_owned(), Cell::from(rpo.incident_at.to_string())));
            facts.push((
                "last commit that came back".to_owned(),
                Cell::from(rpo.last_commit.map_or_else(|| "none was replayed".to_owned(), |time| time.to_string())),
            ));
        }
        let section = Section::new("conclusion", "Conclusion", &self.conclusion).with(Part::Facts(facts));
        match &self.error {
            Some(error) => section.note(format!("{error}")),
            None => section,
        }
    }

    fn way(&self) -> Section {
        let mut table = Table::new("", &["step", ">took"]);
        for phase in &self.phases {
            table.push([Cell::from(phase.name.clone()), Cell::seconds(phase.seconds)]);
        }
        Section::new("way", "The way back", "What has to be done before the first query is answered, as it was measured.").with(table)
    }

    fn checks_section(&self) -> Section {
        let mut table = Table::new("", &["check", "outcome", "*found", "*what it means", ">took"]).wrapping();
        for Check { name, outcome, detail, meaning, seconds } in &self.checks {
            table.push([
                Cell::from(name.clone()),
                Cell::from(outcome.text()).tone(outcome.tone()),
                Cell::from(detail.clone()),
                Cell::from(meaning.clone()),
                Cell::seconds(*seconds),
            ]);
        }
        Section::new("checks", "What was looked at", "In the restored copy, after WAL was replayed.").with(table)
    }

    fn tables_section(&self) -> Section {
        let mut table = Table::new("", &["database", "table", ">restored", ">live", "outcome", "*why"]).wrapping();
        for one in &self.tables {
            table.push([
                Cell::from(one.database.clone()),
                Cell::from(one.table.clone()),
                count(one.restored),
                count(one.live),
                Cell::from(one.outcome.text()).tone(one.outcome.tone()),
                Cell::from(one.why.clone()),
            ]);
        }
        Section::new("tables", "Tables with another number of rows", "The live server went on while the copy was made.").with(table)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn bytes(bytes: u64) -> Cell {
    Cell::bytes(bytes as f64)
}

fn count(count: u64) -> Cell {
    Cell::count(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Outcome {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "look at it",
            Self::Fail => "FAILED",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Unknown | Self::Warn => Tone::Warn,
            Self::Fail => Tone::Bad,
        }
    }
}

impl Verdict {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Doubtful => "doubtful",
            Self::Failed => "FAILED",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Passed => Tone::Good,
            Self::Doubtful => Tone::Warn,
            Self::Failed => Tone::Bad,
        }
    }

    /// What a command ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Doubtful => 2,
        }
    }
}

impl Which {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Newest => "the newest",
            Self::Oldest => "the oldest that is kept",
            Self::Named => "as named",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::sample;
    use super::*;

    #[test]
    fn the_text_says_what_somebody_wants_to_know() {
        let text = sample().text();
        for words in
            ["Restore drill", "passed", "Time to be back", "The server can be brought back", "dump of shop", "files from the repository"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
