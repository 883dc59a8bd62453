use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{Outcome, cargo, cargo_output, root};

/// The breaks that every landing runs; the full tier runs them all.
const LANDING: &[&str] = &["cipher", "fail-over", "refresh"];
const LIMIT: Duration = Duration::from_secs(120);

/// The main job from end to end, and three runs in which the world is broken.
pub(crate) fn landing() -> Outcome {
    cargo(&["build", "--example", "user-service"])?;
    run_once(&[])?;
    LANDING.iter().try_for_each(|step| must_break(step))
}

/// Every step, broken once.
pub(crate) fn every_break() -> Outcome {
    cargo(&["build", "--example", "user-service"])?;
    let list = cargo_output(&["run", "--quiet", "--example", "user-service", "--", "--list-steps"])?;
    let steps: Vec<&str> = list.split_whitespace().collect();
    if steps.is_empty() {
        return Err("`user-service --list-steps` printed no step".to_owned());
    }
    steps.into_iter().try_for_each(must_break)
}

fn must_break(step: &str) -> Outcome {
    println!("user-service --once --break {step}");
    let (code, output) = user_service(&["--once", "--break", step])?;
    let named = format!("failed step: {step}");
    match code {
        Some(1) if output.lines().any(|line| line.trim() == named) => Ok(()),
        _ => Err(format!("`--break {step}` ended with {code:?}; expected 1 and the line `{named}`\n{output}")),
    }
}

fn run_once(more: &[&str]) -> Outcome {
    println!("user-service --once");
    let (code, output) = user_service(&[&["--once"], more].concat())?;
    println!("{output}");
    if code == Some(0) { Ok(()) } else { Err(format!("`user-service --once` ended with {code:?}")) }
}

fn user_service(arguments: &[&str]) -> Outcome<(Option<i32>, String)> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet", "--example", "user-service", "--"]).args(arguments).current_dir(root());
    let log = std::env::temp_dir().join(format!("vernal-story-{}.log", std::process::id()));
    let file = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let copy = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .map_err(|error| format!("user-service could not be started: {error}"))?;
    let code = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status.code(),
            None if start.elapsed() > LIMIT => {
                child.kill().map_err(|error| error.to_string())?;
                break None;
            }
            None => pause(),
        }
    };
    let output = std::fs::read_to_string(&log).unwrap_or_default();
    std::fs::remove_file(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    Ok((code, output))
}

#[expect(clippy::disallowed_methods, reason = "this program has no async runtime")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
