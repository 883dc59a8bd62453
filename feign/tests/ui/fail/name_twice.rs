use vernal_feign::feign_client;

#[feign_client("order-service", name = "order-service")]
pub trait OrderClient {}

fn main() {}
