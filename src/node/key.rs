//! The first key: made once, its text in a file of the data folder that nobody else reads, its hash in the store.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::registry::access::{KeyKind, NewKey, Scope};
use actors::registry::{Entropy, Registry, RegistryError};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::NodeError;

/// The file in the data folder.
const FILE: &str = "admin.key";

const KIND: &str = "setting";
const KEY: &str = "first_key";

/// That the first key was made.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    id: String,
}

/// Makes the first key of a store that has none, and says where its text is.
pub(super) async fn first(registry: &Registry, folder: &Path) -> Result<PathBuf, NodeError> {
    let path = folder.join(FILE);
    if registry.get::<Made>(KIND, KEY).await?.is_some() {
        return Ok(path);
    }
    let new = NewKey {
        project: None,
        kind: KeyKind::Api,
        scopes: BTreeSet::from([Scope::Admin]),
        label: "the node's first key".to_owned(),
        expires_at: None,
    };
    let (key, text) = registry.create_key(new).await?;
    write(&path, &text).map_err(|error| NodeError::Key {
        path: path.clone(),
        error,
    })?;
    // A node that ends before this makes another key at its next start, and the one nobody has stays unused.
    match registry.put(KIND, KEY, Some(0), &Made { id: key.id }).await {
        Ok(_) | Err(RegistryError::Conflict(_)) => Ok(path),
        Err(error) => Err(error.into()),
    }
}

/// All of it or nothing: a file that is there is whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("key.new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The system's own source of random bytes.
pub(super) fn entropy() -> Result<Entropy, NodeError> {
    fill(&mut [0; 32]).map_err(NodeError::Entropy)?;
    Ok(Arc::new(|bytes: &mut [u8]| {
        // It worked at the start, and the system does not lose it; a key of anything else would be none.
        while fill(bytes).is_err() {}
    }))
}

fn fill(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(filled) => bytes = &mut bytes[filled..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
