//! `impresario schema`

use std::io;

use clap::Args;

use super::{Exit, output};
use crate::config;

/// Print the JSON Schema of the file, for editors
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Print one JSON document, which it is in any case
    #[arg(long)]
    json: bool,
}

impl Schema {
    pub(super) fn run(&self) -> io::Result<Exit> {
        output::json(&config::schema())?;
        Ok(Exit::Done)
    }
}
