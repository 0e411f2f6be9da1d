//! The API's description of itself, made from the list of endpoints.

use super::answer::Failure;
use super::endpoint::{Content, Endpoint, Schemas};
use super::routes;
use axum::http::header;
use axum::response::{IntoResponse, Response as HttpResponse};
use pgtend_model::config::api::Role;
use std::sync::LazyLock;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content as Media, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder, ResponsesBuilder,
    Schema,
};
use utoipa::{PartialSchema, ToSchema};

const ABOUT: &str = "pgtend looks after PostgreSQL. Every answer but the bare ones is `{\"success\": true, \"data\": …}`, every error \
    `{\"success\": false, \"error\": {kind, what, place, hint, retry}}`. A figure that could not be had is null, and `unknown` of the \
    same document says why. With several servers, the parameter `server` names one.";

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_pretty_json().unwrap_or_default());

pub(super) async fn serve() -> HttpResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The OpenAPI document.
pub fn document() -> OpenApi {
    let routes = routes::all();
    let mut paths = Paths::new();
    let mut schemas: Schemas = vec![(Failure::name().into_owned(), Failure::schema())];
    Failure::schemas(&mut schemas);
    for endpoint in routes.endpoints() {
        paths.add_path_operation(endpoint.path, vec![endpoint.method.clone()], operation(endpoint));
        schemas.extend(endpoint.schemas.clone());
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token made with `pgtend token create`."));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .response("Failure", failure())
        .security_scheme("token", SecurityScheme::Http(bearer.build()));
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    let info = InfoBuilder::new().title("pgtend").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT)).license(Some(license));
    OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build())).build()
}

fn operation(endpoint: &Endpoint) -> OperationBuilder {
    let mut responses = ResponsesBuilder::new().response("200", success(&endpoint.content));
    for code in codes(endpoint) {
        responses = responses.response(*code, Ref::from_response_name("Failure"));
    }
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(endpoint)))
        .summary(Some(endpoint.about))
        .description(Some(who(endpoint.needs)))
        .tag(tag(endpoint.path))
        .responses(responses.build());
    if !endpoint.parameters.is_empty() {
        operation = operation.parameters(Some(endpoint.parameters.clone()));
    }
    if let Some(body) = &endpoint.body {
        let media = Media::new(Some(body.clone()));
        operation = operation
            .request_body(Some(RequestBodyBuilder::new().content("application/json", media).required(Some(Required::True)).build()));
    }
    match endpoint.needs {
        Some(_) => operation.security(SecurityRequirement::new("token", Vec::<String>::new())),
        None => operation.securities(Some([])),
    }
}

fn success(content: &Content) -> Response {
    let (media_type, schema) = match content {
        Content::Data(schema) => ("application/json", Some(envelope(schema.clone()))),
        Content::Json(schema) => ("application/json", Some(schema.clone())),
        Content::Other(media_type) => (*media_type, None),
    };
    ResponseBuilder::new().description("The answer").content(media_type, Media::new(schema)).build()
}

fn envelope(data: RefOr<Schema>) -> RefOr<Schema> {
    let success = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    ObjectBuilder::new().property("success", success).required("success").property("data", data).required("data").into()
}

fn failure() -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name(Failure::name()));
    ResponseBuilder::new()
        .description("What went wrong, and what to do about it")
        .content("application/json", Media::new(Some(schema)))
        .build()
}

/// The statuses of its failures that are worth a line; `default` stands for the rest.
fn codes(endpoint: &Endpoint) -> &'static [&'static str] {
    match endpoint.needs {
        Some(_) => &["400", "401", "403", "404", "503", "default"],
        None => &["default"],
    }
}

fn who(needs: Option<Role>) -> String {
    needs.map_or_else(|| "For everybody.".to_owned(), |role| format!("Needs the role `{role}`."))
}

/// `get_stats_queries` for `GET /api/v1/stats/queries`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1/").trim_matches('/');
    let words = path.replace(['/', '-', '.'], "_").replace(['{', '}'], "");
    let words = if words.is_empty() { "page".to_owned() } else { words };
    format!("{}_{words}", method_name(&endpoint.method))
}

/// The group of a path: its first word.
fn tag(path: &str) -> &str {
    let word = path.strip_prefix("/api/v1/").and_then(|path| path.split('/').next());
    word.filter(|word| !word.contains('.')).unwrap_or("pgtend")
}

fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Post => "post",
        HttpMethod::Delete => "delete",
        _ => "get",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = serde_json::to_value(document()).unwrap();
        let mut found = Vec::new();
        references(&text, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(text.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn two_schemas_never_share_a_name() {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for (name, schema) in routes::all().endpoints().iter().flat_map(|endpoint| endpoint.schemas.clone()) {
            let text = serde_json::to_string(&schema).unwrap();
            let earlier = known.entry(name.clone()).or_insert_with(|| text.clone());
            assert_eq!(*earlier, text, "two types are called {name}: give one #[schema(as = …)]");
        }
    }

    #[test]
    fn every_endpoint_is_described_and_every_parameter_of_a_path_declared() {
        let description = serde_json::to_value(document()).unwrap();
        let mut ids = Vec::new();
        for endpoint in routes::all().endpoints() {
            let operation = &description["paths"][endpoint.path][method_name(&endpoint.method)];
            assert_eq!(operation["summary"], endpoint.about, "{}", endpoint.path);
            assert_eq!(operation["security"].as_array().map(Vec::is_empty), Some(endpoint.needs.is_none()), "{}", endpoint.path);
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            for name in endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                let declared = operation["parameters"].as_array().unwrap().iter().find(|parameter| parameter["name"] == name).unwrap();
                assert_eq!((&declared["in"], &declared["required"]), (&"path".into(), &true.into()), "{name} of {}", endpoint.path);
            }
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count, "operation ids are unique");
    }
}
