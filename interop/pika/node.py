"""A node of the bus with pika, the AMQP client of Python; prints as JSON what it saw of the broker.

usage: node.py PORT SERVICE: refreshes SERVICE over the broker at 127.0.0.1:PORT and waits for its ack. It does what
Spring's client does, and what clients may do beyond that.
"""

import json
import sys
import time
import uuid

import pika
from pika import exceptions

BUS = "springCloudBus"
LIMIT = 30  # seconds for anything that the broker or the service does


def connect(port, **parameters):
    parameters = {"heartbeat": 1, "blocked_connection_timeout": LIMIT, "socket_timeout": LIMIT, **parameters}
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, **parameters))


def refused(action):
    """How the broker closed the channel or the connection because of an action."""
    try:
        action()
    except exceptions.ChannelClosedByBroker as closed:
        return {"code": closed.reply_code, "text": closed.reply_text}
    except exceptions.ProbableAuthenticationError as closed:
        return {"text": str(closed)}
    return None


def until(connection, condition):
    """Handles what arrives until the condition holds; whether it came to hold."""
    end = time.monotonic() + LIMIT
    while not condition() and time.monotonic() < end:
        connection.process_data_events(time_limit=0.1)
    return condition()


def handshake(connection):
    """What was agreed upon; pika tells it in private fields only."""
    server = connection._impl.server_properties
    return {
        "capabilities": sorted(name for name, can in server["capabilities"].items() if can),
        "heartbeat": connection._impl.params.heartbeat,
        "frame_max": connection._impl.params.frame_max,
        "channel_max": connection._impl.params.channel_max,
    }


def heartbeats(connection):
    """Whether the broker sends some on a connection that is silent otherwise."""
    checker = connection._impl._heartbeat_checker
    before = checker._heartbeat_frames_received
    return until(connection, lambda: checker._heartbeat_frames_received >= before + 2)


def faults(connection, port):
    """What costs the channel, with RabbitMQ's code and text."""
    first = connection.channel()
    first.queue_declare("interop-pika.own", exclusive=True)
    other = connect(port)
    try:
        return {
            "another kind of exchange": refused(
                lambda: connection.channel().exchange_declare(BUS, exchange_type="fanout", durable=True)
            ),
            "an exchange that is not durable": refused(
                lambda: connection.channel().exchange_declare(BUS, exchange_type="topic", durable=False)
            ),
            "no such queue": refused(lambda: connection.channel().queue_declare("interop-pika.none", passive=True)),
            "no such exchange": refused(
                lambda: connection.channel().exchange_declare("interop-pika.none", passive=True)
            ),
            "somebody else's queue": refused(
                lambda: other.channel().queue_declare("interop-pika.own", passive=True)
            ),
            "an acknowledgement of nothing": refused(lambda: acknowledge_nothing(connection)),
        }
    finally:
        other.close()
        first.close()


def acknowledge_nothing(connection):
    channel = connection.channel()
    channel.basic_ack(delivery_tag=7)
    # It has no answer, so the next question learns of the end of the channel.
    channel.queue_declare("", exclusive=True)


def bus(connection, service):
    """Refreshes the service as Spring's node does; what came back on an anonymous queue."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
    channel.queue_bind(queue, BUS, "#")
    event = {
        "type": "RefreshRemoteApplicationEvent",
        "destinationService": f"{service}:**",
        "id": str(uuid.uuid4()),
        "originService": "interop-python:0:1",
        "timestamp": int(time.time() * 1000),
    }
    seen = []

    def take(channel, method, properties, body):
        message = json.loads(body)
        if message["id"] == event["id"] or message.get("ackId") == event["id"]:
            seen.append({
                "key": method.routing_key,
                "exchange": method.exchange,
                "redelivered": method.redelivered,
                "content_type": properties.content_type,
                "persistent": properties.delivery_mode == 2,
                "message": message,
            })
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, take)
    channel.confirm_delivery()
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, priority=0,
                                      message_id=event["id"], timestamp=int(time.time()))
    # Returns once the broker has confirmed it, and raises for what is refused or returned.
    channel.basic_publish(BUS, BUS, json.dumps(event), properties, mandatory=True)
    until(connection, lambda: any(one["message"]["type"].startswith("Ack") for one in seen))
    channel.close()
    return {"queue": queue, "event": event["id"], "seen": seen}


def unroutable(connection):
    """A mandatory message for nobody comes back, and is confirmed nevertheless."""
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("", "interop-pika.none", b"lost", mandatory=True)
    except exceptions.UnroutableError as error:
        (message,) = error.messages
        return {"code": message.method.reply_code, "text": message.method.reply_text,
                "key": message.method.routing_key, "body": message.body.decode()}
    return None


def by_hand(connection):
    """`basic.get`: a message that is refused comes again and says so; an empty queue is no error."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    headers = {"text": "é", "number": 7, "big": 2**40, "truth": True, "none": None, "list": [1, "a"],
               "table": {"inner": "b"}}
    body = bytes(range(256)) * 1200  # more than two frames
    channel.basic_publish("", queue, body, pika.BasicProperties(headers=headers, correlation_id="c", reply_to="r"))
    seen = []
    for answer in (channel.basic_nack, channel.basic_reject, None):
        method, properties, content = channel.basic_get(queue)
        seen.append(method.redelivered)
        if answer is not None:
            answer(method.delivery_tag, requeue=True)
    same = content == body and properties.headers == headers
    same = same and (properties.correlation_id, properties.reply_to) == ("c", "r")
    channel.basic_ack(method.delivery_tag)
    return {"redelivered": seen, "same": same, "then": channel.basic_get(queue)[0]}


def prefetch(connection):
    """So many unacknowledged deliveries at once; what is cancelled gives its messages back, in order."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    for number in range(5):
        channel.basic_publish("", queue, str(number).encode())
    channel.basic_qos(prefetch_count=2)
    seen = []
    tag = channel.basic_consume(queue, lambda _, method, __, body: seen.append((method.delivery_tag, int(body))))
    until(connection, lambda: len(seen) == 2)
    # A round trip: what the broker had to say before has arrived after it.
    waiting = channel.queue_declare(queue, passive=True).method.message_count
    connection.process_data_events(time_limit=0)
    first = [number for _, number in seen]
    channel.basic_ack(seen[0][0])
    until(connection, lambda: len(seen) == 3)
    then = [number for _, number in seen]
    channel.basic_cancel(tag)
    channel.basic_recover(requeue=True)
    rest = []
    while (answer := channel.basic_get(queue, auto_ack=True))[0] is not None:
        rest.append([int(answer[2]), answer[0].redelivered])
    return {"first": first, "waiting": waiting, "then": then, "rest": rest}


def main(port, service):
    wrong = pika.PlainCredentials("guest", "wrong")
    login = refused(lambda: connect(port, credentials=wrong))
    connection = connect(port, client_properties={"connection_name": "interop-pika"})
    connection.channel().exchange_declare(BUS, exchange_type="topic", durable=True)
    report = {
        "pika": pika.__version__,
        "login with a wrong password": login,
        "handshake": handshake(connection),
        "heartbeats": heartbeats(connection),
        "faults": faults(connection, port),
        "bus": bus(connection, service),
        "unroutable": unroutable(connection),
        "by_hand": by_hand(connection),
        "prefetch": prefetch(connection),
    }
    connection.close()
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
