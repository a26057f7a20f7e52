//! The webhooks of the node's file, and the secret that the secrets of all others are made of.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use actors::registry::webhooks::FileWebhook;
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::Config;

use super::Declared;
use super::sign::Secret;

/// The webhooks of a file, with their secrets from the variables that it names.
///
/// # Errors
/// Which variable is missing or holds no secret.
pub fn declared(
    config: &Config,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Declared>, String> {
    let webhooks = config.webhooks.iter();
    let declared = webhooks.map(|(name, webhook)| {
        let secret = webhook.secret_env.as_deref();
        let secret = secret.map(|env| read(name, env, &variable)).transpose()?;
        let webhook = FileWebhook {
            name: name.clone(),
            url: webhook.url.clone(),
            events: webhook.events.iter().cloned().collect(),
        };
        Ok(Declared { webhook, secret })
    });
    declared.collect()
}

fn read(
    name: &str,
    env: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Secret, String> {
    let text = variable(env)
        .ok_or_else(|| format!("webhook `{name}`: the variable `{env}` is not set"))?;
    Secret::parse(&text).map_err(|error| format!("webhook `{name}`: `{env}`: {error}"))
}

/// The node's secret from a file that nobody else may read; it is made if it is not there.
///
/// # Errors
/// When it cannot be read or written, or holds something else.
pub fn node_secret(path: &Path) -> io::Result<[u8; 32]> {
    match File::open(path) {
        Ok(file) => secret_in(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

fn secret_in(file: File, path: &Path) -> io::Result<[u8; 32]> {
    let mut bytes = Vec::new();
    file.take(33).read_to_end(&mut bytes)?;
    bytes.try_into().map_err(|_| {
        let what = "does not hold 32 bytes: put it back from a copy, or remove it and make all webhooks anew";
        io::Error::new(io::ErrorKind::InvalidData, format!("{} {what}", path.display()))
    })
}

/// It is whole under its name or not there at all.
fn make(path: &Path) -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    let filled = SystemRandom::new().fill(&mut secret);
    filled.map_err(|_| io::Error::other("the system's random source fails"))?;
    let unfinished = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_secret_is_made_once_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("webhook.secret");
        let made = node_secret(&path).expect("a secret");
        assert_ne!(made, [0; 32]);
        assert_eq!(node_secret(&path).expect("the same"), made);
        let mode = std::fs::metadata(&path)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, b"short").expect("written");
        assert!(node_secret(&path).is_err());
    }

    #[test]
    fn a_secret_of_the_file_comes_from_its_variable() {
        let mut config = Config::default();
        let webhook = crate::config::WebhookConfig {
            url: "https://example.com/".to_owned(),
            events: vec!["alert".to_owned()],
            secret_env: Some("HOOK".to_owned()),
        };
        config.webhooks.insert("ops".to_owned(), webhook);
        let good = format!("whsec_{}", "QUJD".repeat(8));
        let told = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            declared(&config, |_| value.clone()).map(|all| all[0].secret.as_ref().map(Secret::text))
        };
        assert_eq!(told(Some(&good)), Ok(Some(good.clone())));
        assert!(told(None).is_err());
        for wrong in ["", "whsec_", "QUJD", "whsec_QUJD", "whsec_*"] {
            assert!(told(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
