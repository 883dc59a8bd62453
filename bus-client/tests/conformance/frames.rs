//! AMQP frames read a second time, as the recordings describe them, and a proxy that keeps what a client sends.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the client sent on each connection, in the order of the connections.
pub(crate) type Captured = Arc<Mutex<Vec<Vec<u8>>>>;

/// Forwards connections to `target`; returns its own port.
pub(crate) async fn proxy(target: u16) -> (u16, Captured) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let captured: Captured = Arc::default();
    let connections = captured.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let index = {
                let mut all = connections.lock().unwrap();
                all.push(Vec::new());
                all.len() - 1
            };
            let connections = connections.clone();
            tokio::spawn(async move {
                let broker = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_broker, mut to_broker) = broker.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_broker, &mut to_client).await });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    connections.lock().unwrap()[index].extend_from_slice(&buffer[..read]);
                    if to_broker.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
                drop(to_broker);
                drop(back.await);
            });
        }
    });
    (port, captured)
}

/// The methods in a client's bytes as `{"method", "args"}`; those the recordings do not need are left out.
pub(crate) fn methods(mut bytes: &[u8]) -> Vec<Value> {
    bytes = bytes.strip_prefix(b"AMQP\0\0\x09\x01").unwrap_or(bytes);
    let mut methods = Vec::new();
    while bytes.len() >= 8 {
        let size = u32::from_be_bytes(bytes[3..7].try_into().unwrap()) as usize;
        let payload = &bytes[7..7 + size];
        assert_eq!(bytes[7 + size], 0xce, "the end of a frame");
        if bytes[0] == 1 {
            methods.extend(method(payload));
        }
        bytes = &bytes[8 + size..];
    }
    methods
}

fn method(payload: &[u8]) -> Option<Value> {
    let mut args = Reader(payload);
    let (class, method) = (args.short(), args.short());
    let (name, args) = match (class, method) {
        (10, 50) => ("Connection.Close", json!({"reply_code": args.short(), "reply_text": args.text()})),
        (20, 40) => ("Channel.Close", json!({"reply_code": args.short(), "reply_text": args.text()})),
        (40, 10) => ("Exchange.Declare", {
            args.short();
            let (exchange, kind, bits) = (args.text(), args.text(), args.byte());
            json!({"exchange": exchange, "type": kind, "passive": bits & 1 != 0, "durable": bits & 2 != 0,
                "auto_delete": bits & 4 != 0, "internal": bits & 8 != 0, "nowait": bits & 16 != 0, "arguments": args.table()})
        }),
        (50, 10) => ("Queue.Declare", {
            args.short();
            let (queue, bits) = (args.text(), args.byte());
            json!({"queue": queue, "passive": bits & 1 != 0, "durable": bits & 2 != 0, "exclusive": bits & 4 != 0,
                "auto_delete": bits & 8 != 0, "nowait": bits & 16 != 0, "arguments": args.table()})
        }),
        (50, 20) => ("Queue.Bind", {
            args.short();
            let (queue, exchange, key, bits) = (args.text(), args.text(), args.text(), args.byte());
            json!({"queue": queue, "exchange": exchange, "routing_key": key, "nowait": bits & 1 != 0, "arguments": args.table()})
        }),
        (60, 10) => ("Basic.Qos", {
            let (size, count, bits) = (args.long(), args.short(), args.byte());
            json!({"prefetch_size": size, "prefetch_count": count, "global_qos": bits & 1 != 0})
        }),
        (60, 20) => ("Basic.Consume", {
            args.short();
            let (queue, tag, bits) = (args.text(), args.text(), args.byte());
            json!({"queue": queue, "consumer_tag": tag, "no_local": bits & 1 != 0, "no_ack": bits & 2 != 0,
                "exclusive": bits & 4 != 0, "nowait": bits & 8 != 0, "arguments": args.table()})
        }),
        (60, 40) => ("Basic.Publish", {
            args.short();
            let (exchange, key, bits) = (args.text(), args.text(), args.byte());
            json!({"exchange": exchange, "routing_key": key, "mandatory": bits & 1 != 0, "immediate": bits & 2 != 0})
        }),
        (85, 10) => ("Confirm.Select", json!({"nowait": args.byte() & 1 != 0})),
        (60, 30) => ("Basic.Cancel", {
            args.text();
            json!({"nowait": args.byte() & 1 != 0})
        }),
        _ => return None,
    };
    Some(json!({"method": name, "args": args}))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte());
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    /// Names and long strings; nothing else is declared by either side.
    fn table(&mut self) -> Value {
        let length = self.long() as usize;
        let mut entries = Reader(self.take(length));
        let mut table = serde_json::Map::new();
        while !entries.0.is_empty() {
            let name = entries.text();
            assert_eq!(entries.byte(), b'S', "a long string");
            let length = entries.long() as usize;
            table.insert(name, json!(String::from_utf8_lossy(entries.take(length))));
        }
        Value::Object(table)
    }
}
