use std::fmt;

/// What a step did and saw, line by line.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    lines: Vec<String>,
}

/// A step that was not true: what was expected and what was seen.
#[derive(Debug, Clone)]
pub struct Failure {
    lines: Vec<String>,
    expected: String,
    seen: String,
}

impl Proof {
    /// Something that was done or seen.
    pub fn note(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Goes on only if `seen` equals `expected`.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that shows both.
    pub fn equal<T: PartialEq + fmt::Display>(&mut self, what: &str, expected: T, seen: T) -> Result<(), Failure> {
        if expected == seen {
            self.note(format!("{what}: {seen}"));
            return Ok(());
        }
        Err(self.failure(format!("{what}: {expected}"), seen))
    }

    /// Goes on only if `holds`.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that shows what was expected and `seen`.
    pub fn ensure(&mut self, holds: bool, expected: impl fmt::Display, seen: impl fmt::Display) -> Result<(), Failure> {
        if holds {
            self.note(expected.to_string());
            return Ok(());
        }
        Err(self.failure(expected, seen))
    }

    /// The failure of this step.
    pub fn failure(&self, expected: impl fmt::Display, seen: impl fmt::Display) -> Failure {
        Failure { lines: self.lines.clone(), expected: expected.to_string(), seen: seen.to_string() }
    }
}

fn indented(f: &mut fmt::Formatter<'_>, lines: &[String]) -> fmt::Result {
    lines.iter().flat_map(|line| line.lines()).try_for_each(|line| writeln!(f, "   {line}"))
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        indented(f, &self.lines)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        indented(f, &self.lines)?;
        writeln!(f, "   expected: {}", self.expected)?;
        writeln!(f, "   seen:     {}", self.seen)
    }
}
