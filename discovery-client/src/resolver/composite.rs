use std::sync::Arc;

use vernal_commons::discover::{Discover, LookupError, ServiceView};
use vernal_commons::instance::ServiceInstance;

/// Several sources in order; the first that has an instance answers (Spring's `CompositeDiscoveryClient`).
#[derive(Clone)]
pub struct CompositeResolver {
    sources: Arc<[Arc<dyn Discover>]>,
}

impl CompositeResolver {
    /// These sources, the most important first.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = Arc<dyn Discover>>) -> Self {
        Self { sources: sources.into_iter().collect() }
    }
}

impl Discover for CompositeResolver {
    /// Without an instance anywhere: an empty view if one source knows the name, else that a source has not answered
    /// yet, else that nobody knows the name.
    fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
        let mut empty = None;
        let mut unavailable = None;
        for source in self.sources.iter() {
            match source.lookup(service_id) {
                Ok(view) if !view.is_empty() => return Ok(view),
                Ok(view) => empty = empty.or(Some(view)),
                Err(error @ LookupError::Unavailable { .. }) => unavailable = unavailable.or(Some(error)),
                Err(_) => {}
            }
        }
        empty.ok_or_else(|| unavailable.unwrap_or_else(|| LookupError::unknown(service_id)))
    }

    fn services(&self) -> Vec<String> {
        let mut names: Vec<String> = self.sources.iter().flat_map(|source| source.services()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn suspect(&self, instance: &ServiceInstance) {
        self.sources.iter().for_each(|source| source.suspect(instance));
    }
}

impl std::fmt::Debug for CompositeResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompositeResolver({} sources)", self.sources.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Source(&'static [&'static str], Result<Vec<u16>, LookupError>);

    impl Discover for Source {
        fn lookup(&self, service_id: &str) -> Result<Arc<ServiceView>, LookupError> {
            let ports = self.1.clone()?;
            Ok(Arc::new(ServiceView::new(ports.into_iter().map(|port| ServiceInstance::new(service_id, "h", port)))))
        }

        fn services(&self) -> Vec<String> {
            self.0.iter().map(|name| (*name).to_owned()).collect()
        }
    }

    fn lookup(sources: Vec<Source>) -> Result<usize, LookupError> {
        let sources = sources.into_iter().map(|source| Arc::new(source) as Arc<dyn Discover>);
        CompositeResolver::new(sources).lookup("x").map(|view| view.len())
    }

    #[test]
    fn the_first_source_with_an_instance_answers() {
        let unknown = || Source(&[], Err(LookupError::unknown("x")));
        let away = || Source(&[], Err(LookupError::unavailable("x", None)));
        let with = |ports: &[u16]| Source(&[], Ok(ports.to_vec()));
        assert_eq!(lookup(vec![unknown(), with(&[]), with(&[1, 2]), with(&[3])]).unwrap(), 2);
        assert_eq!(lookup(vec![away(), with(&[]), unknown()]).unwrap(), 0);
        assert!(matches!(lookup(vec![unknown(), away()]), Err(LookupError::Unavailable { .. })));
        assert!(matches!(lookup(vec![unknown()]), Err(LookupError::UnknownService { .. })));
    }

    #[test]
    fn names_are_the_union() {
        let of = |names| Arc::new(Source(names, Ok(Vec::new()))) as Arc<dyn Discover>;
        assert_eq!(CompositeResolver::new([of(&["b", "a"]), of(&["a", "c"])]).services(), ["a", "b", "c"]);
    }
}
