//! Who we are to a registry: what `docker login`, `podman login` or `skopeo login` has kept.

use std::env;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use image::reference::DOCKER_HUB;

/// Under this name the tools keep what Docker Hub wants to know.
const KEY_OF_DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What proves who we are.
pub(crate) enum Credentials {
    /// A name and a password.
    Password(String, String),
    /// A token that gets others.
    IdentityToken(String),
}

/// What is kept for a registry: the first that is found.
pub(crate) fn kept_for(registry: &str) -> Result<Option<Credentials>> {
    let key = if registry == DOCKER_HUB { KEY_OF_DOCKER_HUB } else { registry };
    for path in places() {
        let file = match File::open(&path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            file => file.with_context(|| format!("cannot open {path:?}"))?,
        };
        match get_credential_from_reader(file, key) {
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
