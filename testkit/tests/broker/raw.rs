//! A client that sends exactly the bytes it is told to.

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, channel, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vernal_testkit::broker::Broker;

use crate::client::within;

pub(crate) struct Raw {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// A socket that has said nothing yet.
    pub(crate) async fn connect(broker: &Broker) -> Self {
        let socket = within(TcpStream::connect(("127.0.0.1", broker.port()))).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, received: Vec::new() }
    }

    /// A connection after the handshake with the given heartbeat, with channel 1 open.
    pub(crate) async fn open(broker: &Broker, heartbeat: u16) -> Self {
        let mut raw = Self::connect(broker).await;
        raw.log_in(heartbeat).await;
        raw.open_channel(1).await;
        raw
    }

    pub(crate) async fn log_in(&mut self, heartbeat: u16) {
        self.send(b"AMQP\0\0\x09\x01").await;
        self.expect_start().await;
        self.send_method(0, start_ok(b"\0guest\0guest")).await;
        let Some(AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Tune(tune)))) = self.frame().await
        else {
            panic!("no tune")
        };
        let (channel_max, frame_max) = (tune.channel_max, tune.frame_max);
        let ok = connection::TuneOk { channel_max, frame_max, heartbeat };
        self.send_method(0, AMQPClass::Connection(connection::AMQPMethod::TuneOk(ok))).await;
        let open = connection::Open { virtual_host: "/".into() };
        self.send_method(0, AMQPClass::Connection(connection::AMQPMethod::Open(open))).await;
        assert!(matches!(
            self.frame().await,
            Some(AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::OpenOk(_))))
        ));
    }

    pub(crate) async fn expect_start(&mut self) {
        assert!(matches!(
            self.frame().await,
            Some(AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Start(_))))
        ));
    }

    pub(crate) async fn open_channel(&mut self, number: u16) {
        self.send_method(number, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
        let opened = self.frame().await;
        assert!(
            matches!(&opened, Some(AMQPFrame::Method(n, AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)))) if *n == number)
        );
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.socket.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn send_method(&mut self, channel: u16, class: AMQPClass) {
        self.send(&bytes(&AMQPFrame::Method(channel, class))).await;
    }

    /// Sends what the broker may not want to read to the end.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        let _ = within(self.socket.write_all(bytes)).await;
    }

    /// The next frame; `None` when the broker closed the socket.
    pub(crate) async fn frame(&mut self) -> Option<AMQPFrame> {
        loop {
            if let Ok((rest, frame)) = parse_frame(&self.received[..]) {
                self.received = rest.to_vec();
                return Some(frame);
            }
            match within(self.socket.read_buf(&mut self.received)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The code and text of the `connection.close` that comes next.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Some(AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Close(close)))) => {
                    return (close.reply_code, close.reply_text.to_string());
                }
                Some(AMQPFrame::Heartbeat) => {}
                other => panic!("expected a close, got {other:?}"),
            }
        }
    }

    /// All bytes up to the end of the stream.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let _ = within(self.socket.read_to_end(&mut self.received)).await;
        self.received
    }
}

pub(crate) fn bytes(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new())).unwrap().into_inner().0
}

pub(crate) fn start_ok(response: &[u8]) -> AMQPClass {
    let mut capabilities = FieldTable::default();
    capabilities.insert("consumer_cancel_notify".into(), AMQPValue::Boolean(true));
    capabilities.insert("authentication_failure_close".into(), AMQPValue::Boolean(true));
    let mut client_properties = FieldTable::default();
    client_properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: "PLAIN".into(),
        response: response.into(),
        locale: "en_US".into(),
    }))
}
