use vernal_feign::feign_client;

#[feign_client(context_id = "orders")]
pub trait OrderClient {}

fn main() {}
