//! What all calls of a client share: its description compiled, what the code says beyond it, its settings as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::context::Context;
use crate::decoder::{Decoded, ErrorDecoder, MethodContext};
use crate::error::Result;
use crate::exchange::ErrorResponse;
use crate::interceptor::Interceptor;
use crate::level::LogLevel;
use crate::meta::ClientMeta;
use crate::plan::MethodPlan;
use crate::settings::{Reader, Resolved};
use crate::url::Base;

/// A client, shared by its handles and its calls.
pub(crate) struct Core {
    pub(crate) context: Arc<Context>,
    pub(crate) meta: ClientMeta,
    pub(crate) methods: Vec<MethodPlan>,
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    pub(crate) hosts: Hosts,
    overrides: Overrides,
    reader: Reader,
    current: ArcSwap<Resolved>,
    /// The generation of the settings that were looked at last, even if they were refused.
    seen: AtomicU64,
}

/// What the code says of a client beyond its description.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) url: Option<String>,
    pub(crate) level: Option<LogLevel>,
    pub(crate) decoder: Option<Arc<dyn ErrorDecoder>>,
    /// By the method's name.
    pub(crate) method_decoders: Vec<(String, Arc<dyn ErrorDecoder>)>,
}

/// Which hosts are names of services.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hosts {
    /// The one that the client is made for, unless it has a URL.
    Client,
    /// Those that discovery knows; if strict, all.
    Discovered { strict: bool },
}

impl Core {
    pub(crate) fn build(
        context: Arc<Context>,
        meta: ClientMeta,
        overrides: Overrides,
        interceptors: Vec<Arc<dyn Interceptor>>,
        hosts: Hosts,
    ) -> Result<Self> {
        let first = Reader::new(context.settings.clone(), String::new());
        let context_id = first.resolve(meta.context_id.as_deref().unwrap_or(&meta.name))?;
        let context_id = context_id.split("://").last().unwrap_or_default().to_owned();
        let reader = Reader::new(context.settings.clone(), context_id);
        let generation = reader.generation();
        let resolved = resolve(&context, &meta, &overrides, &reader)?;
        let methods = meta.methods.iter().map(|method| MethodPlan::compile(&meta, method, &reader));
        let methods = methods.collect::<Result<_>>()?;
        if let Hosts::Client = hosts {
            context.register(reader.context_id());
        }
        Ok(Self {
            context,
            meta,
            methods,
            interceptors,
            hosts,
            overrides,
            reader,
            current: ArcSwap::from_pointee(resolved),
            seen: AtomicU64::new(generation),
        })
    }

    /// The settings as they are now. New ones that are wrong are logged and not taken.
    pub(crate) fn resolved(&self) -> Arc<Resolved> {
        let generation = self.reader.generation();
        if self.seen.load(Ordering::Acquire) != generation && self.seen.swap(generation, Ordering::AcqRel) != generation
        {
            match resolve(&self.context, &self.meta, &self.overrides, &self.reader) {
                Ok(resolved) => self.current.store(Arc::new(resolved)),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(
                        target: "vernal_feign",
                        client = %self.meta.trait_name,
                        %error,
                        cause,
                        "changed settings are wrong, the old ones stay in force",
                    );
                }
            }
        }
        self.current.load_full()
    }

    /// Asks the decoders, the most specific first.
    pub(crate) fn decode(&self, method: usize, response: &ErrorResponse) -> Decoded {
        let (meta, plan) = (&self.meta.methods[method], &self.methods[method]);
        let by_name = self.overrides.method_decoders.iter().find(|(name, _)| *name == meta.name);
        let chain = [
            by_name.map(|(_, decoder)| decoder),
            meta.error_decoder.as_ref(),
            self.overrides.decoder.as_ref(),
            self.meta.error_decoder.as_ref(),
            self.context.error_decoder.as_ref(),
        ];
        let context = MethodContext::new(&self.meta, meta, &plan.key);
        for decoder in chain.into_iter().flatten() {
            match decoder.decode(&context, response) {
                Decoded::Default => {}
                decided => return decided,
            }
        }
        Decoded::Default
    }
}

fn resolve(context: &Context, meta: &ClientMeta, overrides: &Overrides, reader: &Reader) -> Result<Resolved> {
    let values = reader.values()?;
    if values.redact.off {
        tracing::warn!(target: "vernal_feign", client = %meta.trait_name, "secrets are not hidden in the log");
    }
    let url = match (&overrides.url, &meta.url) {
        (Some(url), _) | (None, Some(url)) => Some(reader.resolve(url)?),
        (None, None) => reader.url()?,
    };
    let base = match url.filter(|url| !url.trim().is_empty()) {
        Some(url) => Base::parse(&url, false)?,
        None => Base::parse(&reader.resolve(&meta.name)?, true)?,
    };
    let code = overrides.level.or(context.level);
    let level = if values.properties_win { values.level.or(code) } else { code.or(values.level) };
    Ok(Resolved {
        base: base.with_path(&reader.resolve(&meta.path)?),
        transport: context.transport(values.connect_timeout, values.read_timeout)?,
        level: level.unwrap_or_default(),
        values,
    })
}
