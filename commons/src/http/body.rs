use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::pause::PauseLimited;
use crate::BoxError;

type Boxed = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

/// The body of a request or response: empty, in memory, or a stream.
///
/// The first two cost no allocation of their own.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    // The lock makes it `Sync` (never contended: it is only reached through `&mut` or by value).
    Stream(Mutex<Boxed>),
}

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The body is larger than the reader is willing to keep.
    #[error("body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The connection broke before the end of the body.
    #[error("body ended early")]
    Broken(#[source] BoxError),
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A stream. An empty one of known length becomes [`Body::empty`]; a `Body` is returned as it is.
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() && body.size_hint().exact() == Some(0) {
            return Self::empty();
        }
        let mut slot = Some(body);
        if let Some(own) = (&mut slot as &mut dyn std::any::Any).downcast_mut::<Option<Self>>() {
            return own.take().unwrap_or_default();
        }
        match slot {
            Some(body) => Self(Kind::Stream(Mutex::new(Box::pin(body.map_err(Into::into))))),
            None => Self::empty(),
        }
    }

    /// The bytes, if the body is in memory. Shares them; nothing is copied.
    #[must_use]
    pub fn in_memory(&self) -> Option<Bytes> {
        match &self.0 {
            Kind::Empty => Some(Bytes::new()),
            Kind::Full(bytes) => Some(bytes.clone()),
            Kind::Stream(_) => None,
        }
    }

    /// A second body of the same bytes, if the body is in memory.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        self.in_memory().map(Self::from)
    }

    /// The same body, which fails when its sender pauses for longer than `limit`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, if the body is a stream.
    #[must_use]
    pub fn limit_pauses(self, limit: Duration) -> Self {
        match self.0 {
            Kind::Stream(_) => Self::wrap(PauseLimited::new(self, limit)),
            Kind::Empty | Kind::Full(_) => self,
        }
    }

    /// Reads the body to its end, but no more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`], also when a declared length is over the limit, before anything is read;
    /// [`ReadError::Broken`] if the stream fails.
    ///
    /// # Cancel safety
    ///
    /// What was read is lost; the connection is closed.
    pub async fn read(self, limit: usize) -> Result<Bytes, ReadError> {
        let too_large = || ReadError::TooLarge { limit };
        let stream = match self.0 {
            Kind::Empty => return Ok(Bytes::new()),
            Kind::Full(bytes) if bytes.len() > limit => return Err(too_large()),
            Kind::Full(bytes) => return Ok(bytes),
            Kind::Stream(stream) => stream,
        };
        let mut stream = stream.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let declared = stream.size_hint().lower();
        if declared > limit as u64 {
            return Err(too_large());
        }
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(frame) = stream.frame().await {
            let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() else { continue };
            if first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len() > limit {
                return Err(too_large());
            }
            match first.take() {
                None if rest.is_empty() => first = Some(data),
                None => rest.extend_from_slice(&data),
                Some(head) => {
                    rest.reserve(usize::try_from(declared).unwrap_or(0).max(head.len() + data.len()));
                    rest.extend_from_slice(&head);
                    rest.extend_from_slice(&data);
                }
            }
        }
        Ok(first.unwrap_or_else(|| rest.freeze()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match &mut this.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.0 = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => {
                stream.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).as_mut().poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.lock().is_ok_and(|stream| stream.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.lock().map_or_else(|_| SizeHint::default(), |stream| stream.size_hint()),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Parts(VecDeque<&'static str>);

    impl HttpBody for Parts {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes())))))
        }
    }

    fn stream(parts: &[&'static str]) -> Body {
        Body::wrap(Parts(parts.iter().copied().collect()))
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_end() {
        assert_eq!(stream(&["ab", "cd", "e"]).read(5).await.unwrap(), "abcde");
        assert_eq!(stream(&["ab"]).read(5).await.unwrap(), "ab");
        assert_eq!(stream(&[]).read(5).await.unwrap(), "");
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit() {
        assert!(matches!(stream(&["abc", "def"]).read(5).await, Err(ReadError::TooLarge { limit: 5 })));
        assert!(matches!(Body::from("abcdef").read(5).await, Err(ReadError::TooLarge { limit: 5 })));
    }

    #[test]
    fn wrapping_a_body_keeps_it_in_memory() {
        assert_eq!(Body::wrap(Body::from("x")).in_memory().unwrap(), "x");
    }

    #[test]
    fn handles_cross_threads() {
        fn assert_send_sync<T: Send + Sync + 'static>() {}
        assert_send_sync::<Body>();
        assert_send_sync::<crate::http::SharedTransport>();
    }
}
