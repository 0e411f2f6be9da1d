//! The reference of the API as a Markdown document, from its description of itself.

use serde_json::{Map, Value};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# HTTP API

The agent answers at `api.listen` over TCP, where everything but what is for everybody needs `Authorization: Bearer TOKEN`
(`pgtend token create`), and at its Unix socket, where the operating system says who is there. An answer is
`{\"success\": true, \"data\": …}`, an error `{\"success\": false, \"error\": {\"kind\", \"what\", \"place\", \"hint\", \"retry\"}}`. A figure that could
not be had is null, and `unknown` of the same document says why. `/api/v1/openapi.json` has all of this for programs.
";

/// The whole reference.
pub fn reference() -> String {
    let description = serde_json::to_value(super::openapi()).unwrap_or_default();
    let mut text = INTRODUCTION.to_owned();
    for (path, item) in fields(&description["paths"]) {
        for (method, operation) in fields(item) {
            endpoint(&mut text, &description, path, method, operation);
        }
    }
    text
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn endpoint(text: &mut String, description: &Value, path: &str, method: &str, operation: &Value) {
    let word = |name: &str| operation[name].as_str().unwrap_or_default();
    let _ = write!(text, "\n## `{} {path}`\n\n{}. {}\n", method.to_uppercase(), word("summary"), word("description"));
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        text.push_str("\n| Parameter | Meaning |\n|---|---|\n");
        for parameter in parameters {
            row(text, parameter["name"].as_str().unwrap_or_default(), parameter);
        }
    }
    table(text, "Body", description, &operation["requestBody"]["content"]["application/json"]["schema"]);
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let data = &answer["properties"]["data"];
    table(text, "Answer", description, if data.is_null() { answer } else { data });
}

/// The fields of a schema; of a named one where it is only referred to.
fn table(text: &mut String, title: &str, description: &Value, schema: &Value) {
    let named = schema["$ref"].as_str().and_then(|reference| description.pointer(reference.trim_start_matches('#')));
    let rows: Vec<_> = fields(&named.unwrap_or(schema)["properties"]).collect();
    if rows.is_empty() {
        return;
    }
    let _ = write!(text, "\n| {title} | Meaning |\n|---|---|\n");
    for (name, field) in rows {
        row(text, name, field);
    }
}

fn row(text: &mut String, name: &str, field: &Value) {
    let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let _ = writeln!(text, "| `{name}` | {meaning} |");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_endpoint_has_its_chapter() {
        let text = super::reference();
        for chapter in ["## `GET /api/v1/stats/queries`", "## `POST /api/v1/sessions/{pid}/cancel`", "| `min_ms` |", "| `slow_queries` |"] {
            assert!(text.contains(chapter), "{chapter} is missing");
        }
    }
}
