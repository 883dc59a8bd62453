//! A method's description, compiled once so that a call only copies.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use regex_lite::Regex;

use crate::encode::{self, Keep};
use crate::error::{Error, Result};
use crate::meta::{ClientMeta, CollectionFormat, MethodMeta, ParamIn};
use crate::settings::Reader;
use crate::template::{self, Part, PathTemplate, QueryPart};

/// A compiled method.
pub(crate) struct MethodPlan {
    /// `OrderClient#order(Long)`.
    pub(crate) key: Arc<str>,
    /// `[OrderClient#order] `.
    pub(crate) log_prefix: String,
    pub(crate) path: Vec<PlanPart>,
    pub(crate) has_variables: bool,
    pub(crate) query: Vec<PlanQuery>,
    /// With its `#`: only shown.
    pub(crate) fragment: String,
    /// Headers without variables.
    pub(crate) static_headers: HeaderMap,
    /// Headers with variables.
    pub(crate) headers: Vec<PlanHeader>,
    /// How header names are written in logs.
    pub(crate) spelling: Vec<(HeaderName, String)>,
    pub(crate) parameters: Vec<Place>,
}

/// A piece of a path, query value or header.
#[derive(Debug, Clone)]
pub(crate) enum PlanPart {
    Literal(String),
    Argument { parameter: u16, name: String, pattern: Option<(Regex, String)> },
}

/// A pair of the literal query.
#[derive(Debug)]
pub(crate) struct PlanQuery {
    pub(crate) name: String,
    pub(crate) value: Option<Vec<PlanPart>>,
}

/// A header with variables.
#[derive(Debug)]
pub(crate) struct PlanHeader {
    pub(crate) name: HeaderName,
    pub(crate) values: Vec<Vec<PlanPart>>,
}

/// Where an argument goes.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Path {
        encoded: bool,
        rest: bool,
        allow_empty: bool,
    },
    Query {
        name: String,
        format: CollectionFormat,
        encoded: bool,
        flag: bool,
    },
    QueryMap,
    Header {
        name: HeaderName,
    },
    HeaderMap,
    /// Body, URI, options, or only in header templates.
    Elsewhere,
}

impl MethodPlan {
    /// Compiles `method`.
    ///
    /// # Errors
    ///
    /// Whatever the macro would refuse at compile time: the description may have been made at run time.
    pub(crate) fn compile(client: &ClientMeta, method: &MethodMeta, reader: &Reader) -> Result<Self> {
        let key = method.key(&client.trait_name);
        let named = |error: Error| Error::config(format!("method `{key}` cannot be built")).because(error);
        Self::compile_parts(client, method, reader, &key).map_err(named)
    }

    fn compile_parts(client: &ClientMeta, method: &MethodMeta, reader: &Reader, key: &str) -> Result<Self> {
        let template = PathTemplate::parse(&reader.resolve(&method.path)?, reader.remove_trailing_slash()?)?;
        let query_params: Vec<&str> = method
            .parameters
            .iter()
            .filter_map(|p| if let ParamIn::Query { name, .. } = &p.place { Some(name.as_str()) } else { None })
            .collect();
        let in_path = |name: &str| {
            if query_params.contains(&name) && position(method, name, is_path).is_none() {
                return Err(Error::config(format!(
                    "`{name}` stands in the path template and is a query parameter too: it would be sent twice"
                )));
            }
            position(method, name, is_path)
                .ok_or_else(|| Error::config(format!("placeholder `{{{name}}}` has no path parameter of that name")))
        };
        let mut query = Vec::new();
        for pair in template.query.iter().cloned().chain(literal_params(method)?) {
            let value =
                pair.value.map(|parts| parts.into_iter().map(|part| plan(part, &in_path)).collect::<Result<_>>());
            query.push(PlanQuery { name: pair.name, value: value.transpose()? });
        }
        let used: Vec<String> = template.variables().map(str::to_owned).collect();
        let path: Vec<_> = template.path.into_iter().map(|part| plan(part, &in_path)).collect::<Result<_>>()?;
        let mut headers = HeaderLevels::default();
        headers.add_level(client.headers.iter().map(|header| reader.resolve(header)).collect::<Result<Vec<_>>>()?)?;
        let mut own = Vec::new();
        // Only the first is sent (spring-cloud-openfeign 5.0 `SpringMvcContract`).
        own.extend(method.produces.first().filter(|value| !value.is_empty()).map(|value| format!("Accept: {value}")));
        own.extend(
            method.consumes.first().filter(|value| !value.is_empty()).map(|value| format!("Content-Type: {value}")),
        );
        own.extend(method.headers.iter().map(|header| reader.resolve(header)).collect::<Result<Vec<_>>>()?);
        headers.add_level(own)?;
        let mut in_headers = Vec::new();
        let (static_headers, dynamic, mut spelling) = headers.compile(|name| {
            in_headers.push(name.to_owned());
            position(method, name, |_| true).ok_or_else(|| {
                Error::config(format!("placeholder `{{{name}}}` of a header has no parameter of that name"))
            })
        })?;
        let mut parameters = Vec::with_capacity(method.parameters.len());
        for parameter in &method.parameters {
            if let ParamIn::Path { name, .. } = &parameter.place
                && !used.contains(name)
                && !in_headers.contains(name)
            {
                return Err(Error::config(format!("path parameter `{name}` has no placeholder `{{{name}}}`")));
            }
            parameters.push(place(&parameter.place, client, method, &mut spelling)?);
        }
        Ok(Self {
            key: key.into(),
            log_prefix: format!("[{}#{}] ", client.trait_name, method.name),
            has_variables: path.iter().any(|part| matches!(part, PlanPart::Argument { .. })),
            path,
            query,
            fragment: template.fragment,
            static_headers,
            headers: dynamic,
            spelling,
            parameters,
        })
    }

    /// A capacity that most URLs of this method fit into, without their prefix.
    pub(crate) fn literal_length(&self) -> usize {
        let length = |part: &PlanPart| if let PlanPart::Literal(text) = part { text.len() } else { 0 };
        let query: usize = self.query.iter().map(|pair| pair.name.len() + 8).sum();
        let named: usize =
            self.parameters.iter().map(|p| if let Place::Query { name, .. } = p { name.len() + 2 } else { 0 }).sum();
        self.path.iter().map(length).sum::<usize>() + query + named
    }
}

fn is_path(place: &ParamIn) -> bool {
    matches!(place, ParamIn::Path { .. } | ParamIn::Template { .. })
}

fn position(method: &MethodMeta, wanted: &str, fits: impl Fn(&ParamIn) -> bool) -> Option<u16> {
    let named = |place: &ParamIn| match place {
        ParamIn::Path { name, .. }
        | ParamIn::Query { name, .. }
        | ParamIn::Header { name }
        | ParamIn::Template { name } => name == wanted,
        ParamIn::QueryMap | ParamIn::HeaderMap | ParamIn::Body | ParamIn::Uri | ParamIn::Options => false,
    };
    let at = method.parameters.iter().position(|parameter| fits(&parameter.place) && named(&parameter.place))?;
    u16::try_from(at).ok()
}

fn plan(part: Part, find: &impl Fn(&str) -> Result<u16>) -> Result<PlanPart> {
    Ok(match part {
        Part::Literal(text) => PlanPart::Literal(text),
        Part::Variable { name, pattern } => PlanPart::Argument { parameter: find(&name)?, name, pattern },
    })
}

/// `k=v` and `k` are sent, negated conditions are not (spring-cloud-openfeign 5.0 `SpringMvcContract`).
fn literal_params(method: &MethodMeta) -> Result<Vec<QueryPart>> {
    let negated =
        |param: &str| param.starts_with('!') || param.split_once('=').is_some_and(|(name, _)| name.ends_with('!'));
    method.params.iter().filter(|param| !negated(param)).map(|param| QueryPart::parse(param)).collect()
}

fn place(
    place: &ParamIn,
    client: &ClientMeta,
    method: &MethodMeta,
    spelling: &mut Vec<(HeaderName, String)>,
) -> Result<Place> {
    Ok(match place {
        ParamIn::Path { encoded, rest, allow_empty, .. } => {
            Place::Path { encoded: *encoded, rest: *rest, allow_empty: *allow_empty }
        }
        ParamIn::Query { name, format, encoded, flag } => {
            let mut out = Vec::new();
            encode::push(&mut out, name, Keep::Unreserved);
            Place::Query {
                name: String::from_utf8_lossy(&out).into_owned(),
                format: format.or(method.collection_format).unwrap_or(client.collection_format),
                encoded: *encoded,
                flag: *flag,
            }
        }
        ParamIn::QueryMap => Place::QueryMap,
        ParamIn::Header { name } => {
            let header = header_name(name)?;
            spell(spelling, &header, name);
            Place::Header { name: header }
        }
        ParamIn::HeaderMap => Place::HeaderMap,
        ParamIn::Template { .. } | ParamIn::Body | ParamIn::Uri | ParamIn::Options => Place::Elsewhere,
    })
}

fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::try_from(name).map_err(|_| Error::config(format!("`{name}` is not a legal header name")))
}

fn spell(spelling: &mut Vec<(HeaderName, String)>, name: &HeaderName, spelled: &str) {
    if !spelling.iter().any(|(known, _)| known == name) {
        spelling.push((name.clone(), spelled.to_owned()));
    }
}

/// Collects header templates; a higher level replaces what lower ones say of the same name.
#[derive(Default)]
struct HeaderLevels {
    headers: Vec<(HeaderName, String, Vec<Vec<Part>>)>,
}

impl HeaderLevels {
    fn add_level(&mut self, texts: Vec<String>) -> Result<()> {
        let mut level: Vec<(HeaderName, String, Vec<Vec<Part>>)> = Vec::new();
        for text in texts {
            let Some((spelled, value)) = text.split_once(':') else {
                return Err(Error::config(format!("header `{text}` has no `:` between name and value")));
            };
            let name = header_name(spelled)?;
            let value = template::header(value.trim())?;
            match level.iter_mut().find(|(known, _, _)| *known == name) {
                Some((_, _, values)) => values.push(value),
                None => level.push((name, spelled.to_owned(), vec![value])),
            }
        }
        self.headers.retain(|(name, _, _)| !level.iter().any(|(higher, _, _)| higher == name));
        self.headers.append(&mut level);
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "the three parts go into one struct at once")]
    fn compile(
        self,
        mut find: impl FnMut(&str) -> Result<u16>,
    ) -> Result<(HeaderMap, Vec<PlanHeader>, Vec<(HeaderName, String)>)> {
        let (mut fixed, mut dynamic, mut spelling) = (HeaderMap::new(), Vec::new(), Vec::new());
        for (name, spelled, values) in self.headers {
            spell(&mut spelling, &name, &spelled);
            if values.iter().flatten().all(|part| part.variable().is_none()) {
                let texts: Vec<String> = values
                    .iter()
                    .map(|parts| {
                        parts
                            .iter()
                            .filter_map(|part| if let Part::Literal(text) = part { Some(text.as_str()) } else { None })
                            .collect()
                    })
                    .collect();
                let value = HeaderValue::from_str(&texts.join(", "))
                    .map_err(|_| Error::config(format!("header `{spelled}` has an illegal value")))?;
                fixed.insert(name, value);
                continue;
            }
            let mut plans = Vec::with_capacity(values.len());
            for parts in values {
                let mut planned = Vec::with_capacity(parts.len());
                for part in parts {
                    planned.push(match part {
                        Part::Literal(text) => PlanPart::Literal(text),
                        Part::Variable { name, pattern } => {
                            PlanPart::Argument { parameter: find(&name)?, name, pattern }
                        }
                    });
                }
                plans.push(planned);
            }
            dynamic.push(PlanHeader { name, values: plans });
        }
        Ok((fixed, dynamic, spelling))
    }
}
