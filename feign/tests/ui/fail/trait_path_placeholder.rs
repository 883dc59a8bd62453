use vernal_feign::feign_client;

#[feign_client("order-service", path = "/{shop}")]
pub trait OrderClient {}

fn main() {}
