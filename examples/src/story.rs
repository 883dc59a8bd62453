//! What `cargo run --example user-service` shows, step by step.
//!
//! A step says what it does, then looks at the result on a second path. `--break STEP` disturbs the world just before
//! the step; the code that looks cannot see that it did.

use std::io::{self, Write};
use std::time::Instant;

use vernal::BoxError;
use vernal::application::Running;
use vernal_testkit::logs::Logs;

use crate::estate::Estate;

mod disturb;
mod proof;
mod prove;
mod step;
mod web;

pub use proof::{Failure, Proof};
pub use step::Step;

/// The estate with the user service in it, and what the steps have made so far.
#[derive(Debug)]
pub struct Story {
    estate: Estate,
    user: Option<Running>,
    app: Option<vernal::Application>,
    logs: Logs,
    web: web::Web,
    user_id: String,
}

/// How a story ended.
#[derive(Debug)]
pub enum Ending {
    /// Every step was seen to be true.
    Told(Box<Story>),
    /// A step was not.
    Failed(Step),
}

impl Story {
    /// Tells the story to `out`, with the world disturbed before the step `broken`.
    ///
    /// # Errors
    ///
    /// If the estate cannot be started or `out` cannot be written. A failed step is [`Ending::Failed`].
    pub async fn tell(logs: Logs, broken: Option<Step>, out: &mut dyn Write) -> Result<Ending, BoxError> {
        let start = Instant::now();
        let mut estate = Estate::servers().await?;
        estate.services().await?;
        let mut story = Self { estate, user: None, app: None, logs, web: web::Web::new()?, user_id: String::new() };
        story.wait_for_the_estate().await?;
        writeln!(
            out,
            "estate: broker, config server, registry, gateway, 2 order services, catalog service on free ports of the loopback ({} ms)",
            start.elapsed().as_millis()
        )?;
        for (number, step) in Step::ALL.iter().copied().enumerate() {
            writeln!(out, "\n{}. {step}: {}", number + 1, step.title())?;
            if broken == Some(step) {
                story.disturb(step).await?;
            }
            let start = Instant::now();
            let outcome = story.prove(step).await;
            let elapsed = start.elapsed().as_millis();
            match outcome {
                Ok(proof) => writeln!(out, "{proof}   ok ({elapsed} ms)")?,
                Err(failure) => {
                    writeln!(out, "{failure}   FAILED ({elapsed} ms)\n\nfailed step: {step}")?;
                    return Ok(Ending::Failed(step));
                }
            }
        }
        writeln!(out, "\nall {} steps were seen to be true ({} ms)", Step::ALL.len(), start.elapsed().as_millis())?;
        Ok(Ending::Told(Box::new(story)))
    }

    /// Starts the user service again and says where everything is.
    ///
    /// # Errors
    ///
    /// If the service does not start or `out` cannot be written.
    pub async fn go_on(mut self: Box<Self>, out: &mut dyn Write) -> Result<Box<Self>, BoxError> {
        let (app, running) = self.estate.user().await?;
        (self.app, self.user) = (Some(app), Some(running));
        self.write_table(out)?;
        Ok(self)
    }

    /// Stops the user service, then the estate.
    pub async fn end(mut self: Box<Self>) {
        self.app = None;
        if let Some(user) = self.user.take() {
            user.stop().await;
        }
        self.estate.stop().await;
    }

    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let addresses = self.estate.addresses();
        let (gateway, user) = (format!("http://127.0.0.1:{}", addresses.gateway), self.user_url());
        writeln!(out, "\nThe user service runs again and all of it goes on until Ctrl-C:\n")?;
        for (name, url) in [
            ("user service", user.clone()),
            ("gateway", gateway.clone()),
            ("config server", format!("{}/user-service/default", addresses.config)),
            ("registry", format!("{}/apps", addresses.registry)),
            ("broker", format!("amqp://127.0.0.1:{}", addresses.broker)),
            ("settings", self.estate.config_file("application.yml").display().to_string()),
        ] {
            writeln!(out, "  {name:<14} {url}")?;
        }
        writeln!(out, "\n  curl {user}/users/{}", self.user_id)?;
        writeln!(out, "  curl {gateway}/order-service/{}/orders", self.user_id)?;
        writeln!(out, "  curl {user}/welcome")?;
        writeln!(out, "  curl -X POST {user}/actuator/busrefresh    # after an edit of the settings above")
    }
}
