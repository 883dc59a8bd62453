//! An AMQP broker that stands in for RabbitMQ: `cargo run --example broker [-- --spring.rabbitmq.port=5672]`.
#![expect(clippy::print_stdout, reason = "a program says where it listens")]

use std::process::ExitCode;

use vernal::BoxError;
use vernal_examples::program;
use vernal_testkit::broker::Broker;

#[tokio::main]
async fn main() -> ExitCode {
    program::log();
    program::exit("broker", run().await)
}

async fn run() -> Result<(), BoxError> {
    let settings = program::settings("broker").await?;
    let port = program::port(&settings, "spring.rabbitmq.port", 5672)?;
    let broker = Broker::builder().port(port).start().await?;
    println!("broker: amqp://127.0.0.1:{} (guest/guest)", broker.port());
    program::told_to_stop().await?;
    println!("broker: {} queues and {} connections are left", broker.queues().len(), broker.connections().len());
    broker.stop().await;
    Ok(())
}
