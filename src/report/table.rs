//! Tables without frames, as kubectl prints them: columns by display width, no trailing blanks, no control characters.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// A table with a header. Every row has as many cells as the header; the text ends with a newline.
pub fn table<H: Into<String>>(
    header: impl IntoIterator<Item = H>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header.into_iter().map(|h| h.into()).collect::<Vec<String>>());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| clean(&cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(|l| l.trim_end().to_string() + "\n").collect()
}

/// One line, no control characters: names and messages come from foreign hands.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\n' || c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_foreign_text_stays_on_its_line() {
        let text = table(["A", "BB"], [vec!["long".into(), "x\u{1b}[2J\ny".into()], vec![String::new(), "z".into()]]);
        assert_eq!(text, "A     BB\nlong  x\u{fffd}[2J y\n      z\n");
    }
}
