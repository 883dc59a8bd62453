//! The programs of a soak, while they run.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vernal_examples::process::{Program, Site};

use super::record::{Disturbance, Footprint, Leaving, Record};
use crate::check::Outcome;

pub(super) const BROKER: &str = "broker";
pub(super) const CONFIG: &str = "config-service";
pub(super) const REGISTRY: &str = "discovery-service";
pub(super) const ORDER: &str = "order-service";
/// Those that live all the time.
pub(super) const LASTING: [&str; 3] = ["gateway-service", "user-service", "catalog-service"];
/// Those that are away now and then.
pub(super) const PASSING: [&str; 4] = [ORDER, BROKER, CONFIG, REGISTRY];

/// How a program is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Terminate,
    Kill,
}

/// The programs, and what was seen of them so far.
#[derive(Debug)]
pub(super) struct Stand {
    pub(super) site: Site,
    /// How long the load lasts.
    pub(super) time: Duration,
    begin: Instant,
    programs: Mutex<Vec<Program>>,
    record: Mutex<Record>,
}

impl Stand {
    /// Starts everything.
    pub(super) async fn start(time: Duration) -> Outcome<Self> {
        // Else glibc, once it has freed a large block, keeps the next ones of that size.
        let site = Site::new()?.environment("MALLOC_MMAP_THRESHOLD_", "131072");
        let mut programs = vec![site.broker().await?, site.config_server().await?, site.registry().await?];
        for service in LASTING.into_iter().chain([ORDER, ORDER]) {
            programs.push(site.service(service).await?);
        }
        let (begin, programs) = (Instant::now(), Mutex::new(programs));
        Ok(Self { site, time, begin, programs, record: Mutex::default() })
    }

    /// From now on is load; what was seen before is forgotten.
    pub(super) fn begin(&mut self) {
        self.begin = Instant::now();
        self.record = Mutex::new(Record { time: self.time, ..Record::default() });
    }

    /// The time under load.
    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    pub(super) fn note(&self, write: impl FnOnce(&mut Record)) {
        write(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was seen; the stand begins anew with nothing.
    pub(super) fn take_record(&self) -> Record {
        std::mem::take(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The services by their names and base URLs, as they are now.
    pub(super) fn services(&self) -> Vec<(String, String)> {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let services = programs.iter().filter(|program| ![BROKER, CONFIG, REGISTRY].contains(&program.name()));
        services.map(|service| (service.name().to_owned(), service.url())).collect()
    }

    /// What a program holds now.
    pub(super) fn footprint(&self, name: &str) -> Outcome<Footprint> {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let program = programs.iter().find(|program| program.name() == name).ok_or_else(|| absent(name))?;
        Footprint::of(program.id()).map_err(|error| format!("{name}: {error}\n{}", program.output()).into())
    }

    /// Ends a program, the oldest of its kind, and after a time starts one in its place.
    pub(super) async fn disturb(&self, name: &'static str, end: End, away: Duration) -> Outcome {
        let program = self.take(name)?;
        let from = self.now();
        match end {
            End::Terminate => drop(self.leave(program).await?),
            End::Kill => program.kill_at_once()?,
        }
        tokio::time::sleep(away).await;
        let next = match name {
            BROKER => self.site.broker().await?,
            CONFIG => self.site.config_server().await?,
            REGISTRY => self.site.registry().await?,
            service => self.site.service(service).await?,
        };
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).push(next);
        let until = self.now();
        self.note(|record| record.disturbances.push(Disturbance { program: name, from, until }));
        Ok(())
    }

    /// Everybody leaves: the services at the same time, then the broker, which tells what is left, then the servers.
    pub(super) async fn close(&self) -> Outcome {
        let mut services = Vec::new();
        for name in LASTING.into_iter().chain([ORDER, ORDER]) {
            services.push(self.take(name)?);
        }
        for service in &services {
            service.terminate()?;
        }
        for service in services {
            self.left(&service).await?;
        }
        let last_words = self.leave(self.take(BROKER)?).await?;
        self.note(|record| record.last_words = last_words);
        for server in [CONFIG, REGISTRY] {
            self.leave(self.take(server)?).await?;
        }
        Ok(())
    }

    /// SIGTERM; gives the last line that the program said.
    async fn leave(&self, program: Program) -> Outcome<String> {
        program.terminate()?;
        self.left(&program).await?;
        Ok(program.output().lines().last().unwrap_or_default().to_owned())
    }

    async fn left(&self, program: &Program) -> Outcome {
        let took = program.wait_until_ended().await?;
        let leaving = Leaving { program: program.name().to_owned(), code: program.exit_code(), took };
        self.note(|record| record.leavings.push(leaving));
        Ok(())
    }

    fn take(&self, name: &str) -> Outcome<Program> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let position = programs.iter().position(|program| program.name() == name).ok_or_else(|| absent(name))?;
        Ok(programs.remove(position))
    }
}

fn absent(name: &str) -> String {
    format!("no {name} runs")
}
