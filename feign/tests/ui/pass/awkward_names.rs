//! Parameters named as keywords, and as the local variables of the generated code.

use vernal_feign::{FeignClient, Result, feign_client};

#[feign_client("search-service")]
pub trait SearchClient {
    #[get("/search/{type}")]
    async fn r#match(&self, r#type: &str, #[query] r#in: Option<&str>) -> Result<String>;

    #[post("/search/{meta}")]
    #[allow(clippy::too_many_arguments)]
    async fn names(
        &self,
        meta: u64,
        #[query] call: &str,
        #[query] shape: &str,
        #[query] client: &str,
        #[query] methods: &str,
        #[header] self_: &str,
        body: &str,
    ) -> Result<String>;
}

pub fn main() {
    let meta = SearchClientFeign::meta();
    assert_eq!(meta.methods[0].key(&meta.trait_name), "SearchClient#match(String,String)");
    assert_eq!(meta.methods[0].parameters[0].name, "type");
    assert_eq!(meta.methods[0].parameters[1].name, "in");
    assert_eq!(meta.methods[1].parameters.len(), 7);
}
