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

/// Bytes of a text that may take more than one line.
const LONG: usize = 48;

/// A cell of a table.
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A number, which stands to the right.
    Number(u64),
    /// A link and its text.
    Link(String, String),
    /// Links and their texts.
    Links(Vec<(String, &'static str)>),
    /// Buttons: what is sent to, the state that is ordered, and what the button does. They need a script.
    Orders(Vec<(String, &'static str, String)>),
}

/// A table with a caption; a note instead when it has no rows.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Vec<Cell>], empty: &str) -> String {
    let caption = Escaped(caption);
    if rows.is_empty() {
        return format!("<h2>{caption}</h2>\n<p>{}</p>\n", Escaped(empty));
    }
    let heads: String = heads
        .iter()
        .map(|head| match head.is_empty() {
            true => "<td></td>".to_owned(),
            false => format!("<th scope=\"col\">{}</th>", Escaped(head)),
        })
        .collect();
    let rows: String = rows.iter().map(|row| self::row(row)).collect();
    format!(
        "<h2>{caption}</h2>\n<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table>\
         <caption class=\"hidden\">{caption}</caption><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn row(cells: &[Cell]) -> String {
    let cells: String = cells.iter().map(cell).collect();
    format!("<tr>{cells}</tr>\n")
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) if text.len() > LONG => format!("<td class=\"long\">{}</td>", Escaped(text)),
        Cell::Text(text) => format!("<td>{}</td>", Escaped(text)),
        Cell::Number(number) => format!("<td class=\"n\">{number}</td>"),
        Cell::Links(links) => {
            let link = |(to, text): &(String, &str)| format!("<a href=\"{}\">{text}</a> ", Escaped(to));
            format!("<td>{}</td>", links.iter().map(link).collect::<String>())
        }
        Cell::Orders(orders) => {
            let button = |(to, state, text): &(String, &str, String)| {
                let (to, text) = (Escaped(to), Escaped(text));
                let word = text.to_string();
                let short = word.split(' ').next().unwrap_or_default();
                format!(
                    "<button type=\"button\" data-to=\"{to}\" data-state=\"{state}\" aria-label=\"{text}\">{short}</button>"
                )
            };
            format!(
                "<td class=\"orders\">{}</td>",
                orders.iter().map(button).collect::<String>()
            )
        }
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
