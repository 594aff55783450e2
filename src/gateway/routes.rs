//! The table of routes: the annotations of the protocol, and a path for every method by its name.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, Response, Uri};
use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, MethodDescriptor, Value,
};
use tonic::body::Body;

use super::errors;
use super::path::Path;
use super::protocol::{Protocol, RoutesError};
use super::template::Template;

/// How the messages of a method go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unary,
    ServerStream,
    /// The client streams: not by JSON.
    ClientStream,
    /// The client streams a file, which is the body.
    File,
}

/// What the body of a request is.
#[derive(Debug, Clone)]
pub(super) enum BodyRule {
    /// There is none.
    Nothing,
    /// The whole message, apart from what the path gives.
    Message,
    /// One field of it.
    Field(FieldDescriptor),
}

/// A method, and what makes its message.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: MethodDescriptor,
    pub(super) kind: Kind,
    pub(super) body: BodyRule,
    /// The path of its gRPC calls.
    pub(super) call: Uri,
}

impl Route {
    pub(super) fn has_body(&self) -> bool {
        !matches!(self.body, BodyRule::Nothing)
    }
}

/// A route with the fields that the path gives.
pub(super) struct Found {
    pub(super) route: Arc<Route>,
    pub(super) fields: Vec<(String, String)>,
}

/// The table.
pub(super) struct Routes {
    annotated: Vec<(Method, Template, Arc<Route>)>,
    /// By the path of the gRPC call.
    named: HashMap<String, Arc<Route>>,
    protocol: Protocol,
}

/// The package whose services are served.
const PACKAGE: &str = "dhakira.v1";
/// The method whose stream is a file.
const FILE_METHOD: &str = "dhakira.v1.UnitService.ImportFile";

impl Routes {
    pub(super) fn new(protocol: Protocol) -> Result<Self, RoutesError> {
        let http = protocol.pool.get_extension_by_name("google.api.http");
        let http = http.ok_or_else(|| RoutesError("there is no google.api.http".into()))?;
        let (mut annotated, mut named) = (Vec::new(), HashMap::new());
        let services = protocol.pool.services().filter(|it| it.package_name() == PACKAGE);
        for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let call: Uri = path.parse().map_err(|_| RoutesError(format!("{path} is no path")))?;
            let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
                (true, _) if method.full_name() == FILE_METHOD => Kind::File,
                (true, _) => Kind::ClientStream,
                (false, true) => Kind::ServerStream,
                (false, false) => Kind::Unary,
            };
            for (verb, template, body) in rules(&method, &http)? {
                let (method, call) = (method.clone(), call.clone());
                annotated.push((verb, template, Arc::new(Route { method, kind, body, call })));
            }
            // A file comes by its own path only, which says where it goes.
            let kind = if kind == Kind::File { Kind::ClientStream } else { kind };
            let route = Route { method, kind, body: BodyRule::Message, call };
            named.insert(path, Arc::new(route));
        }
        Ok(Self { annotated, named, protocol })
    }

    pub(super) fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The annotated routes.
    pub(super) fn annotated(&self) -> impl Iterator<Item = (&Method, &Template, &Route)> {
        self.annotated.iter().map(|(verb, template, route)| (verb, template, &**route))
    }

    /// The route of a request, or the answer that there is none.
    pub(super) fn find(
        &self,
        method: &Method,
        raw: &str,
        path: &Path,
    ) -> Result<Found, Response<Body>> {
        if let Some(route) = self.named.get(raw) {
            return match *method {
                Method::POST => Ok(Found { route: route.clone(), fields: Vec::new() }),
                _ => Err(errors::wrong_method(&[Method::POST])),
            };
        }
        let mut allowed = Vec::new();
        for (verb, template, route) in &self.annotated {
            let Some(fields) = template.matches(path) else { continue };
            if verb == method {
                return Ok(Found { route: route.clone(), fields });
            }
            allowed.push(verb.clone());
        }
        Err(if allowed.is_empty() { errors::no_route(raw) } else { errors::wrong_method(&allowed) })
    }
}

/// The HTTP rules of a method.
fn rules(
    method: &MethodDescriptor,
    http: &ExtensionDescriptor,
) -> Result<Vec<(Method, Template, BodyRule)>, RoutesError> {
    let options = method.options();
    if !options.has_extension(http) {
        return Ok(Vec::new());
    }
    let value = options.get_extension(http);
    let Some(first) = value.as_message() else { return Ok(Vec::new()) };
    let more = first.get_field_by_name("additional_bindings");
    let more = more.as_deref().and_then(Value::as_list).unwrap_or_default();
    let all = std::iter::once(first).chain(more.iter().filter_map(Value::as_message));
    let broken = || RoutesError(format!("the HTTP rule of {} is invalid", method.full_name()));
    all.map(|one| rule(one, method).ok_or_else(broken)).collect()
}

fn rule(rule: &DynamicMessage, method: &MethodDescriptor) -> Option<(Method, Template, BodyRule)> {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name)?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let verbs = [
        ("get", Method::GET),
        ("post", Method::POST),
        ("put", Method::PUT),
        ("patch", Method::PATCH),
        ("delete", Method::DELETE),
    ];
    let (verb, template) =
        verbs.into_iter().find_map(|(name, verb)| text(name).map(|it| (verb, it)))?;
    let body = match text("body").as_deref() {
        None => BodyRule::Nothing,
        Some("*") => BodyRule::Message,
        Some(field) => BodyRule::Field(method.input().get_field_by_name(field)?),
    };
    Some((verb, Template::parse(&template)?, body))
}
