//! The README says what is true.

use vernal_examples::story::Step;

const README: &str = include_str!("../../README.md");

#[test]
fn the_snippet_is_the_compiled_file() {
    let file = include_str!("../readme.rs");
    let program = file.split_once("\n\n").unwrap().1.split_once("\n#[cfg(test)]").unwrap().0;
    assert!(README.contains(program.trim()), "copy examples/readme.rs into README.md");
}

#[test]
fn the_transcript_has_every_step() {
    for (number, step) in Step::ALL.into_iter().enumerate() {
        let line = format!("{}. {step}: {}", number + 1, step.title());
        assert!(README.contains(&line), "the transcript in README.md lacks `{line}`");
    }
}
