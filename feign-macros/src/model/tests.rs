use syn::parse_quote;

use super::*;

fn model(arguments: &str, item: &ItemTrait) -> syn::Result<Client> {
    read(syn::parse_str(arguments).unwrap(), item, &parse_quote!(::vernal_feign))
}

fn client(item: &ItemTrait) -> Client {
    model("\"order-service\"", item).unwrap_or_else(|error| panic!("{error}"))
}

/// The messages of all errors, in the order in which they are reported.
fn errors(arguments: &str, item: &ItemTrait) -> Vec<String> {
    match model(arguments, item) {
        Ok(_) => Vec::new(),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

fn places(item: &ItemTrait) -> Vec<Place> {
    let mut client = client(item);
    client.methods.remove(0).parameters.into_iter().map(|parameter| parameter.place).collect()
}

fn path(name: &str) -> Place {
    Place::Path { name: name.to_owned(), encoded: false, rest: false, allow_empty: false }
}

fn query(name: &str) -> Place {
    Place::Query { name: name.to_owned(), format: None, encoded: false, flag: false }
}

#[test]
fn parameters_without_an_attribute_find_their_place() {
    let found = places(&parse_quote! {
        trait OrderClient {
            #[post("/{id}/files/{path*}", headers("X-Trace: {trace}"))]
            async fn create(&self, id: u64, path: &str, trace: &str, to: Uri, how: CallOptions, order: &Order) -> R;
        }
    });
    assert_eq!(
        found,
        [
            path("id"),
            Place::Path { name: "path".to_owned(), encoded: false, rest: true, allow_empty: false },
            Place::Template { name: "trace".to_owned() },
            Place::Uri,
            Place::Options,
            Place::Body,
        ]
    );
}

#[test]
fn attributes_with_options_are_read() {
    let found = places(&parse_quote! {
        trait OrderClient {
            #[get("/{order-id}")]
            async fn find(
                &self,
                #[path("order-id", encoded, allow_empty)] id: Option<u64>,
                #[query("s", format = "csv", encoded)] states: &[State],
                #[query(flag)] archived: bool,
                #[query] r#type: &str,
                #[query_map] filter: &Filter,
                #[header] x_request_id: &str,
                #[header("X-User")] user: &str,
                #[header_map] more: &Map,
            ) -> R;
        }
    });
    assert_eq!(
        found,
        [
            Place::Path { name: "order-id".to_owned(), encoded: true, rest: false, allow_empty: true },
            Place::Query { name: "s".to_owned(), format: Some(Format::Csv), encoded: true, flag: false },
            Place::Query { name: "archived".to_owned(), format: None, encoded: false, flag: true },
            query("type"),
            Place::QueryMap,
            Place::Header { name: "x-request-id".to_owned() },
            Place::Header { name: "X-User".to_owned() },
            Place::HeaderMap,
        ]
    );
}

#[test]
fn every_mistake_of_a_trait_is_reported_at_once() {
    let found = errors(
        "context_id = \"orders\", fallback = Orders",
        &parse_quote! {
            trait OrderClient {
                async fn verbless(&self) -> R;
                #[get("/{id}")]
                async fn unfilled(&self) -> R;
                #[get("/")]
                fn waiting(&mut self);
            }
        },
    );
    let expected = [
        "`fallback` is not supported",
        "name the service",
        "write the verb and the path",
        "no parameter fills `{id}`",
        "write `async fn`",
        "write `&self`",
        "write the result",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} / {expected}");
    }
}

#[test]
fn a_mistake_is_reported_once() {
    let one = |method: TraitItemFn| errors("\"x\"", &parse_quote!(trait X { #method }));
    let cases: [(TraitItemFn, &str); 30] = [
        (
            parse_quote!(
                #[get("/")]
                #[post("/")]
                async fn f(&self) -> R;
            ),
            "one verb",
        ),
        (
            parse_quote!(
                #[gte("/")]
                async fn f(&self) -> R;
            ),
            "did you mean `get`",
        ),
        (
            parse_quote!(
                #[get]
                async fn f(&self) -> R;
            ),
            "write the path",
        ),
        (
            parse_quote!(
                #[get = "/"]
                async fn f(&self) -> R;
            ),
            "write `#[get(\"..\")]`",
        ),
        (
            parse_quote!(
                #[get("http://h/a")]
                async fn f(&self) -> R;
            ),
            "path alone",
        ),
        (
            parse_quote!(
                #[get("/a\\b")]
                async fn f(&self) -> R;
            ),
            "backslash",
        ),
        (
            parse_quote!(
                #[get("/{a")]
                async fn f(&self, a: u8) -> R;
            ),
            "no partner",
        ),
        (
            parse_quote!(
                #[get("/{a:[0-9}")]
                async fn f(&self, a: u8) -> R;
            ),
            "cannot be read",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[path] a: u8) -> R;
            ),
            "the path has no `{a}`",
        ),
        (
            parse_quote!(
                #[get("/{a}")]
                async fn f(&self, #[query] a: u8) -> R;
            ),
            "write `#[path]`",
        ),
        (
            parse_quote!(
                #[get("/?a={a}")]
                async fn f(&self, a: u8, #[query("a")] b: u8) -> R;
            ),
            "holds `{a}` already",
        ),
        (
            parse_quote!(
                #[get("/{a}")]
                async fn f(&self, a: u8, #[path("a")] b: u8) -> R;
            ),
            "fills `{a}` already",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, a: u8) -> R;
            ),
            "GET sends no body",
        ),
        (
            parse_quote!(
                #[delete("/")]
                async fn f(&self, a: u8) -> R;
            ),
            "DELETE sends no body",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[body] a: u8) -> R;
            ),
            "GET sends no body",
        ),
        (
            parse_quote!(
                #[post("/")]
                async fn f(&self, a: u8, b: u8) -> R;
            ),
            "`a` is the body already",
        ),
        (
            parse_quote!(
                #[post("/")]
                async fn f(&self, #[body] a: u8, b: u8) -> R;
            ),
            "the body is another parameter",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[uri] a: U, #[uri] b: U) -> R;
            ),
            "`a` is an `#[uri]` already",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(
                    &self,
                    #[query]
                    #[header]
                    a: u8,
                ) -> R;
            ),
            "`a` is `#[query]` already",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[querry] a: u8) -> R;
            ),
            "did you mean `query`",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[cookie] a: u8) -> R;
            ),
            "`cookie` is not supported",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[query(formt = "csv")] a: u8) -> R;
            ),
            "did you mean `format`",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[query(format = "x")] a: u8) -> R;
            ),
            "unknown format `x`",
        ),
        (
            parse_quote!(
                #[get("/", timeout = 3)]
                async fn f(&self) -> R;
            ),
            "`timeout` is not supported",
        ),
        (
            parse_quote!(
                #[get("/", headers("X"))]
                async fn f(&self) -> R;
            ),
            "the colon is missing",
        ),
        (
            parse_quote!(
                #[get("/", headers(" X : a"))]
                async fn f(&self) -> R;
            ),
            "is no header name",
        ),
        (
            parse_quote!(
                #[get("/", headers("X: {a}"))]
                async fn f(&self) -> R;
            ),
            "no parameter fills `{a}`",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self, #[query] (a, b): (u8, u8)) -> R;
            ),
            "plain identifier",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self) -> impl Sized;
            ),
            "named type",
        ),
        (
            parse_quote!(
                #[get("/")]
                async fn f(&self) -> R {
                    g()
                }
            ),
            "is not sent",
        ),
    ];
    for (method, expected) in cases {
        let text = quote::quote!(#method).to_string();
        let found = one(method);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains(expected), "{text}: {found:#?}");
    }
}

#[test]
fn the_twin_is_made_for_traits_that_can_have_one() {
    let twin = |arguments: &str, item: ItemTrait| model(arguments, &item).unwrap().twin.map(|name| name.to_string());
    assert_eq!(
        twin(
            "\"x\"",
            parse_quote!(
                trait OrderClient {}
            )
        )
        .as_deref(),
        Some("DynOrderClient")
    );
    assert_eq!(
        twin(
            "\"x\"",
            parse_quote!(
                trait OrderClient: Debug + 'static {}
            )
        )
        .as_deref(),
        Some("DynOrderClient")
    );
    assert_eq!(
        twin(
            "\"x\", dyn = false",
            parse_quote!(
                trait OrderClient {}
            )
        ),
        None
    );
    assert_eq!(
        twin(
            "\"x\"",
            parse_quote!(
                trait Crud<T> {}
            )
        ),
        None
    );
    assert_eq!(
        twin(
            "\"x\"",
            parse_quote!(
                trait OrderClient: HealthApi {}
            )
        ),
        None
    );
}

#[test]
fn a_twin_that_cannot_exist_is_refused() {
    assert_eq!(
        errors(
            "\"x\", dyn = true",
            &parse_quote!(
                trait Crud<T> {}
            )
        )
        .len(),
        1
    );
    assert_eq!(
        errors(
            "\"x\", dyn",
            &parse_quote!(
                trait OrderClient: HealthApi {}
            )
        )
        .len(),
        1
    );
    let generic: ItemTrait = parse_quote! {
        trait X {
            #[post("/")]
            async fn put<T: Serialize>(&self, order: &T) -> R;
        }
    };
    assert_eq!(errors("\"x\"", &generic).len(), 1);
    assert_eq!(errors("\"x\", dyn = false", &generic).len(), 0);
}

#[test]
fn a_base_has_no_service() {
    let item: ItemTrait = parse_quote!(
        trait HealthApi {}
    );
    assert!(matches!(model("base", &item).unwrap().role, Role::Base));
    assert_eq!(errors("\"order-service\", base", &item).len(), 1);
    assert_eq!(errors("base, url = \"http://h\"", &item).len(), 1);
}

#[test]
fn our_attributes_are_taken_away_and_others_stay() {
    let client = client(&parse_quote! {
        trait OrderClient {
            /// Text.
            #[get("/")]
            #[cfg(all())]
            #[must_use]
            #[set]
            async fn f(&self, #[query] #[allow(unused)] a: u8) -> R;
        }
    });
    let item = client.item;
    let text = quote::quote!(#item).to_string();
    assert!(!text.contains("get") && !text.contains("query"), "{text}");
    assert!(
        text.contains("must_use")
            && text.contains("set")
            && text.contains("Text.")
            && text.contains("cfg")
            && text.contains("allow")
    );
}
