use vernal_feign::feign_client;

#[feign_client("order-service", headers("X-Trace: {trace}"))]
pub trait OrderClient {}

fn main() {}
