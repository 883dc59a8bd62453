use std::path::PathBuf;
use std::process::Command;

/// `Err` holds the reason in one or more lines.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The crates that people depend on, in the order of their arrows.
pub(crate) const LIBRARIES: &[&str] = &[
    "vernal-commons",
    "vernal-config-client",
    "vernal-bus-client",
    "vernal-discovery-client",
    "vernal-feign-macros",
    "vernal-feign",
    "vernal",
];

pub(crate) fn cargo(arguments: &[&str]) -> Outcome {
    cargo_with(arguments, &[])
}

pub(crate) fn cargo_with(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    println!("cargo {}", arguments.join(" "));
    let mut command = cargo_command(arguments);
    command.envs(environment.iter().copied());
    let status = command.status().map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` ended with {status}", arguments.join(" "))) }
}

/// Runs cargo and returns what it printed to standard output.
pub(crate) fn cargo_output(arguments: &[&str]) -> Outcome<String> {
    let output = cargo_command(arguments).output().map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`cargo {}` ended with {}\n{reason}", arguments.join(" "), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The number of seconds in an environment variable.
pub(crate) fn seconds(variable: &str, default: u32) -> Outcome<u32> {
    let Ok(text) = std::env::var(variable) else { return Ok(default) };
    text.parse().map_err(|error| format!("{variable}=`{text}`: {error}; expected a number of seconds"))
}

/// Installs cargo's subcommand `name` in this version, unless it is there.
pub(crate) fn install(name: &str, version: &str, options: &[&str]) -> Outcome {
    let installed = cargo_output(&[name, "--version"]).unwrap_or_default();
    if installed.split_whitespace().last() == Some(version) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    cargo(&[&["install", &package, "--version", version, "--locked", "--debug", "--force"], options].concat())
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

fn cargo_command(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}
