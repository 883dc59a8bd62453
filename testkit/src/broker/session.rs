//! The life of a connection and of its channels: handshake, dispatch of methods, closing.

use amq_protocol::protocol::{AMQPClass, access, channel, confirm, connection};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::connection::{Capabilities, Channel, Connection, Phase};
use super::fault::{
    ACCESS_REFUSED, CHANNEL_ERROR, COMMAND_INVALID, Fault, NOT_ALLOWED, NOT_IMPLEMENTED, UNEXPECTED_FRAME, reply_text,
};
use super::frame::{Inbound, short};
use super::limits::FRAME_MIN;
use super::state::{State, Step};

/// The broker's first method: who it is and what it can do, no more.
pub(super) fn start() -> AMQPClass {
    let mut capabilities = FieldTable::default();
    for name in [
        "publisher_confirms",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
        "per_consumer_qos",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    capabilities.insert("exchange_exchange_bindings".into(), AMQPValue::Boolean(false));
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    for (name, value) in [
        ("product", "vernal-testkit"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("platform", "Rust"),
        ("information", "in-memory AMQP 0-9-1 broker for tests"),
    ] {
        properties.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    AMQPClass::Connection(connection::AMQPMethod::Start(connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: properties,
        mechanisms: "PLAIN".into(),
        locales: "en_US".into(),
    }))
}

impl State {
    /// Does what a frame asks for.
    pub(super) fn on_frame(&mut self, id: u64, frame: Inbound) -> Step {
        let mut about = frame.about();
        let Some(connection) = self.connections.get_mut(&id) else { return Step::End };
        if connection.channels.get(&about.0).is_some_and(|channel| channel.content.is_some()) {
            // Whatever goes wrong now is about basic.publish.
            (about.1, about.2) = (60, 40);
        }
        let outcome = match frame {
            Inbound::Heartbeat => Ok(Step::Go),
            Inbound::Method(0, AMQPClass::Connection(method)) => self.on_connection_method(id, method),
            _ if connection.phase != Phase::Running => {
                Err(Fault::hard(UNEXPECTED_FRAME, "expected the next method of the handshake"))
            }
            Inbound::Method(0, _) => Err(Fault::hard(CHANNEL_ERROR, "unexpected method in connection state running")),
            Inbound::Header(0, _) | Inbound::Body(0, _) => Err(Fault::hard(UNEXPECTED_FRAME, "content on channel 0")),
            Inbound::Method(_, AMQPClass::Connection(_)) => Err(Fault::hard(COMMAND_INVALID, "unimplemented method")),
            Inbound::Method(number, AMQPClass::Channel(channel::AMQPMethod::Open(_))) => {
                connection.open_channel(number).map(|()| Step::Go)
            }
            other => self.on_channel_frame(id, about.0, other).map(|()| Step::Go),
        };
        outcome.unwrap_or_else(|fault| {
            self.fail(id, about, &fault);
            Step::Go
        })
    }

    fn on_connection_method(&mut self, id: u64, method: connection::AMQPMethod) -> Result<Step, Fault> {
        use connection::AMQPMethod as Method;

        let limits = &self.limits;
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(Step::End) };
        let reply = |connection: &mut Connection, method| connection.send(0, AMQPClass::Connection(method));
        match (connection.phase, method) {
            (_, Method::Close(_)) => {
                self.release(id);
                if let Some(connection) = self.connections.get_mut(&id) {
                    reply(connection, Method::CloseOk(connection::CloseOk {}));
                }
                return Ok(Step::End);
            }
            (Phase::StartOk, Method::StartOk(ok)) => {
                let capabilities = match ok.client_properties.inner().get("capabilities") {
                    Some(AMQPValue::FieldTable(table)) => table.clone(),
                    _ => FieldTable::default(),
                };
                let can = |name: &str| capabilities.inner().get(name) == Some(&AMQPValue::Boolean(true));
                connection.can = Capabilities {
                    consumer_cancel_notify: can("consumer_cancel_notify"),
                    connection_blocked: can("connection.blocked"),
                };
                if let Some(AMQPValue::LongString(name)) = ok.client_properties.inner().get("connection_name") {
                    connection.name = Some(name.to_string());
                }
                if ok.mechanism.as_str() != "PLAIN" {
                    let text = format!("unknown authentication mechanism '{}'", ok.mechanism);
                    return Err(Fault::hard(COMMAND_INVALID, text));
                }
                let login = plain(ok.response.as_bytes());
                let known = login.filter(|(name, password)| {
                    self.users.iter().any(|(user, secret)| user == name && secret.expose() == *password)
                });
                let Some((user, _)) = known else {
                    self.counters.refused += 1;
                    tracing::warn!(peer = %connection.peer, user = login.map(|(user, _)| user), "login refused");
                    let can_be_told = can("authentication_failure_close");
                    let text = "Login was refused using authentication mechanism PLAIN. For details see the broker \
                                logfile.";
                    // A client that does not know this answer learns it from the closed socket.
                    return if can_be_told { Err(Fault::hard(ACCESS_REFUSED, text)) } else { Ok(Step::End) };
                };
                user.clone_into(&mut connection.user);
                connection.phase = Phase::TuneOk;
                let tune = connection::Tune {
                    channel_max: limits.channel_max,
                    frame_max: limits.frame_max,
                    heartbeat: limits.heartbeat,
                };
                reply(connection, Method::Tune(tune));
            }
            (Phase::TuneOk, Method::TuneOk(ok)) => {
                check_tuned("channel_max", u32::from(ok.channel_max), 1, u32::from(limits.channel_max))?;
                check_tuned("frame_max", ok.frame_max, FRAME_MIN, limits.frame_max)?;
                connection.channel_max = ok.channel_max;
                connection.frame_max = ok.frame_max;
                connection.heartbeat = ok.heartbeat;
                connection.phase = Phase::Open;
            }
            (Phase::Open, Method::Open(open)) => {
                if open.virtual_host.as_str() != "/" {
                    return Err(Fault::hard(NOT_ALLOWED, format!("vhost {} not found", open.virtual_host)));
                }
                connection.phase = Phase::Running;
                reply(connection, Method::OpenOk(connection::OpenOk {}));
                tracing::debug!(peer = %connection.peer, name = connection.name, "client connected");
            }
            (_, Method::UpdateSecret(_)) => {
                return Err(Fault::hard(NOT_IMPLEMENTED, "connection.update-secret"));
            }
            _ => return Err(Fault::hard(COMMAND_INVALID, "connection method out of order")),
        }
        Ok(Step::Go)
    }

    fn on_channel_frame(&mut self, id: u64, number: u16, frame: Inbound) -> Result<(), Fault> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(open) = connection.channels.get_mut(&number) else {
            return Err(Fault::hard(CHANNEL_ERROR, "expected 'channel.open'"));
        };
        let reply = |connection: &mut Connection, method| connection.send(number, AMQPClass::Channel(method));
        if open.closing {
            match frame {
                Inbound::Method(_, AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))) => {
                    connection.channels.remove(&number);
                }
                Inbound::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(_))) => {
                    connection.channels.remove(&number);
                    reply(connection, channel::AMQPMethod::CloseOk(channel::CloseOk {}));
                }
                _ => {}
            }
            return Ok(());
        }
        let class = match frame {
            Inbound::Header(_, header) => return self.on_header(id, number, *header),
            Inbound::Body(_, chunk) => return self.on_body(id, number, &chunk),
            Inbound::Method(_, class) => class,
            Inbound::Heartbeat => return Ok(()),
        };
        if let Some(content) = &open.content {
            return Err(content.unexpected());
        }
        match class {
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => {
                let closed = connection.channels.remove(&number).unwrap_or_default();
                self.release_channel(id, number, closed);
                if let Some(connection) = self.connections.get_mut(&id) {
                    reply(connection, channel::AMQPMethod::CloseOk(channel::CloseOk {}));
                }
                Ok(())
            }
            AMQPClass::Channel(channel::AMQPMethod::Flow(flow)) if flow.active => {
                reply(connection, channel::AMQPMethod::FlowOk(channel::FlowOk { active: true }));
                Ok(())
            }
            AMQPClass::Channel(channel::AMQPMethod::Flow(_)) => Err(Fault::hard(NOT_IMPLEMENTED, "active=false")),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                open.confirms = true;
                if !select.nowait {
                    let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
                    connection.send(number, AMQPClass::Confirm(ok));
                }
                Ok(())
            }
            AMQPClass::Exchange(method) => self.on_exchange_method(id, number, method),
            AMQPClass::Queue(method) => self.on_queue_method(id, number, method),
            AMQPClass::Basic(method) => self.on_basic_method(id, number, method),
            AMQPClass::Tx(_) => Err(Fault::hard(NOT_IMPLEMENTED, "transactions")),
            // A method of AMQP 0-8 that RabbitMQ answers for old clients; every one gets the same ticket.
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                connection.send(number, AMQPClass::Access(ok));
                Ok(())
            }
            AMQPClass::Access(_) | AMQPClass::Channel(_) | AMQPClass::Confirm(_) | AMQPClass::Connection(_) => {
                Err(Fault::hard(COMMAND_INVALID, "unimplemented method"))
            }
        }
    }
}

impl Connection {
    fn open_channel(&mut self, number: u16) -> Result<(), Fault> {
        if number > self.channel_max {
            let text = format!("channel {number} is above the negotiated channel_max {}", self.channel_max);
            return Err(Fault::hard(CHANNEL_ERROR, text));
        }
        match self.channels.get(&number) {
            // The broker's close is still on its way; the client will see it and answer.
            Some(channel) if channel.closing => return Ok(()),
            Some(_) => return Err(Fault::hard(CHANNEL_ERROR, "second 'channel.open' seen")),
            None => {}
        }
        self.channels.insert(number, Channel::default());
        self.send(number, AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})));
        Ok(())
    }
}

/// User and password of a PLAIN response: an identity to act for (not used), a zero, the user, a zero, the password.
fn plain(response: &[u8]) -> Option<(&str, &str)> {
    let mut parts = std::str::from_utf8(response).ok()?.splitn(3, '\0').skip(1);
    Some((parts.next()?, parts.next()?))
}

fn check_tuned(what: &str, asked: u32, least: u32, most: u32) -> Result<(), Fault> {
    if asked == 0 || asked > most {
        let asked = if asked == 0 { "no limit".to_owned() } else { asked.to_string() };
        let text = format!("negotiated {what} = {asked} is higher than the maximum allowed value ({most})");
        return Err(Fault::hard(NOT_ALLOWED, text));
    }
    if asked < least {
        let text = format!("negotiated {what} = {asked} is lower than the minimum allowed value ({least})");
        return Err(Fault::hard(NOT_ALLOWED, text));
    }
    Ok(())
}

/// `basic.return` for a message without a queue.
pub(super) fn no_route() -> (u16, amq_protocol::types::ShortString) {
    (312, short(&reply_text(312, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_responses_are_taken_apart() {
        assert_eq!(plain(b"\0guest\0secret"), Some(("guest", "secret")));
        assert_eq!(plain(b"other\0guest\0"), Some(("guest", "")));
        for broken in [&b""[..], b"guest", b"\0guest", b"\0\xff\0x"] {
            assert_eq!(plain(broken), None);
        }
    }

    #[test]
    fn only_values_up_to_ours_can_be_negotiated() {
        assert!(check_tuned("frame_max", 131_072, 4096, 131_072).is_ok());
        for asked in [0, 100, 131_073] {
            assert_eq!(check_tuned("frame_max", asked, 4096, 131_072).err().map(|fault| fault.code), Some(530));
        }
    }
}
