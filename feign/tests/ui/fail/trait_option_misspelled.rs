use vernal_feign::feign_client;

#[feign_client("order-service", contextid = "orders")]
pub trait OrderClient {}

fn main() {}
