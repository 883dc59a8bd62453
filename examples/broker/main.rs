//! An AMQP broker that stands in for RabbitMQ: `cargo run --example broker [-- --spring.rabbitmq.port=5672]`.

use std::process::ExitCode;

use vernal::BoxError;
use vernal_examples::program;
use vernal_testkit::broker::Broker;

#[tokio::main]
async fn main() -> ExitCode {
    program::run("broker", run).await
}

async fn run(arguments: Vec<String>) -> Result<(), BoxError> {
    const PORT: &str = "spring.rabbitmq.port";
    let settings = program::settings("broker", arguments).await?;
    let port = program::port(&settings, PORT, 5672)?;
    let broker = program::listening(Broker::builder().port(port).start().await, port, PORT)?;
    program::say(&format!("broker: amqp://127.0.0.1:{} (guest/guest)", broker.port()));
    program::told_to_stop().await?;
    let (queues, connections) = (broker.queues().len(), broker.connections().len());
    program::say(&format!("broker: {queues} queues and {connections} connections are left"));
    broker.stop().await;
    Ok(())
}
