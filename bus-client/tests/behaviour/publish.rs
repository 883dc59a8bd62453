//! Publishes that are under way at the same time.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use vernal_bus_client::{AmqpTransport, Error};
use vernal_testkit::broker::Broker;

use crate::amqp::{broker, node, rabbit};
use crate::node::{Node, SOON, join, quick};

/// One way to the broker and back takes two of these.
const DELAY: Duration = Duration::from_millis(100);
/// One after the other these would take twice the time that a publish has.
const MANY: usize = 50;

/// A node from which the broker is far away.
async fn far_node(broker: &Broker) -> Node {
    let mut settings = rabbit(broker);
    settings.port = Some(far(broker).await);
    join("orders:8080:a", quick(), AmqpTransport::new(settings).unwrap()).await
}

/// Publishes in a task of its own.
fn publish(node: &Node) -> JoinHandle<Result<String, Error>> {
    let bus = node.bus.clone();
    tokio::spawn(async move { bus.publish_refresh(Some("nobody")).await })
}

/// A port behind which the broker is far away.
async fn far(broker: &Broker) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, target) = (listener.local_addr().unwrap().port(), broker.port());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (from_near, to_near) = near.into_split();
            let (from_far, to_far) = TcpStream::connect(("127.0.0.1", target)).await.unwrap().into_split();
            tokio::spawn(carry(from_near, to_far));
            tokio::spawn(carry(from_far, to_near));
        }
    });
    port
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        tokio::time::sleep(DELAY).await;
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

fn publishers(broker: &Broker) -> usize {
    let names = broker.connections().into_iter().filter_map(|connection| connection.name);
    names.filter(|name| name.ends_with("#publish")).count()
}

#[tokio::test]
async fn none_waits_for_the_confirm_of_another() {
    let broker = broker().await;
    let a = far_node(&broker).await;
    let publishes: Vec<_> = (0..MANY).map(|_| publish(&a)).collect();
    let mut failed = Vec::new();
    for ended in publishes {
        failed.extend(ended.await.unwrap().err());
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!((broker.published().len(), publishers(&broker)), (MANY, 1));
    a.bus.stop().await;
}

#[tokio::test]
async fn one_that_is_dropped_leaves_the_others_alone_and_its_connection_to_them() {
    let broker = broker().await;
    let a = node("orders:8080:a", &broker).await;
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    broker.freeze();
    let (dropped, kept) = (publish(&a), publish(&a));
    // Both are on their way to the broker.
    tokio::time::sleep(DELAY).await;
    dropped.abort();
    assert!(dropped.await.is_err());
    broker.thaw();
    kept.await.unwrap().unwrap();
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    assert!(broker.until(SOON, |broker| publishers(broker) == 1).await, "the old connection is closed");
    assert_eq!(broker.published().len(), 4);
    a.bus.stop().await;
}

#[tokio::test]
async fn stop_waits_for_one_that_is_under_way() {
    let broker = broker().await;
    let a = far_node(&broker).await;
    a.bus.publish_refresh(Some("nobody")).await.unwrap();
    let under_way = publish(&a);
    tokio::task::yield_now().await;
    a.bus.stop().await;
    under_way.await.unwrap().unwrap();
    assert_eq!(broker.published().len(), 2);
    assert!(broker.until(SOON, |broker| broker.connections().is_empty()).await);
}
