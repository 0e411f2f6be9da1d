//! What the HTML of a report holds, and what it must not hold.

use super::html;
use pgtend_model::awr::page::{Bar, Bars, Cell, Chart, Listing, Page, Part, Section, Table};

const HOSTILE: &str = "</title><script>alert(1)</script>\" onload='x' \u{1b}[31m";

fn page() -> Page {
    let at = |second: i64| jiff::Timestamp::from_second(1_767_268_800 + second).unwrap();
    let chart = Chart {
        title: HOSTILE.to_owned(),
        at: vec![at(0), at(10), at(20)],
        step_seconds: 10.0,
        series: vec![("CPU".to_owned(), vec![Some(1.0), None, Some(2.0)])],
        line: Some((HOSTILE.to_owned(), 4.0)),
    };
    let bar = Bar { label: Cell::from(HOSTILE).to("sql-1"), shown: Cell::seconds(2.0), parts: vec![("CPU".to_owned(), 2.0)] };
    let table = Table::new(HOSTILE, &[HOSTILE, ">n", "*w"]).rows([[
        Cell::from(HOSTILE),
        Cell::unknown(HOSTILE),
        Cell::course(vec![Some(1.0), None]),
    ]]);
    let section = Section::new("one", HOSTILE, HOSTILE)
        .note(HOSTILE)
        .with(Part::Facts(vec![(HOSTILE.to_owned(), HOSTILE.into())]))
        .with(chart)
        .with(Bars { title: HOSTILE.to_owned(), bars: vec![bar] })
        .with(table)
        .with(Part::Texts(vec![Listing { anchor: "sql-1".to_owned(), name: HOSTILE.to_owned(), text: HOSTILE.to_owned() }]));
    Page {
        title: HOSTILE.to_owned(),
        subtitle: HOSTILE.to_owned(),
        highlights: vec![(HOSTILE.to_owned(), Cell::unknown(HOSTILE))],
        sections: vec![section],
    }
}

#[test]
fn text_of_any_origin_stays_text_and_nothing_is_fetched() {
    let html = html(&page()).unwrap();
    assert!(!html.contains("<script") && !html.contains("onload='x'"), "{html}");
    let lower = html.to_lowercase();
    for elsewhere in ["http:", "https:", "src=", "@import", "url(h"] {
        assert!(!lower.contains(elsewhere), "{elsewhere}");
    }
    assert!(html.matches("&lt;script&gt;").count() + html.matches("&#60;script&#62;").count() >= 12);
}
