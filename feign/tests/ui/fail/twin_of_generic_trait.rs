use vernal_feign::feign_client;

#[feign_client("order-service", dyn = true)]
pub trait Crud<T> {}

fn main() {}
