//! The environment a command gets: a short list, so that no key of this process is in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::wire::MARK;

/// What is passed on as it is.
const PASSED: [&str; 6] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER"];

/// The path where there is none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of a command: what is passed on of `ours`, also what `more` names, and its own places and mark.
pub(super) fn clean(
    ours: impl Fn(&str) -> Option<OsString>,
    more: &[String],
    home: &Path,
    tmp: &Path,
    mark: &str,
) -> BTreeMap<String, OsString> {
    let fixed = [
        ("PATH", OsString::from(PATH)),
        ("LANG", OsString::from("C.UTF-8")),
        ("TERM", OsString::from("dumb")),
        ("SHELL", OsString::from("/bin/sh")),
    ];
    let own = [
        ("HOME", home.into()),
        ("TMPDIR", tmp.into()),
        (MARK, OsString::from(mark)),
    ];
    let passed = PASSED
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .filter_map(|name| Some((name, ours(name)?)));
    fixed
        .into_iter()
        .chain(passed)
        .chain(own)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_passed_on() {
        let ours = |name: &str| match name {
            "LC_CTYPE" | "CARGO_HOME" | "HOME" | "ANTHROPIC_API_KEY" => Some("ours".into()),
            _ => None,
        };
        let more = ["CARGO_HOME".to_owned()];
        let clean = clean(ours, &more, Path::new("/home"), Path::new("/tmp"), "mark");
        let seen: Vec<_> = clean
            .iter()
            .map(|(name, value)| format!("{name}={}", value.display()))
            .collect();
        let expected = [
            "CARGO_HOME=ours",
            "HOME=/home",
            "IMPRESARIO_SHELL=mark",
            "LANG=C.UTF-8",
            "LC_CTYPE=ours",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SHELL=/bin/sh",
            "TERM=dumb",
            "TMPDIR=/tmp",
        ];
        assert_eq!(seen, expected);
    }
}
