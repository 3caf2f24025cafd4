//! The document, and what it says of an answer.

use std::collections::BTreeMap;

use emojivoto_testkit::http::{self, Answer};
use serde_json::{Value, json};

use super::JSON;

/// The document as web serves it. Operations are named by method and path: `GET /static/{file}`.
pub(super) struct Document(pub(super) Value);

impl Document {
    pub(super) async fn of(web: &str) -> Self {
        let answer = http::get(&format!("{web}/openapi.json")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, JSON));
        Self(answer.json())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, BTreeMap<String, &Value>)> {
        let paths = self.0["paths"].as_object().expect("paths");
        paths.iter().map(|(path, item)| {
            let operations = item.as_object().expect("operations").iter();
            (path.as_str(), operations.map(|(name, of)| (name.to_uppercase(), of)).collect())
        })
    }

    pub(super) fn operations(&self) -> BTreeMap<String, &Value> {
        let named = self.paths().flat_map(|(path, operations)| {
            operations.into_iter().map(move |(method, of)| (format!("{method} {path}"), of))
        });
        named.collect()
    }

    /// What stands there, or in the place that it refers to.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().map_or(value, |place| {
            let place = place.strip_prefix('#').expect("a place in the document");
            self.0.pointer(place).unwrap_or_else(|| panic!("there is no {place}"))
        })
    }

    /// The responses of an operation by their status.
    pub(super) fn responses(&self, operation: &str) -> BTreeMap<u16, &Value> {
        let responses = self.operations()[operation]["responses"].as_object().expect("responses");
        let by_status = responses
            .iter()
            .map(|(status, response)| (status.parse().expect("a status"), self.resolve(response)));
        by_status.collect()
    }

    /// The names of the parameters of an operation.
    pub(super) fn parameters(&self, operation: &str) -> impl Iterator<Item = &str> {
        let parameters = self.operations()[operation]["parameters"].as_array();
        let names = parameters.into_iter().flatten().map(|of| &self.resolve(of)["name"]);
        names.map(|name| name.as_str().expect("a name"))
    }

    /// The content types of a body that an operation takes.
    pub(super) fn bodies(&self, operation: &str) -> impl Iterator<Item = &String> {
        let body = self.resolve(&self.operations()[operation]["requestBody"]);
        body["content"].as_object().into_iter().flat_map(|content| content.keys())
    }

    fn assert_valid(&self, schema: &Value, value: &Value, what: &str) {
        let schema = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let errors: Vec<_> = validator.iter_errors(value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{what}: {errors:?}: {value}");
    }

    /// Asserts that an answer has a status, a content type, a body and headers that are documented.
    pub(super) fn assert_describes(&self, operation: &str, answer: &Answer) {
        let what = format!("{operation} {}", answer.status);
        let response = self.responses(operation).remove(&answer.status.as_u16());
        let response = response.unwrap_or_else(|| panic!("{what} is not documented: {answer:?}"));

        let received = answer.header("content-type");
        if let Some(content) = response["content"].as_object() {
            let essence = received.split(';').next().expect("a first part");
            let content = content.get(essence).or_else(|| content.get("*/*"));
            let content = content.unwrap_or_else(|| panic!("{what}: {received:?}"));
            if let Some(schema) = content.get("schema") {
                let text = || Value::String(answer.body.clone());
                let body = if essence == JSON { answer.json() } else { text() };
                self.assert_valid(schema, &body, &what);
            }
        } else {
            assert_eq!((received, answer.body.as_str()), ("", ""), "{what}");
        }

        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let (header, value) = (self.resolve(header), answer.header(name));
            assert_eq!(header["required"], true, "{what}: {name} always comes");
            let number = value.parse::<u64>().map(Value::from);
            let value = number.unwrap_or_else(|_| Value::String(value.to_owned()));
            self.assert_valid(&header["schema"], &value, &format!("{what}: {name}"));
        }
    }
}
