//! Figures as a Markdown table.

use std::fmt;

/// Collects rows; displayed, it is a section of a report.
pub(crate) struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(title: &'static str, header: [&str; N]) -> Self {
        Self { title, rows: vec![header.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n", self.title)?;
        for (number, row) in self.rows.iter().enumerate() {
            writeln!(f, "| {} |", row.join(" | "))?;
            if number == 0 {
                writeln!(f, "|---{}|", "|---:".repeat(row.len() - 1))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_markdown_with_figures_to_the_right() {
        let mut table = Table::new("Start", ["program", "ms"]);
        table.row(["ours".to_owned(), "7".to_owned()]);
        assert_eq!(table.to_string(), "\n## Start\n\n| program | ms |\n|---|---:|\n| ours | 7 |\n");
    }
}
