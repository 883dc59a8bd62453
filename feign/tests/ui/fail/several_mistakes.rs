use vernal_feign::{Result, feign_client};

#[feign_client("order-service")]
pub trait OrderClient {
    #[get("/orders/{id}")]
    async fn order(&self) -> Result<String>;
    
    #[post("/orders")]
    fn create(&self, order: &str) -> Result<()>;
    
    async fn forgotten(&mut self) -> Result<()>;
}

fn main() {}
