//! Server-sent events from bytes, however these are cut into pieces. PURE.

use std::mem::take;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its `event` field; empty for most dialects.
    pub(crate) name: String,
    /// Its `data` lines, joined by line feeds.
    pub(crate) data: String,
}

/// An event is larger than the decoder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Takes bytes, gives events. An event counts once the empty line after it has arrived: what is left over at the end of the
/// stream is dropped, as the standard says, so a cut stream never gives a cut event.
#[derive(Debug)]
pub(crate) struct SseDecoder {
    limit: usize,
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    after_cr: bool,
    first_line: bool,
}

impl SseDecoder {
    /// A decoder of events of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            after_cr: false,
            first_line: true,
        }
    }

    /// The events that `bytes` complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            self.hold(&bytes[..end.unwrap_or(bytes.len())])?;
            let Some(end) = end else { break };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            events.extend(self.line_end());
        }
        Ok(events)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + self.event.data.len() + bytes.len() > self.limit {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line_end(&mut self) -> Option<Event> {
        let bytes = take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = match take(&mut self.first_line) {
            true => line.strip_prefix('\u{feff}').unwrap_or(&line),
            false => &line,
        };
        if line.is_empty() {
            let event = take(&mut self.event);
            return take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => self.data(value),
            // older llama.cpp servers report a failure in the middle of a stream as a field of its own
            "error" => {
                "error".clone_into(&mut self.event.name);
                self.data(value);
            }
            _ => {}
        }
    }

    fn data(&mut self, value: &str) {
        if self.has_data {
            self.event.data.push('\n');
        }
        self.event.data.push_str(value);
        self.has_data = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<Event> {
        let mut decoder = SseDecoder::new(1 << 20);
        let feed = |piece: &&[u8]| decoder.feed(piece).expect("small");
        pieces.iter().flat_map(feed).collect()
    }

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.into(),
            data: data.into(),
        }
    }

    #[test]
    fn all_the_standard_allows() {
        let stream = "\u{feff}: comment\r\nid: 7\nevent: a\rdata: one\ndata:  two\r\n\r\n\
                      event: lost\n\ndata\n\nretry: 5\ndata:{}\n\nerror: {\"x\":1}\n\ndata: [DONE]\n";
        assert_eq!(
            decode(&[stream.as_bytes()]),
            [
                event("a", "one\n two"),
                event("", ""),
                event("", "{}"),
                event("error", "{\"x\":1}"),
            ]
        );
    }

    #[test]
    fn an_event_has_a_limit_even_when_it_never_ends() {
        let mut decoder = SseDecoder::new(100);
        assert_eq!(decoder.feed(&[b'x'; 101]), Err(TooLarge));
        let mut decoder = SseDecoder::new(100);
        let lines = std::iter::repeat_n(b"data: 0123456789\n", 20);
        let fed: Result<Vec<_>, _> = lines.map(|line| decoder.feed(line)).collect();
        assert_eq!(fed, Err(TooLarge));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"data: ".to_vec()),
            2 => Just(b"event: e".to_vec()),
            1 => Just(b": ping".to_vec()),
            3 => "[a-zé漢🎭{}:]{0,6}".prop_map(String::into_bytes),
            6 => prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\n\n"), Just("\r\n\r\n")].prop_map(|s| s.into()),
            1 => prop::collection::vec(any::<u8>(), 0..6),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_bytes_are_cut(
            stream in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(decode(&pieces), decode(&[&stream]));
            prop_assert_eq!(decode(&bytes), decode(&[&stream]));
        }

        #[test]
        fn a_cut_stream_gives_the_first_events_of_the_whole_one(stream in stream(), end in any::<prop::sample::Index>()) {
            let whole = decode(&[&stream]);
            let cut = decode(&[&stream[..end.index(stream.len() + 1)]]);
            prop_assert!(whole.starts_with(&cut), "{cut:?} of {whole:?}");
        }
    }
}
