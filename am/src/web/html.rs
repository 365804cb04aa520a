//! Writing HTML: every text that goes in is escaped here.

use std::fmt::{self, Display, Write};

/// A text made safe for elements and quoted attributes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

/// A cell of a table.
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A number, which stands to the right.
    Number(u64),
    /// A link and its text.
    Link(String, String),
}

/// A table with a caption; a note instead when it has no rows.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Vec<Cell>], empty: &str) -> String {
    let caption = Escaped(caption);
    if rows.is_empty() {
        return format!("<h2>{caption}</h2>\n<p>{}</p>\n", Escaped(empty));
    }
    let heads: String = heads
        .iter()
        .map(|head| format!("<th scope=\"col\">{}</th>", Escaped(head)))
        .collect();
    let rows: String = rows.iter().map(|row| self::row(row)).collect();
    format!("<h2>{caption}</h2>\n<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n")
}

fn row(cells: &[Cell]) -> String {
    let cells: String = cells.iter().map(cell).collect();
    format!("<tr>{cells}</tr>\n")
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("<td>{}</td>", Escaped(text)),
        Cell::Number(number) => format!("<td class=\"n\">{number}</td>"),
        Cell::Link(to, text) => format!("<td><a href=\"{}\">{}</a></td>", Escaped(to), Escaped(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_live_gets_through() {
        assert_eq!(
            Escaped("<a href='x' b=\"&\">").to_string(),
            "&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;"
        );
        let rows = [vec![
            Cell::Text("<script>".into()),
            Cell::Link("\"x".into(), "<".into()),
        ]];
        let table = table("<c>", &["<h>"], &rows, "");
        assert!(!table.contains("<script>") && !table.contains("\"\"x"), "{table}");
    }
}
