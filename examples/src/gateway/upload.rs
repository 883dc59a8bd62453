use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Instant;
use vernal::BoxError;
use vernal::commons::http::Body;

/// A request's body on its way to an instance, which reports how far it is.
pub(super) struct Upload {
    body: Body,
    progress: watch::Sender<Progress>,
}

/// How far an [`Upload`] is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// When something was handed over last; at first, when the upload began.
    pub(super) last: Instant,
    /// Whether the sender broke the body off.
    pub(super) broken: bool,
}

impl Upload {
    pub(super) fn new(body: Body) -> (Self, watch::Receiver<Progress>) {
        let (progress, receiver) = watch::channel(Progress { last: Instant::now(), broken: false });
        (Self { body, progress }, receiver)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &polled {
            self.progress.send_replace(Progress { last: Instant::now(), broken: matches!(frame, Some(Err(_))) });
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
