use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A running example program; its output goes to a file. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Mutex<Child>,
    output: tempfile::NamedTempFile,
}

impl Program {
    pub(crate) async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_with(name, &[], settings).await
    }

    /// Starts the program and waits until it says on which port it listens.
    pub(crate) async fn start_with(name: &str, flags: &[&str], settings: &[(&str, &str)]) -> Self {
        let path = executable(name);
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        assert!(path.exists(), "{} is not there; build it with `cargo build --examples{profile}`", path.display());
        let output = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(path)
            .args(flags)
            .args(settings.iter().map(|(name, value)| format!("--{name}={value}")))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output.reopen().unwrap())
            .stderr(output.reopen().unwrap())
            .spawn()
            .unwrap();
        let program = Self { name: name.to_owned(), child: Mutex::new(child), output };
        let start = Instant::now();
        while !program.output().contains("127.0.0.1:") {
            assert_eq!(program.exit_code(), None, "{name} ended\n{}", program.output());
            assert!(start.elapsed() < Duration::from_secs(20), "{name} does not listen\n{}", program.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.output.path()).unwrap_or_default()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success(), "{} is gone", self.name);
    }

    /// SIGKILL.
    pub(crate) fn kill_at_once(&self) {
        self.child.lock().unwrap().kill().unwrap();
    }

    pub(crate) async fn wait_until_ended(&self) -> Duration {
        let start = Instant::now();
        while self.child.lock().unwrap().try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(15), "{} does not end\n{}", self.name, self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }

    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.child.lock().unwrap().try_wait().unwrap().and_then(|status| status.code())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        if matches!(child.try_wait(), Ok(None)) {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            println!("----- {}\n{}", self.name, self.output());
        }
    }
}

/// `target/<profile>/examples/<name>`, found from the place of this test: `target/<profile>/deps/system-...`.
fn executable(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
