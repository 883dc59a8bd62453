use vernal_feign::feign_client;

#[feign_client("order-service")]
pub struct OrderClient;

fn main() {}
