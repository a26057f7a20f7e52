//! The text of a file as it may be shown: positions, lines, and nothing secret or harmful to a terminal in it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// `api_key = …` and its like, up to the end of the line; what follows is not shown.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:api_?key|token|secret|passw(?:or)?d|credentials?)["']?[ \t]*=[ \t]*([^\r\n]+)"#,
    )
    .expect("the pattern is a constant")
});

/// A user and a password in an address.
static CREDENTIALS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"://([^\s'"/]*:[^\s'"]*)@"#).expect("the pattern is a constant"));

/// A secret among the parameters of an address.
static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)([?&][^=&\s]*(?:key|token|secret|passw(?:or)?d)=)[^&\s]+")
        .expect("the pattern is a constant")
});

/// Files, one after the other, each with its name and its text, byte for byte as long as what was read, with secrets and control
/// characters overwritten. A byte is counted from the beginning of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    files: Vec<Named>,
    text: String,
}

/// A file's name, and where its text begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    start: usize,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let files = vec![Named {
            name: name.to_owned(),
            start: 0,
        }];
        let mut source = Self {
            files,
            text: without_controls(text),
        };
        let secrets = SECRET
            .captures_iter(text)
            .chain(CREDENTIALS.captures_iter(text));
        for found in secrets.filter_map(|c| c.get(1)) {
            source.mask(found.range());
        }
        source
    }

    /// One more file after these; where its text begins.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> usize {
        // No line goes over from one file to the next.
        self.text.push('\n');
        let start = self.text.len();
        let name = name.to_owned();
        self.files.push(Named { name, start });
        self.text.push_str(&Self::new("", text).text);
        start
    }

    /// The name of the first file.
    pub(crate) fn name(&self) -> &str {
        &self.files[0].name
    }

    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// The number of the file that a byte lies in.
    fn file_at(&self, offset: usize) -> usize {
        let after = self.files.partition_point(|file| file.start <= offset);
        after.saturating_sub(1)
    }

    /// The name of the file that a byte lies in, and where its text begins.
    pub(crate) fn file(&self, offset: usize) -> (&str, usize) {
        let file = &self.files[self.file_at(offset)];
        (&file.name, file.start)
    }

    /// The file of this name.
    pub(crate) fn part(&self, name: &str) -> Part<'_> {
        let at = self.files.iter().position(|file| file.name == name);
        let at = at.unwrap_or_default();
        let end = self
            .files
            .get(at + 1)
            .map_or(self.text.len(), |next| next.start - 1);
        Part(&self.text[self.files[at].start..end])
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Overwrites a part with stars, line ends excepted.
    pub(crate) fn mask(&mut self, span: Range<usize>) {
        let span = self.within(span);
        let stars: String = self.text[span.clone()]
            .chars()
            .flat_map(|c| {
                std::iter::repeat_n(if c == '\n' || c == '\r' { c } else { '*' }, c.len_utf8())
            })
            .collect();
        self.text.replace_range(span, &stars);
    }

    /// The span, clamped to this text, to whole characters and to one line.
    pub(crate) fn on_one_line(&self, span: Range<usize>) -> Range<usize> {
        let span = self.within(span);
        let part = &self.text[span.clone()];
        let length = part.find(['\n', '\r']).unwrap_or(part.len());
        span.start..span.start + length
    }

    fn within(&self, span: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.min(self.text.len()));
        start..end.max(start)
    }

    /// Line and column of a byte in its file, both from 1; columns count characters.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let (_, start) = self.file(offset);
        let before = &self.text[start..self.text.floor_char_boundary(offset).max(start)];
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[begin..].chars().count() + 1)
    }
}

/// The text of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'s>(pub(crate) &'s str);

impl<'s> Part<'s> {
    /// The line that a byte lies on, without its end.
    pub(crate) fn line_around(self, offset: usize) -> &'s str {
        let text = self.0;
        let offset = text.floor_char_boundary(offset);
        let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = text[offset..]
            .find('\n')
            .map_or(text.len(), |at| offset + at);
        &text[start..end]
    }
}

fn without_controls(text: &str) -> String {
    let shown = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars()
        .flat_map(|c| {
            let (c, times) = if shown(c) {
                (c, 1)
            } else {
                ('?', c.len_utf8())
            };
            std::iter::repeat_n(c, times)
        })
        .collect()
}

/// A name from a file for a message: in backticks, control characters escaped, not too long, without a password.
/// A name as a key of a file.
pub(crate) fn as_key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) {
        return name.to_owned();
    }
    let escaped = name.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if turns_or_hides(c) => format!("\\U{:08X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Whether a character controls a terminal, turns the writing direction or cannot be seen.
pub(crate) fn turns_or_hides(c: char) -> bool {
    let is_invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || is_invisible
}

pub(crate) fn quoted(name: &str) -> String {
    let name = CREDENTIALS.replace_all(name, "://***@");
    let name = PARAMETER.replace_all(&name, "${1}***");
    format!("`{}`", shortened(&name, 60))
}

/// At most `limit` characters of a text, on one line.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    let clean = |c: char| match turns_or_hides(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    let mut short: String = text.chars().take(limit).map(clean).collect();
    if text.chars().nth(limit).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_be_a_key_of_a_file() {
        for (name, key) in [
            ("a-b_1", "a-b_1"),
            ("p q", "\"p q\""),
            ("", "\"\""),
            ("c\u{202e}\"\\", "\"c\\U0000202E\\\"\\\\\""),
        ] {
            assert_eq!(super::as_key(name), key);
            let file: toml::Table = format!("{key} = 1").parse().unwrap();
            assert_eq!(file.keys().next().unwrap(), name);
        }
    }

    #[test]
    fn a_secret_is_never_kept() {
        let source = Source::new("f", "api_key = \"sk-1\"\nmax_tokens = 5\n\"token\"= 'é'\n");
        assert_eq!(
            source.text(),
            "api_key = ******\nmax_tokens = 5\n\"token\"= ****\n"
        );
    }

    #[test]
    fn positions_count_characters_and_never_leave_the_text() {
        let source = Source::new("f", "é = 1\r\nb\u{1b} = 2");
        assert_eq!(source.position(2), (1, 2));
        assert_eq!(source.position(1), (1, 1));
        assert_eq!(source.position(9_999), (2, 7));
        assert_eq!(source.on_one_line(0..9_999), 0..6);
        assert_eq!(source.part("f").line_around(9), "b? = 2");
    }

    #[test]
    fn each_file_counts_for_itself() {
        let mut source = Source::new("a", "x = 1");
        assert_eq!(source.add("b", "y = 2\nz = 3"), 6);
        source.add("c", "");
        assert_eq!(
            (source.file(5), source.file(6), source.file(99)),
            (("a", 0), ("b", 6), ("c", 18))
        );
        assert_eq!((source.position(6), source.position(14)), ((1, 1), (2, 3)));
        assert_eq!(source.part("b").line_around(8), "z = 3");
        assert_eq!((source.part("a").0, source.part("c").0), ("x = 1", ""));
    }

    #[test]
    fn names_in_messages_are_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[31m"), "`a\\u{1b}[31m`");
        assert_eq!(quoted("db://me:p@w@host/x"), "`db://***@host/x`");
        assert_eq!(
            quoted("db://host/x?a=b&password=p&c=d"),
            "`db://host/x?a=b&password=***&c=d`"
        );
        assert_eq!(shortened("abcdef", 3), "abc…");
    }
}
