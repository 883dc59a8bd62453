//! What `#[feign_client]` accepts, refuses, and leaves to the compiler.
//!
//! | folder | checked how |
//! |---|---|
//! | `ui/pass` | compiled into this test and run |
//! | `ui/fail` | our own messages, by `trybuild`: one snapshot per mistake |
//! | `ui/bounds` | types that do not fit: refused, with our text in the compiler's words, which change and are not compared |
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "the files of `ui/pass` are programs of their own too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "ui/pass/attributes_are_kept.rs"]
mod attributes_are_kept;
#[path = "ui/pass/awkward_names.rs"]
mod awkward_names;
#[path = "ui/pass/cfg_on_method.rs"]
mod cfg_on_method;
#[path = "ui/pass/generic_trait.rs"]
mod generic_trait;
#[path = "ui/pass/inside_a_function.rs"]
mod inside_a_function;
#[path = "ui/pass/no_prelude.rs"]
mod no_prelude;
#[path = "ui/pass/object_safe_twin.rs"]
mod object_safe_twin;
#[path = "ui/pass/own_error.rs"]
mod own_error;
#[path = "ui/pass/reexported_crate.rs"]
mod reexported_crate;
#[path = "ui/pass/spawned_in_generic_code.rs"]
mod spawned_in_generic_code;
#[path = "ui/pass/supertraits_and_parameters.rs"]
mod supertraits_and_parameters;
#[path = "ui/pass/test_double.rs"]
mod test_double;
#[path = "ui/pass/two_bases.rs"]
mod two_bases;

const PASS: [(&str, fn()); 13] = [
    ("attributes_are_kept", attributes_are_kept::main),
    ("awkward_names", awkward_names::main),
    ("cfg_on_method", cfg_on_method::main),
    ("generic_trait", generic_trait::main),
    ("inside_a_function", inside_a_function::main),
    ("no_prelude", no_prelude::main),
    ("object_safe_twin", object_safe_twin::main),
    ("own_error", own_error::main),
    ("reexported_crate", reexported_crate::main),
    ("spawned_in_generic_code", spawned_in_generic_code::main),
    ("supertraits_and_parameters", supertraits_and_parameters::main),
    ("test_double", test_double::main),
    ("two_bases", two_bases::main),
];

#[test]
fn what_is_right_compiles_and_runs() {
    let known: BTreeSet<_> = PASS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files: BTreeSet<_> = sources("pass").iter().map(|file| stem(file)).collect();
    assert_eq!(files, known, "a file of `ui/pass` is not compiled here");
    for (_, main) in PASS {
        main();
    }
}

#[test]
fn each_mistake_is_explained_at_its_place() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

/// The first line of each file says what the compiler's message must contain.
#[test]
fn types_that_do_not_fit_are_refused_in_our_words() {
    let compiler = Compiler::find();
    for file in sources("bounds") {
        let source = std::fs::read_to_string(&file).unwrap();
        let expected = source.lines().next().and_then(|line| line.strip_prefix("// refused: ")).unwrap();
        let refusal = compiler.refusal(&file).unwrap_or_else(|| panic!("{} compiles", file.display()));
        assert!(refusal.contains(expected), "{}: {expected}\n{refusal}", file.display());
    }
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The compiler, with the libraries that cargo built for this test: no second build of them.
struct Compiler {
    libraries: PathBuf,
    vernal_feign: PathBuf,
}

impl Compiler {
    /// The newest build of the crate with which a right program compiles: older ones may lie beside it.
    fn find() -> Self {
        let libraries = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let builds = std::fs::read_dir(&libraries).unwrap().map(|entry| entry.unwrap().path());
        let mut builds: Vec<_> = builds
            .filter(|file| stem(file).starts_with("libvernal_feign-"))
            .filter(|file| file.extension().is_some_and(|extension| extension == "rlib"))
            .collect();
        builds.sort_by_key(|file| std::cmp::Reverse(file.metadata().and_then(|about| about.modified()).unwrap()));
        let right = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/pass/inside_a_function.rs");
        let mut refusals = String::new();
        for vernal_feign in builds {
            let compiler = Self { libraries: libraries.clone(), vernal_feign };
            match compiler.refusal(&right) {
                None => return compiler,
                Some(refusal) => refusals.push_str(&refusal),
            }
        }
        panic!("no build of the crate works: {refusals}");
    }

    /// What the compiler says against a program, if it refuses it.
    fn refusal(&self, file: &Path) -> Option<String> {
        let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition", "2024", "--crate-type", "bin", "--emit", "metadata", "--out-dir"])
            .arg(env!("CARGO_TARGET_TMPDIR"))
            .arg("-L")
            .arg(format!("dependency={}", self.libraries.display()))
            .arg("--extern")
            .arg(format!("vernal_feign={}", self.vernal_feign.display()))
            .arg(file)
            .output()
            .unwrap();
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
