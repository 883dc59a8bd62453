//! What a client writes to the testkit's broker after the protocol header: it is answered or closed, the broker lives,
//! and it forgets the connection.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vernal_fuzz::block_on;
use vernal_testkit::broker::Broker;

static BROKER: OnceLock<Broker> = OnceLock::new();

fuzz_target!(|frames: &[u8]| {
    let broker = BROKER.get_or_init(|| block_on(Broker::builder().start()).expect("a broker"));
    block_on(async {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port())).await.expect("the broker lives");
        stream.write_all(b"AMQP\0\0\x09\x01").await.expect("the broker reads");
        // It may close while we write.
        stream.write_all(frames).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "the broker does not close after the client has");
        // Nothing stays behind in TIME_WAIT, of which there are only so many.
        stream.set_zero_linger().ok();
        drop(stream);
        assert!(broker.until(Duration::from_secs(10), |broker| broker.connections().is_empty()).await);
    });
});
