//! Who we are to a registry: what `docker login`, `podman login` or `skopeo login` has kept.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use image::reference::{DOCKER_HUB, Reference};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Under this name the tools keep what Docker Hub wants to know.
const KEY_OF_DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What proves who we are.
pub(crate) enum Credentials {
    /// A name and a password.
    Password(String, String),
    /// A token that gets others.
    IdentityToken(String),
}

/// What is kept for an image's registry: the first that is found.
pub(crate) fn kept_for(reference: &Reference) -> Result<Option<Credentials>> {
    for path in places() {
        let content = match fs::read(&path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            content => content.with_context(|| format!("cannot read {path:?}"))?,
        };
        let key = key_for(reference, &content);
        match get_credential_from_reader(&*content, &key) {
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // A helper that keeps nothing for this registry says so by failing.
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found") => {}
            // The error can hold what a helper has printed, so not its words.
            Err(error) => return Err(cannot_use(&path, &error)),
            Ok(DockerCredential::IdentityToken(token)) => {
                return Ok(Some(Credentials::IdentityToken(token)));
            }
            Ok(DockerCredential::UsernamePassword(name, password)) => {
                return Ok(Some(Credentials::Password(name, password)));
            }
        }
    }
    Ok(None)
}

/// Under which name a file has the login for an image. podman and skopeo can have one for a part
/// of a registry, and the narrowest counts: containers-auth.json(5).
fn key_for(reference: &Reference, content: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Kept {
        #[serde(default)]
        auths: HashMap<String, IgnoredAny>,
    }
    // Whoever reads it next tells what is wrong with it.
    let kept: Kept = serde_json::from_slice(content).unwrap_or_default();
    let Reference { registry, repository, .. } = reference;
    let whole = format!("{registry}/{repository}");
    let ends = whole.match_indices('/').map(|(end, _)| end).chain([whole.len()]);
    let mut names: Vec<_> = ends.map(|end| &whole[..end]).collect(); // `/` is one byte
    names.reverse();
    let found = names.into_iter().find(|name| kept.auths.contains_key(*name));
    let usual = if registry == DOCKER_HUB { KEY_OF_DOCKER_HUB } else { registry };
    found.unwrap_or(usual).to_owned()
}

/// The files, as containers-auth.json(5) has them, and Docker's own.
fn places() -> Vec<PathBuf> {
    let directory = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(file) = directory("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let home = directory("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let runtime = directory("XDG_RUNTIME_DIR").map(|it| it.join("containers/auth.json"));
    let config = directory("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
    let docker = directory("DOCKER_CONFIG").or_else(|| below_home(".docker"));
    let places = [
        runtime,
        config.map(|it| it.join("containers/auth.json")),
        docker.map(|it| it.join("config.json")),
    ];
    places.into_iter().flatten().collect()
}

fn cannot_use(path: &Path, error: &CredentialRetrievalError) -> anyhow::Error {
    let why = match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => {
            format!("the helper docker-credential-{helper} has failed")
        }
        other => other.to_string(),
    };
    anyhow!("cannot read it in {path:?}: {why}")
}
