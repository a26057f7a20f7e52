use proptest::prelude::*;

use super::fill::{Filler, MAX_REPLY_BYTES};
use super::{MAX_PIECES, pieces};
use crate::model::ChatMessage;

fn user(text: &str) -> ChatMessage {
    ChatMessage::User { text: text.into() }
}

fn result(text: &str) -> ChatMessage {
    ChatMessage::Tool {
        call_id: "c".into(),
        name: "t".into(),
        text: text.into(),
        is_error: false,
    }
}

#[test]
fn placeholders_are_filled_in_once_and_other_braces_stand_for_themselves() {
    let messages = [
        user("a {{last}} brief"),
        result("zero"),
        result("one"),
        user("newest"),
    ];
    let fill = |template: &str| Filler::new("a {{last}} brief", &messages).text(template);
    assert_eq!(
        fill("{{input}}|{{last}}|{{result.1}}").unwrap(),
        "a {{last}} brief|newest|one"
    );
    for foreign in [
        "{{",
        "}}",
        "{{ input }}",
        "{{name}}",
        "{{{{",
        "{{result.}}",
        "{{result.x}}",
        "{{é}}",
    ] {
        assert_eq!(fill(foreign).unwrap(), foreign);
    }
    assert_eq!(fill("{{x}}{{{input}}}").unwrap(), "{{x}}{a {{last}} brief}");
    assert_eq!(
        fill("{{result.2}}").unwrap_err(),
        "`{{result.2}}` is not there: the run has 2 tool results so far, counted from 0"
    );
}

#[test]
fn a_filled_reply_has_a_limit() {
    let brief = "x".repeat(MAX_REPLY_BYTES / 2 + 1);
    let messages = [user(&brief)];
    let mut filler = Filler::new(&brief, &messages);
    assert!(filler.text("{{input}}").is_ok());
    assert!(
        filler
            .text("{{input}}")
            .unwrap_err()
            .contains("larger than")
    );
}

proptest! {
    #[test]
    fn pieces_are_the_text(text in "[ a-zé漢\n]{0,400}") {
        let pieces = pieces(&text);
        prop_assert!(pieces.len() <= MAX_PIECES + 1);
        prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
        prop_assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn any_template_can_be_filled(template in "[{}a-z0-9. é]{0,60}") {
        let messages = [user("in"), result("r")];
        let _ = Filler::new("in", &messages).text(&template);
    }
}
