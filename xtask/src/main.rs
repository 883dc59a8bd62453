//! Development tasks: `cargo xtask ci`, `cargo xtask full`, or any step of them by its name.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod command;
mod deny;
mod features;
mod fuzz;
mod graph;
mod interop;
mod isolate;
mod msrv;
mod soak;
mod story;

use std::process::ExitCode;
use std::time::Instant;

use command::{Outcome, cargo};

type Step = (&'static str, fn() -> Outcome);

/// What every landing must pass.
const CI: &[Step] = &[
    ("isolate", isolate::run),
    ("fmt", || cargo(&["fmt", "--all", "--check"])),
    ("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("test", || cargo(&["test", "--workspace"])),
    ("doc", || command::cargo_with(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])),
    ("story", story::landing),
    ("alone", features::alone),
    ("deny", deny::run),
    ("smoke", interop::smoke),
];

/// What is run in addition before an issue is closed.
const FULL: &[Step] = &[
    ("features", features::each),
    ("msrv", msrv::run),
    ("every-break", story::every_break),
    ("fuzz", fuzz::run),
    ("interop", interop::all),
    ("soak", soak::run),
];

const USAGE: &str = "\
cargo xtask TASK...

  ci        everything that a landing must pass: isolate fmt clippy test doc story alone deny smoke
  full      ci, then features msrv every-break fuzz interop soak
  isolate   who may depend on whom
  fmt, clippy, test, doc  cargo's own, as the gate calls them
  alone     each library crate by itself, default features
  features  each feature of each library crate by itself
  msrv      the minimum Rust version of every resolved dependency
  deny      licences, sources, duplicate crates (installs cargo-deny if it is absent)
  story     `user-service --once`, and three runs that must fail
  smoke     the landing tier's scenarios against the real peers (Java, Maven, RabbitMQ)
  interop   every scenario against them
  every-break  every `user-service --once --break STEP` must fail at that step
  fuzz      each fuzz target for a minute, or for VERNAL_FUZZ_SECONDS (installs cargo-fuzz if it is absent)
  soak      our programs under load for VERNAL_SOAK_SECONDS (180) while servers and services go away";

fn main() -> ExitCode {
    let tasks: Vec<String> = std::env::args().skip(1).collect();
    if tasks == ["help"] || tasks == ["--help"] {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if tasks.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    }
    let mut steps: Vec<Step> = Vec::new();
    for task in &tasks {
        let all = || CI.iter().chain(FULL);
        match task.as_str() {
            "ci" => steps.extend(CI),
            "full" => steps.extend(all()),
            name => match all().find(|(step, _)| *step == name) {
                Some(step) => steps.push(*step),
                None => {
                    eprintln!("unknown task `{name}`\n\n{USAGE}");
                    return ExitCode::FAILURE;
                }
            },
        }
    }
    run(&steps)
}

fn run(steps: &[Step]) -> ExitCode {
    let mut table = Vec::new();
    let mut failed = false;
    for (name, step) in steps {
        println!("\n=== {name} ===");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => table.push(format!("{name:<14} ok      {seconds:>5} s")),
            Err(reason) => {
                eprintln!("{name}: {reason}");
                failed = true;
                table.push(format!("{name:<14} FAILED  {seconds:>5} s  {}", reason.lines().next().unwrap_or_default()));
                break;
            }
        }
    }
    println!("\n{}", table.join("\n"));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
