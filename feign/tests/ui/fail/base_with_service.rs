use vernal_feign::feign_client;

#[feign_client("order-service", base)]
pub trait HealthClient {}

fn main() {}
