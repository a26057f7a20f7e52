//! What a model reads of a command's end.

use std::fmt::Write as _;
use std::time::Duration;

use actors::model::executor::{CallError, CallErrorCode};

use super::super::{error, failed};
use super::wire::{End, Report};

/// Why the executor ended a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Cancelled,
    Timeout(Duration),
}

/// A command that ran to its end: its code, its output, and what had to be done. One that was ended is an error that shows the output.
pub(super) fn told(why: Option<Why>, report: &Report, output: &str) -> Result<String, CallError> {
    let text = with_output(report, output);
    match (why, &report.end) {
        (_, End::NotStarted(why)) => Err(failed(why.clone())),
        (Some(Why::Cancelled), _) => Err(error(
            CallErrorCode::Cancelled,
            format!("cancelled; nothing of it runs any more\n{text}"),
        )),
        (Some(Why::Timeout(limit)), _) => Err(error(
            CallErrorCode::Timeout,
            format!(
                "it took longer than {} ms and was ended; nothing of it runs any more\n{text}",
                limit.as_millis()
            ),
        )),
        (None, End::Exited(code)) => Ok(format!("exit code {code}\n{text}")),
        (None, End::Signalled(signal)) => Ok(format!("ended by signal {signal}\n{text}")),
        (None, End::Told) => Err(failed(format!("its supervisor was told to end it\n{text}"))),
    }
}

/// A command whose supervisor did not come to tell of it; what it left has been ended.
pub(super) fn lost(why: Option<Why>, said: &str, left_behind: usize, output: &str) -> CallError {
    let said = match said.trim() {
        "" => "without a word".to_owned(),
        said => format!("saying `{said}`"),
    };
    let code = match why {
        Some(Why::Cancelled) => CallErrorCode::Cancelled,
        Some(Why::Timeout(_)) => CallErrorCode::Timeout,
        None => CallErrorCode::Failed,
    };
    let left = counted(left_behind);
    let message = format!(
        "the command's supervisor died {said}; {left} left and ended. What the command did until then stands\n{output}"
    );
    error(code, message)
}

fn with_output(report: &Report, output: &str) -> String {
    let mut text = match output.is_empty() {
        true => "[no output]\n".to_owned(),
        false => output.to_owned(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if report.left_behind > 0 {
        let count = counted(report.left_behind);
        let _ = writeln!(text, "[{count} left in the background and ended]");
    }
    if report.stuck > 0 {
        let count = counted(report.stuck);
        let _ = writeln!(
            text,
            "[{count} could not be ended: the kernel is waiting for a device]"
        );
    }
    text
}

fn counted(processes: usize) -> String {
    match processes {
        1 => "1 process was".to_owned(),
        more => format!("{more} processes were"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(end: End, left_behind: usize) -> Report {
        Report {
            end,
            left_behind,
            stuck: 0,
        }
    }

    #[test]
    fn a_failed_command_is_a_result_and_an_ended_one_is_not() {
        let told = |why, end, left, output| told(why, &report(end, left), output);
        assert_eq!(
            told(None, End::Exited(3), 0, "no").unwrap(),
            "exit code 3\nno\n"
        );
        assert_eq!(
            told(None, End::Signalled(11), 2, "").unwrap(),
            "ended by signal 11\n[no output]\n[2 processes were left in the background and ended]\n"
        );
        let end = told(
            Some(Why::Timeout(Duration::from_secs(1))),
            End::Told,
            0,
            "half",
        )
        .unwrap_err();
        assert_eq!(end.code, CallErrorCode::Timeout);
        assert_eq!(
            end.message,
            "it took longer than 1000 ms and was ended; nothing of it runs any more\nhalf\n"
        );
        let end = told(Some(Why::Cancelled), End::Exited(0), 0, "x\n").unwrap_err();
        assert_eq!(end.code, CallErrorCode::Cancelled);
        let end = told(None, End::NotStarted("no sh".into()), 0, "").unwrap_err();
        assert_eq!(
            (end.code, end.message.as_str()),
            (CallErrorCode::Failed, "no sh")
        );
    }
}
