use vernal_feign::feign_client;

#[feign_client("order-service")]
pub trait OrderClient {
    type Order;
}

fn main() {}
