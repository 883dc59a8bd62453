use vernal_feign::feign_client;

#[feign_client("order-service", fallback = NoOrders)]
pub trait OrderClient {}

fn main() {}
