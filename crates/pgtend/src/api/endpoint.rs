//! What there is at a path: one value from which follow the route, its guard, and its entry in the OpenAPI document.

use super::Api;
use super::access::{self, Caller};
use super::answer::Failed;
use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind};
use std::sync::Arc;
use utoipa::openapi::path::{HttpMethod, Parameter, ParameterIn};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

/// Schemas by name.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// What a successful answer holds.
#[derive(Clone)]
pub(super) enum Content {
    /// JSON in the envelope.
    Data(RefOr<Schema>),
    /// JSON as it is.
    Json(RefOr<Schema>),
    /// Something else.
    Other(&'static str),
}

/// One path and method.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    /// The role that it needs; none when everybody may.
    pub(super) needs: Option<Role>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RefOr<Schema>>,
    pub(super) content: Content,
    pub(super) schemas: Schemas,
}

impl Endpoint {
    fn new(method: HttpMethod, path: &'static str, about: &'static str, needs: Role) -> Self {
        let (parameters, schemas) = (Vec::new(), Vec::new());
        Self { method, path, about, needs: Some(needs), parameters, body: None, content: Content::Other("text/html"), schemas }
    }

    /// Something to read, for viewers.
    pub(super) fn get(path: &'static str, about: &'static str) -> Self {
        Self::new(HttpMethod::Get, path, about, Role::Viewer)
    }

    /// Something to do, for operators.
    pub(super) fn post(path: &'static str, about: &'static str) -> Self {
        Self::new(HttpMethod::Post, path, about, Role::Operator)
    }

    /// Something to remove, for operators.
    pub(super) fn delete(path: &'static str, about: &'static str) -> Self {
        Self::new(HttpMethod::Delete, path, about, Role::Operator)
    }

    /// For another role; none for everybody.
    pub(super) fn needs(mut self, role: impl Into<Option<Role>>) -> Self {
        self.needs = role.into();
        self
    }

    /// With these parameters in its query.
    pub(super) fn params<P: IntoParams>(mut self) -> Self {
        self.parameters.extend(P::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// With these parameters in its path.
    pub(super) fn in_path<P: IntoParams>(mut self) -> Self {
        self.parameters.extend(P::into_params(|| Some(ParameterIn::Path)));
        self
    }

    /// With this JSON as its body.
    pub(super) fn body<B: ToSchema>(mut self) -> Self {
        self.body = Some(self.schema::<B>());
        self
    }

    /// Answers with this, in the envelope.
    pub(super) fn data<T: ToSchema>(mut self) -> Self {
        self.content = Content::Data(self.schema::<T>());
        self
    }

    /// Answers with this JSON as it is.
    pub(super) fn json<T: ToSchema>(mut self) -> Self {
        self.content = Content::Json(self.schema::<T>());
        self
    }

    /// Answers with text of this type.
    pub(super) fn text(mut self, content_type: &'static str) -> Self {
        self.content = Content::Other(content_type);
        self
    }

    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        // Every list is called Vec: it stands where it is used.
        if T::name() == "Vec" {
            T::schemas(&mut self.schemas);
            return T::schema();
        }
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }
}

/// The list of endpoints, and the router that serves them.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Api>,
    endpoints: Vec<Endpoint>,
}

impl Routes {
    /// One more.
    pub(super) fn add<H, T>(mut self, endpoint: Endpoint, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let filter = match endpoint.method {
            HttpMethod::Post => MethodFilter::POST,
            HttpMethod::Delete => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        let doorman = Arc::new(Doorman::of(&endpoint));
        let check = from_fn(move |request, next| doorman.clone().admit(request, next));
        self.router = self.router.route(endpoint.path, on(filter, handler).route_layer(check));
        self.endpoints.push(endpoint);
        self
    }

    /// The list.
    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The router.
    pub(super) fn into_router(self) -> Router<Api> {
        self.router
    }
}

/// Lets in who may come in, with parameters that exist: one that is silently ignored is silently wrong.
struct Doorman {
    needs: Option<Role>,
    parameters: Vec<String>,
}

impl Doorman {
    fn of(endpoint: &Endpoint) -> Self {
        let in_query = endpoint.parameters.iter().filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Query));
        Self { needs: endpoint.needs, parameters: in_query.map(|parameter| parameter.name.clone()).collect() }
    }

    async fn admit(self: Arc<Self>, request: Request, next: Next) -> Result<Response, Failed> {
        if let Some(needed) = self.needs {
            let caller = request.extensions().get::<Caller>();
            access::allow(caller, needed)?;
        }
        self.check_parameters(request.uri().query().unwrap_or_default())?;
        Ok(next.run(request).await)
    }

    fn check_parameters(&self, query: &str) -> Result<(), Error> {
        let names = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty());
        for name in names {
            if !self.parameters.iter().any(|known| known == name) {
                let hint = match self.parameters.as_slice() {
                    [] => "it takes none".to_owned(),
                    known => format!("it takes {}", known.join(", ")),
                };
                return Err(Error::new(Kind::Usage, format!("there is no parameter \"{}\" here", name.escape_debug())).hint(hint));
            }
        }
        Ok(())
    }
}
