//! The main job: `cargo run --example user-service`.
//!
//! Starts the whole system in this process, shows what it can do, then serves until Ctrl-C.
//!
//! | argument | what it does |
//! |---|---|
//! | `--once` | ends after the story, with 0 or with 1 and the step that failed |
//! | `--break STEP` | disturbs the world before that step, which must then fail |
//! | `--help` | these arguments |
//! | `--list-steps` | the steps, one a line |
//! | `--join` | only the user service: joins the servers that `bootstrap.yml` names |
//! | `--name=value` | a setting that the config server does not set, with `--join` |

use std::process::ExitCode;

use vernal::{Application, BoxError};
use vernal_examples::estate::folder_of;
use vernal_examples::story::{Ending, Step, Story};
use vernal_examples::{program, user};
use vernal_testkit::logs::Logs;

const HELP: &str = "\
user-service: starts the whole system in this process, shows what it can do, then serves until Ctrl-C

  --once         ends after the story, with 0 or with 1 and the step that failed
  --break STEP   disturbs the world before that step, which must then fail
  --list-steps   the steps, one a line
  --join         only the user service: joins the servers that bootstrap.yml names
  --name=value   a setting that the config server does not set, with --join";

struct Arguments {
    help: bool,
    once: bool,
    join: bool,
    list: bool,
    broken: Option<Step>,
    settings: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => return program::exit("user-service", Err(error)),
    };
    if arguments.help {
        program::say(HELP);
        return ExitCode::SUCCESS;
    }
    if arguments.list {
        Step::ALL.iter().for_each(|step| program::say(&step.to_string()));
        return ExitCode::SUCCESS;
    }
    if arguments.join {
        program::log();
        return program::exit("user-service", join(arguments.settings).await);
    }
    let logs = Logs::new();
    program::log_quietly(&logs);
    match tell(logs, &arguments).await {
        Ok(code) => code,
        Err(error) => program::exit("user-service", Err(error)),
    }
}

/// The user service as a program among others.
async fn join(settings: Vec<String>) -> Result<(), BoxError> {
    let app = Application::builder()
        .directory(folder_of("user-service"))
        .args(settings)
        .error_decoder(user::ShopErrors)
        .bootstrap()
        .await?;
    let routes = user::service(&app).await?;
    app.serve(routes).await?;
    Ok(())
}

/// The user service with the rest of the system around it.
async fn tell(logs: Logs, arguments: &Arguments) -> Result<ExitCode, BoxError> {
    let mut out = std::io::stdout();
    let story = tokio::select! {
        ending = Story::tell(logs, arguments.broken, &mut out) => match ending? {
            Ending::Told(story) => story,
            Ending::Failed(_) => return Ok(ExitCode::FAILURE),
        },
        stopped = program::told_to_stop() => {
            stopped?;
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(step) = arguments.broken {
        program::say(&format!("\nthe world was disturbed before `{step}`, and nobody noticed"));
        return Ok(ExitCode::FAILURE);
    }
    if arguments.once {
        story.end().await;
        return Ok(ExitCode::SUCCESS);
    }
    let story = story.go_on(&mut out).await?;
    program::told_to_stop().await?;
    program::say("\nleaving");
    story.end().await;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut read = Self { help: false, once: false, join: false, list: false, broken: None, settings: Vec::new() };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" => read.help = true,
                "--once" => read.once = true,
                "--join" => read.join = true,
                "--list-steps" => read.list = true,
                "--break" => {
                    let step = arguments.next().ok_or("`--break` needs the name of a step")?;
                    read.broken = Some(step.parse()?);
                }
                setting if program::is_setting(setting) => read.settings.push(argument),
                unknown => return Err(program::unknown_argument("user-service", unknown)),
            }
        }
        if read.join && (read.once || read.broken.is_some()) {
            return Err(
                "`--join` only serves: the story needs its own estate, so `--once` and `--break` do not go with it"
                    .into(),
            );
        }
        if !read.join && !read.settings.is_empty() {
            return Err("settings can be given with `--join` only".into());
        }
        Ok(read)
    }
}
