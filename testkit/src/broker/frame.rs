//! Bytes to frames and back.
//!
//! Methods are read and written by `amq-protocol`; the envelope, content headers and bodies are handled here, so that
//! sizes are checked before anything is parsed and properties reach consumers byte for byte as they were published.

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{self, AMQPProperties};
use amq_protocol::types::ShortString;
use bytes::{BufMut, Bytes, BytesMut};

use super::fault::{FRAME_ERROR, Fault, NOT_IMPLEMENTED, SYNTAX_ERROR, UNEXPECTED_FRAME};
use super::limits::NESTING;
use super::nesting;

/// `AMQP`, 0, and version 0-9-1: what a client opens with, and what the broker answers to anything else.
pub(super) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";
/// A whole heartbeat frame.
pub(super) const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, END];
/// A whole `connection.close-ok` frame.
pub(super) const CLOSE_OK: [u8; 12] = [METHOD, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, END];

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const BEAT: u8 = 8;
const END: u8 = 0xce;
/// Type, channel and size before the payload, the end mark after it.
const ENVELOPE: usize = 8;

/// A frame from a client.
#[derive(Debug)]
pub(super) enum Inbound {
    Method(u16, AMQPClass),
    Header(u16, Box<ContentHeader>),
    Body(u16, Bytes),
    Heartbeat,
}

/// The content header of a message.
#[derive(Debug)]
pub(super) struct ContentHeader {
    pub(super) class_id: u16,
    pub(super) body_size: u64,
    pub(super) properties: AMQPProperties,
    /// The properties as they came: flags and values.
    pub(super) raw: Bytes,
}

impl Inbound {
    /// Channel, class and method, as a close names what it is about.
    pub(super) fn about(&self) -> (u16, u16, u16) {
        match self {
            Self::Method(channel, class) => (*channel, class.get_amqp_class_id(), class.get_amqp_method_id()),
            Self::Header(channel, _) | Self::Body(channel, _) => (*channel, 0, 0),
            Self::Heartbeat => (0, 0, 0),
        }
    }
}

/// Takes the next whole frame from `buffer`; `None` when more bytes are needed.
pub(super) fn next(buffer: &mut BytesMut, frame_max: u32) -> Result<Option<Inbound>, Fault> {
    let &[kind, channel_high, channel_low, s0, s1, s2, s3, ..] = &buffer[..] else { return Ok(None) };
    if !matches!(kind, METHOD | HEADER | BODY | BEAT) {
        return Err(Fault::hard(FRAME_ERROR, format!("unknown frame type {kind}")));
    }
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if size > (frame_max as usize).saturating_sub(ENVELOPE) {
        let most = (frame_max as usize).saturating_sub(ENVELOPE);
        return Err(Fault::hard(FRAME_ERROR, format!("frame of {size} bytes is larger than the negotiated {most}")));
    }
    if buffer.len() < size + ENVELOPE {
        return Ok(None);
    }
    let frame = buffer.split_to(size + ENVELOPE).freeze();
    if frame[size + ENVELOPE - 1] != END {
        return Err(Fault::hard(FRAME_ERROR, "frame does not end with 206"));
    }
    let channel = u16::from_be_bytes([channel_high, channel_low]);
    let payload = frame.slice(ENVELOPE - 1..size + ENVELOPE - 1);
    match kind {
        METHOD => {
            check_nesting(nesting::of_method(&payload))?;
            // `amq-protocol` drops this argument of basic.qos.
            if let [0, 60, 0, 10, size @ ..] = &payload[..]
                && let Some(&size) = size.first_chunk()
                && size != [0; 4]
            {
                let text = format!("prefetch_size!=0 ({})", u32::from_be_bytes(size));
                return Err(Fault::hard(NOT_IMPLEMENTED, text));
            }
            match parse_frame(&frame[..]) {
                Ok((_, AMQPFrame::Method(channel, class))) => Ok(Some(Inbound::Method(channel, class))),
                _ => Err(Fault::hard(FRAME_ERROR, "cannot decode a method")),
            }
        }
        HEADER => {
            check_nesting(nesting::of_header(&payload))?;
            match parse_frame(&frame[..]) {
                Ok((_, AMQPFrame::Header(channel, header))) => Ok(Some(Inbound::Header(
                    channel,
                    Box::new(ContentHeader {
                        class_id: header.class_id,
                        body_size: header.body_size,
                        properties: header.properties,
                        raw: Bytes::copy_from_slice(&payload[12..]),
                    }),
                ))),
                _ => Err(Fault::hard(FRAME_ERROR, "cannot decode a content header")),
            }
        }
        BODY => Ok(Some(Inbound::Body(channel, payload))),
        _ if channel == 0 && size == 0 => Ok(Some(Inbound::Heartbeat)),
        _ => Err(Fault::hard(UNEXPECTED_FRAME, "heartbeat with a channel or a payload")),
    }
}

fn check_nesting(depth: Option<usize>) -> Result<(), Fault> {
    match depth {
        Some(depth) if depth <= NESTING => Ok(()),
        Some(_) => Err(Fault::hard(SYNTAX_ERROR, format!("tables nested more than {NESTING} deep"))),
        None => Err(Fault::hard(FRAME_ERROR, "cannot decode a field table")),
    }
}

/// Appends a method frame.
pub(super) fn put_method(buffer: &mut BytesMut, channel: u16, class: AMQPClass) {
    let frame = AMQPFrame::Method(channel, class);
    match gen_frame(&frame)(WriteContext::from(Vec::with_capacity(64))) {
        Ok(written) => buffer.extend_from_slice(&written.into_inner().0),
        Err(error) => tracing::error!(%error, "frame could not be written"),
    }
}

/// Appends content header and body, in as many frames as `frame_max` asks for.
pub(super) fn put_content(buffer: &mut BytesMut, channel: u16, raw_properties: &[u8], body: &[u8], frame_max: u32) {
    put_envelope(buffer, HEADER, channel, 12 + raw_properties.len());
    buffer.put_u16(60);
    buffer.put_u16(0);
    buffer.put_u64(body.len() as u64);
    buffer.extend_from_slice(raw_properties);
    buffer.put_u8(END);
    for chunk in body.chunks((frame_max as usize).saturating_sub(ENVELOPE).max(1)) {
        put_envelope(buffer, BODY, channel, chunk.len());
        buffer.extend_from_slice(chunk);
        buffer.put_u8(END);
    }
}

fn put_envelope(buffer: &mut BytesMut, kind: u8, channel: u16, size: usize) {
    buffer.put_u8(kind);
    buffer.put_u16(channel);
    // Callers stay below `frame_max`, itself a u32.
    buffer.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
}

/// Properties in wire form: flags and values.
pub(super) fn raw_properties(properties: &AMQPProperties) -> Bytes {
    match basic::gen_properties(properties)(WriteContext::from(Vec::with_capacity(64))) {
        Ok(written) => written.into_inner().0.into(),
        Err(error) => {
            tracing::error!(%error, "properties could not be written");
            Bytes::from_static(&[0, 0])
        }
    }
}

/// `text` as a short string, cut at 255 bytes.
pub(super) fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ShortString::try_new(&text[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &[u8]) -> BytesMut {
        BytesMut::from(hex)
    }

    #[test]
    fn an_incomplete_frame_waits_for_more() {
        let mut buffer = bytes(&CLOSE_OK[..11]);
        assert!(matches!(next(&mut buffer, 4096), Ok(None)));
        assert_eq!(buffer.len(), 11);
        buffer.put_u8(END);
        assert!(matches!(next(&mut buffer, 4096), Ok(Some(Inbound::Method(0, AMQPClass::Connection(_))))));
        assert!(buffer.is_empty());
    }

    #[test]
    fn broken_frames_name_their_code() {
        for (what, frame, code) in [
            ("type", &[4, 0, 0, 0, 0, 0, 0, END][..], FRAME_ERROR),
            ("end", &[8, 0, 0, 0, 0, 0, 0, 0], FRAME_ERROR),
            ("size", &[3, 0, 1, 255, 255, 255, 255], FRAME_ERROR),
            ("heartbeat on a channel", &[8, 0, 1, 0, 0, 0, 0, END], UNEXPECTED_FRAME),
            ("unknown method", &[1, 0, 1, 0, 0, 0, 4, 0, 99, 0, 1, END], FRAME_ERROR),
            ("short method", &[1, 0, 1, 0, 0, 0, 1, 0, END], FRAME_ERROR),
            ("trailing bytes", &[1, 0, 0, 0, 0, 0, 5, 0, 10, 0, 51, 0, END], FRAME_ERROR),
            ("prefetch size", &[1, 0, 1, 0, 0, 0, 11, 0, 60, 0, 10, 0, 0, 0, 5, 0, 1, 0, END], NOT_IMPLEMENTED),
            ("short header", &[2, 0, 1, 0, 0, 0, 2, 0, 60, END], FRAME_ERROR),
        ] {
            assert_eq!(next(&mut bytes(frame), 4096).err().map(|fault| fault.code), Some(code), "{what}");
        }
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(short("abc").as_str(), "abc");
        assert_eq!(short(&"ä".repeat(200)).as_str(), "ä".repeat(127));
    }

    #[test]
    fn bodies_are_split_at_the_frame_size() {
        let mut buffer = BytesMut::new();
        put_content(&mut buffer, 1, &[0, 0], &[7; 10_000], 4096);
        let mut sizes = Vec::new();
        while let Ok(Some(frame)) = next(&mut buffer, 4096) {
            if let Inbound::Body(_, chunk) = frame {
                sizes.push(chunk.len());
            }
        }
        assert_eq!(sizes, [4088, 4088, 1824]);
    }
}
