//! Reading a file: its bytes, its syntax, its values, what they mean together.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path as FilePath, PathBuf};
use std::str::Utf8Error;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error as SyntaxError};

use super::check::check;
use super::defaults::pools;
use super::file::{AgentConfig, Config};
use super::include::{self, Included};
use super::path::{Path, setting};
use super::problem::{Complaint, Findings, Problems};
use super::read::{Node, Read, Report};
use super::source::{Source, quoted};
use super::unavailable::report_unavailable;

/// How large a file, or a file of instructions, may be.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// What was read, and from where.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// Everything that was read to know it.
    pub files: Vec<PathBuf>,
}

/// Reads a file, with those that it includes, and says which.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load_all(path: impl AsRef<FilePath>) -> Result<Loaded, Problems> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let bytes = read_limited(path).map_err(|error| unreadable(&name, &error))?;
    let text = str::from_utf8(&bytes).map_err(|error| not_text(&name, &bytes, error))?;
    let folder = path.parent().unwrap_or(FilePath::new(""));
    whole(&name, text, folder, Some(path))
}

/// Reads a file, with those that it includes.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(path: impl AsRef<FilePath>) -> Result<Config, Problems> {
    load_all(path).map(|loaded| loaded.config)
}

/// Reads a file's text, with the files that it includes; paths in it are relative to `base_dir`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(name: &str, text: &str, base_dir: &FilePath) -> Result<Config, Problems> {
    whole(name, text, base_dir, None).map(|loaded| loaded.config)
}

fn whole(
    name: &str,
    text: &str,
    base_dir: &FilePath,
    own: Option<&FilePath>,
) -> Result<Loaded, Problems> {
    let mut findings = Findings::new(Source::new(name, text));
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        add_syntax(&mut findings, errors, 0);
        return Err(findings.into_problems());
    }
    let span = table.span();
    let mut table = table.into_inner();
    let included = include::read(&table, own, base_dir, &mut findings);
    if !merge(&mut table, &included, &mut findings) {
        return Err(findings.into_problems());
    }
    let root = Spanned::new(span, DeValue::Table(table));
    let mut report = Report::new(&root, findings);
    let config = interpret(&root, base_dir, &included, &mut report);
    let findings = report.into_findings();
    let own = own.map(FilePath::to_owned);
    let files = own
        .into_iter()
        .chain(included.into_iter().map(|it| it.path));
    match findings.is_empty() {
        true => Ok(Loaded {
            config,
            files: files.collect(),
        }),
        false => Err(findings.into_problems()),
    }
}

/// Puts included files into the whole. Whether their syntax is right.
fn merge<'d>(table: &mut DeTable<'d>, files: &'d [Included], findings: &mut Findings) -> bool {
    let mut is_right = true;
    for file in files {
        let base = findings.add_file(&file.path.display().to_string(), &file.text);
        let (more, errors) = DeTable::parse_recoverable(&file.text);
        is_right &= errors.is_empty();
        add_syntax(findings, errors, base);
        let more = Spanned::new(more.span(), DeValue::Table(more.into_inner()));
        if let DeValue::Table(more) = include::moved(more, base).into_inner() {
            include::merge(table, more, findings);
        }
    }
    is_right
}

fn interpret(
    root: &Spanned<DeValue<'_>>,
    base_dir: &FilePath,
    included: &[Included],
    report: &mut Report<'_>,
) -> Config {
    let mut config = Config::read(&Node::new(root, Path::default()), report);
    for (name, limit) in pools() {
        config.pools.entry(name).or_insert(limit);
    }
    check(&config, report);
    report_unavailable(root, &Path::default(), report);
    for (name, agent) in &mut config.agents {
        let path = setting!["agents", name, "instructions_file"];
        let folder = folder_of(report.file_of(&path), included).unwrap_or(base_dir);
        instructions(agent, &path, folder, report);
    }
    config
}

/// The folder of an included file.
fn folder_of<'i>(name: &str, included: &'i [Included]) -> Option<&'i FilePath> {
    let file = included
        .iter()
        .find(|file| file.path.display().to_string() == name)?;
    file.path.parent()
}

/// Reads an agent's instructions from the file it names.
fn instructions(
    agent: &mut AgentConfig,
    path: &Path,
    base_dir: &FilePath,
    report: &mut Report<'_>,
) {
    let Some(file) = &agent.instructions_file else {
        return;
    };
    if report.is_spoiled(path) {
        return;
    }
    match regular_text(&base_dir.join(file)) {
        Ok(text) => agent.instructions = text,
        Err(error) => {
            let message = format!("cannot read {}: {}", quoted(file), reason(&error));
            let help = "the path is relative to the folder of this file";
            report.at(path, Complaint::new(message).help(help));
        }
    }
}

fn regular_text(path: &FilePath) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    // Opening a pipe would wait for somebody to write to it.
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = read_limited(path)?;
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn read_limited(path: &FilePath) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Why a file cannot be read, without the numbers of the operating system.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::FileTooLarge => format!("it is larger than {MAX_FILE_BYTES} bytes"),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        io::ErrorKind::InvalidInput => "it is not a regular file".to_owned(),
        kind => kind.to_string(),
    }
}

fn unreadable(name: &str, error: &io::Error) -> Problems {
    let complaint = Complaint::new(format!("cannot read {}: {}", quoted(name), reason(error)));
    Problems::only(
        Source::new(name, ""),
        0..0,
        complaint.help("give the path of a team file or a node file"),
    )
}

fn not_text(name: &str, bytes: &[u8], error: Utf8Error) -> Problems {
    let at = error.valid_up_to();
    let text = String::from_utf8_lossy(bytes);
    let complaint =
        Complaint::new(format!("the file is not UTF-8 text: byte {at}")).help("save it as UTF-8");
    Problems::only(Source::new(name, &text), at..at, complaint)
}

/// The text of a file, or why there is none.
pub(super) fn text_of(path: &FilePath) -> Result<String, String> {
    regular_text(path).map_err(|error| reason(&error))
}

/// One problem a line: what follows the first mistake in a line is mostly its echo.
fn add_syntax(findings: &mut Findings, errors: Vec<SyntaxError>, base: usize) {
    let place = |error: &SyntaxError| error.span().unwrap_or_default();
    let mut errors: Vec<_> = errors.into_iter().map(|e| (place(&e), e)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut last = None;
    for (span, error) in errors {
        let span = span.start + base..span.end + base;
        let start = span.start;
        if last.is_none_or(|last| findings.line_ends_between(last, start)) {
            let complaint = Complaint::new(format!("not TOML: {}", error.message()));
            let help = "the other checks are made once the syntax is right";
            findings.add(span, complaint.help(help));
        }
        last = Some(start);
    }
}
