//! Bytes that no client library sends.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{AMQPClass, basic, channel, connection};
use vernal_testkit::broker::Broker;

use crate::client::{LIMIT, broker, channel as lapin_channel, connect, publish};
use crate::raw::{Raw, bytes, start_ok};

/// `basic.publish` to `amq.topic` with key `k` on channel 1.
fn publish_method() -> Vec<u8> {
    let publish =
        basic::Publish { exchange: "amq.topic".into(), routing_key: "k".into(), mandatory: false, immediate: false };
    bytes(&AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))))
}

fn header(class: u8, size: u8) -> Vec<u8> {
    vec![2, 0, 1, 0, 0, 0, 14, 0, class, 0, 0, 0, 0, 0, 0, 0, 0, 0, size, 0, 0, 0xce]
}

const BODY: [u8; 10] = [3, 0, 1, 0, 0, 0, 2, b'h', b'i', 0xce];

#[tokio::test]
async fn malformed_frames_close_the_connection_and_nothing_else() {
    let broker = broker().await;
    let healthy = connect(&broker).await;
    let mut huge = vec![1, 0, 1];
    huge.extend(200_000_u32.to_be_bytes());
    let transaction = vec![1, 0, 1, 0, 0, 0, 4, 0, 90, 0, 10, 0xce];
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unknown frame type", vec![9, 0, 1, 0, 0, 0, 0, 0xce], 501),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 501),
        ("wrong end", vec![1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 10, 0], 501),
        ("frame over frame-max", huge, 501),
        ("heartbeat on a channel", vec![8, 0, 1, 0, 0, 0, 0, 0xce], 505),
        ("unknown class", vec![1, 0, 1, 0, 0, 0, 4, 0, 99, 0, 10, 0xce], 501),
        ("method cut short", vec![1, 0, 1, 0, 0, 0, 5, 0, 50, 0, 10, 0, 0xce], 501),
        ("header cut short", [publish_method(), vec![2, 0, 1, 0, 0, 0, 2, 0, 60, 0xce]].concat(), 501),
        ("answer of the broker's side", vec![1, 0, 1, 0, 0, 0, 5, 0, 60, 0, 21, 0, 0xce], 503),
        ("channel method on channel 0", vec![1, 0, 0, 0, 0, 0, 5, 0, 20, 0, 10, 0, 0xce], 504),
        ("connection method on a channel", vec![1, 0, 1, 0, 0, 0, 4, 0, 10, 0, 51, 0xce], 503),
        ("confirm.select cut short", vec![1, 0, 2, 0, 0, 0, 4, 0, 85, 0, 10, 0xce], 501),
        ("a channel that is not open", vec![1, 0, 2, 0, 0, 0, 5, 0, 85, 0, 10, 0, 0xce], 504),
        ("a channel opened twice", vec![1, 0, 1, 0, 0, 0, 5, 0, 20, 0, 10, 0, 0xce], 504),
        ("a channel over channel-max", vec![1, 0xff, 0xff, 0, 0, 0, 5, 0, 20, 0, 10, 0, 0xce], 504),
        ("header without publish", header(60, 2), 505),
        ("body without header", [publish_method(), BODY.to_vec()].concat(), 505),
        ("body without publish", BODY.to_vec(), 505),
        ("header of another class", [publish_method(), header(50, 2)].concat(), 505),
        ("two headers", [publish_method(), header(60, 2), header(60, 2)].concat(), 505),
        ("too long a body", [publish_method(), header(60, 1), BODY.to_vec()].concat(), 505),
        ("a method within content", [publish_method(), header(60, 2), publish_method()].concat(), 505),
        ("body on channel 0", vec![3, 0, 0, 0, 0, 0, 1, 0, 0xce], 505),
        ("transaction", transaction, 540),
    ];
    for (what, sent, code) in &cases {
        let mut raw = Raw::open(&broker, 0).await;
        raw.send(sent).await;
        let (got, text) = raw.closed().await;
        assert_eq!(got, *code, "{what}: {text}");
        raw.send_method(0, AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))).await;
        assert!(raw.frame().await.is_none(), "{what}: the socket is closed after the answer");
    }
    assert_eq!(broker.counters().malformed, cases.len() as u64 - 1, "a transaction is well formed");
    publish(&lapin_channel(&healthy).await, "amq.topic", "x", b"x").await.unwrap();
    assert!(broker.until(LIMIT, |broker| broker.connections().len() == 1).await);
}

#[tokio::test]
async fn deeply_nested_tables_are_refused_not_recursed_into() {
    let broker = broker().await;
    let mut table = vec![0, 0, 0, 0];
    while table.len() < 120_000 {
        let size = u32::try_from(table.len() + 3).unwrap();
        let mut outer = size.to_be_bytes().to_vec();
        outer.extend([1, b'k', b'F']);
        outer.append(&mut table);
        table = outer;
        // Growing by prefixing is quadratic; four thousand levels are plenty.
        if table.len() > 7 * 4000 {
            break;
        }
    }
    let mut payload = vec![0, 50, 0, 10, 0, 0, 1, b'q', 0];
    payload.extend(table);
    let mut frame = vec![1, 0, 1];
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    let mut raw = Raw::open(&broker, 0).await;
    raw.send(&frame).await;
    assert_eq!(raw.closed().await.0, 502);
}

#[tokio::test]
async fn another_protocol_is_answered_with_ours() {
    let broker = broker().await;
    for opening in [&b"AMQP\x00\x01\x00\x00"[..], b"GET / HT", b"AMQP\x01\x01\x09\x01"] {
        let mut raw = Raw::connect(&broker).await;
        raw.send(opening).await;
        assert_eq!(raw.rest().await, b"AMQP\0\0\x09\x01");
    }
}

#[tokio::test]
async fn methods_out_of_order_in_the_handshake_are_refused() {
    let broker = broker().await;
    let open = || AMQPClass::Connection(connection::AMQPMethod::Open(connection::Open { virtual_host: "/".into() }));
    let channel = || AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    for (number, method, code) in [(0, open(), 503), (1, channel(), 505)] {
        let mut raw = Raw::connect(&broker).await;
        raw.send(b"AMQP\0\0\x09\x01").await;
        raw.expect_start().await;
        raw.send_method(number, method).await;
        assert_eq!(raw.closed().await.0, code);
    }
    assert!(broker.connections().is_empty());
}

#[tokio::test]
async fn limits_above_ours_are_not_negotiated() {
    let broker = broker().await;
    for (channel_max, frame_max) in [(0, 131_072), (2048, 131_072), (10, 0), (10, 131_073), (10, 100)] {
        let mut raw = Raw::connect(&broker).await;
        raw.send(b"AMQP\0\0\x09\x01").await;
        raw.expect_start().await;
        raw.send_method(0, start_ok(b"\0guest\0guest")).await;
        assert!(raw.frame().await.is_some(), "tune");
        let ok = connection::TuneOk { channel_max, frame_max, heartbeat: 0 };
        raw.send_method(0, AMQPClass::Connection(connection::AMQPMethod::TuneOk(ok))).await;
        assert_eq!(raw.closed().await.0, 530, "{channel_max} {frame_max}");
    }
}

#[tokio::test]
async fn random_bytes_neither_panic_nor_stay() {
    let broker = broker().await;
    // A small linear congruential generator: the same bytes on every run.
    let mut seed = 42_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    for round in 0..200 {
        let mut raw = Raw::open(&broker, 0).await;
        let mut noise: Vec<u8> = (0..64).map(|_| random()).collect();
        if round % 2 == 0 {
            // A valid envelope around a random method of a known class.
            let class = [10, 20, 30, 40, 50, 60, 85, 90][usize::from(random()) % 8];
            let method = (random() % 12) * 10 + random() % 2;
            noise[..11].copy_from_slice(&[1, 0, 1, 0, 0, 0, 56, 0, class, 0, method]);
            noise[63] = 0xce;
        }
        raw.try_send(&noise).await;
        drop(raw);
    }
    assert!(broker.until(LIMIT, |broker| broker.connections().is_empty()).await);
    publish(&lapin_channel(&connect(&broker).await).await, "amq.topic", "x", b"x").await.unwrap();
}

#[tokio::test]
async fn too_many_connections_are_turned_away() {
    let broker = Broker::builder().max_connections(1).start().await.unwrap();
    let first = connect(&broker).await;
    assert!(Raw::connect(&broker).await.rest().await.is_empty());
    assert_eq!(broker.counters().turned_away, 1);
    assert!(first.status().connected());
}
