//! A repository of a registry: what is asked for, and the way past its doorman.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use image::MAX_DESCRIPTION;
use image::digest::Digest;
use image::reference::{DOCKER_HUB, Reference, Version};
use launcher::command_line::{note, one_line};
use serde::Deserialize;
use serde::de::IgnoredAny;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body, ResponseExt};

use crate::address::is_this_machine;
use crate::answer::{cannot_reach, header, may_pass, read_all};
use crate::connection::{Way, soon};
use crate::contents::is_index;
use crate::credentials::{Credentials, kept_for};
use crate::proxy::by_proxy;
use crate::refusal::{IMAGE, Refusal, refused};
use crate::token::Challenge;

/// Where the registry of Docker Hub really is.
const HOST_OF_DOCKER_HUB: &str = "registry-1.docker.io";

/// The descriptions that we understand.
const DESCRIPTIONS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The path of a blob begins with it.
const BLOBS: &str = "blobs/";

/// How often is tried again what may go better the next time, and how long to wait before: the
/// first time, and twice as long each time.
pub(crate) const TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A repository, and whom we are to it.
pub(crate) struct Repository {
    agent: Agent,
    /// As the user calls the registry.
    registry: String,
    /// Where it is.
    host: String,
    /// `https://HOST/v2/NAME`
    url: String,
    /// What a token has to be good for, if the registry does not say it.
    scope: String,
    credentials: Option<Credentials>,
    /// The header `Authorization` that the registry has taken last.
    authorization: Mutex<Option<String>>,
}

/// A manifest, or an index of manifests.
pub(crate) struct Description {
    pub(crate) content: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
}

impl Repository {
    /// The one that a reference names. Nothing is asked yet.
    pub(crate) fn of(reference: &Reference, way: Way) -> Result<Repository> {
        let Reference { registry, repository, .. } = reference;
        let host = if registry == DOCKER_HUB { HOST_OF_DOCKER_HUB } else { registry };
        Ok(Repository {
            agent: way.agent(host)?,
            registry: registry.clone(),
            host: host.to_owned(),
            url: format!("{}://{host}/v2/{repository}", way.scheme()),
            scope: format!("repository:{repository}:pull"),
            credentials: credentials(reference, host, way),
            authorization: Mutex::default(),
        })
    }

    /// A manifest or an index, checked against the digest by which it is asked for.
    pub(crate) fn description(&self, version: &Version) -> Result<Description> {
        let headers = [("Accept", DESCRIPTIONS.join(", "))];
        let path = format!("manifests/{version}");
        let (answer, content) = again_if_it_may_pass(|| {
            let mut answer = self.get(&path, &headers, IMAGE)?;
            let content = read_all(&mut answer, MAX_DESCRIPTION)?;
            Ok((answer, content))
        })?;
        let digest = Digest::of(&content);
        let said = header(&answer, "docker-content-digest").map(str::to_owned);
        let said = said.and_then(|text| Digest::try_from(text).ok());
        let asked = if let Version::Digest(digest) = version { Some(digest) } else { None };
        for wanted in [asked, said.as_ref()].into_iter().flatten() {
            ensure!(digest == *wanted, "what came has the digest {digest}, and not {wanted}");
        }
        let media_type = media_type(&content, header(&answer, "content-type"))?;
        Ok(Description { content, media_type, digest })
    }

    /// A blob, from this byte on.
    pub(crate) fn blob(&self, digest: &Digest, from: u64) -> Result<Response<Body>> {
        let headers = [("Range", format!("bytes={from}-"))];
        let headers = if from == 0 { &[][..] } else { &headers[..] };
        self.get(&format!("{BLOBS}{digest}"), headers, "such blob")
    }

    /// Asks, and says who we are if that is wanted. What asks for a range may hear that there is
    /// none.
    fn get(&self, path: &str, headers: &[(&str, String)], what: &str) -> Result<Response<Body>> {
        let shown = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answer = self.send(path, headers, shown.as_deref())?;
        // Who is elsewhere, where the registry has sent us, may not say who gets its password.
        if answer.status() == StatusCode::UNAUTHORIZED
            && answer.get_uri().authority() == self.url.parse::<Uri>()?.authority()
            && let Some(authorization) = self.authorize(&answer, shown)?
        {
            answer = self.send(path, headers, Some(&authorization))?;
        }
        match answer.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                Ok(answer)
            }
            _ => Err(refused(answer, &self.refusal(what))),
        }
    }

    fn send(
        &self,
        path: &str,
        headers: &[(&str, String)],
        authorization: Option<&str>,
    ) -> Result<Response<Body>> {
        let mut request = self.agent.get(format!("{}/{path}", self.url));
        if !path.starts_with(BLOBS) {
            request = soon(&self.agent, request);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let sent = request.call().map_err(cannot_reach);
        let by = || by_proxy(&self.agent, &self.url);
        sent.with_context(|| format!("cannot reach {}{}", self.host, by()))
    }

    /// What to show in place of what was refused. One at a time asks for it: the others use what
    /// that one gets.
    fn authorize(&self, answer: &Response<Body>, shown: Option<String>) -> Result<Option<String>> {
        let mut latest = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if *latest == shown {
            let challenge = Challenge::of(answer.headers()).context("cannot log in")?;
            let credentials = self.credentials.as_ref();
            let refusal = self.refusal(IMAGE);
            *latest = challenge.answer(&self.agent, credentials, &self.scope, &refusal)?;
        }
        Ok(latest.clone().filter(|latest| Some(latest) != shown.as_ref()))
    }

    fn refusal<'a>(&'a self, what: &'a str) -> Refusal<'a> {
        let with_login = self.credentials.is_some();
        let is_plain = self.url.starts_with("http://");
        Refusal { what, registry: &self.registry, with_login, is_plain }
    }
}

/// What is kept for a registry, if it can be used.
fn credentials(reference: &Reference, host: &str, way: Way) -> Option<Credentials> {
    let registry = &reference.registry;
    let not_used = |why: &str| {
        note(format_args!("the login that is kept for {registry} is not used: {why}"));
        None
    };
    match kept_for(reference) {
        Err(error) => not_used(&one_line(&error)),
        Ok(Some(_)) if way.is_plain && !is_this_machine(host) => {
            not_used("without TLS everybody on the way could read it")
        }
        Ok(kept) => kept,
    }
}

/// Does something that may go better the next time, until it does.
pub(crate) fn again_if_it_may_pass<T>(mut action: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tried = 0;
    loop {
        match action() {
            Err(error) if may_pass(&error) && tried < TRIES => {
                wait(tried);
                tried += 1;
            }
            done => return done,
        }
    }
}

/// Waits before something is tried again.
pub(crate) fn wait(tried: u32) {
    sleep(FIRST_WAIT * 2_u32.pow(tried));
}

/// What kind of description it is. One that could be read as two kinds is refused: a registry and
/// we might not read the same one (CVE-2021-41190).
fn media_type(content: &[u8], content_type: Option<&str>) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        #[serde(default)]
        schema_version: u64,
        media_type: Option<String>,
        manifests: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
    }
    let kind: Kind = serde_json::from_slice(content).context("cannot understand its manifest")?;
    ensure!(kind.schema_version != 1, "its manifest is of the first format, which no tool takes");
    let is_two = kind.manifests.is_some() && kind.layers.is_some();
    ensure!(!is_two, "its manifest is an index, too: it is made to be mistaken");
    let said = content_type.and_then(|it| it.split(';').next()).map(|it| it.trim().to_owned());
    let media_type = kind.media_type.or(said).unwrap_or_default();
    ensure!(DESCRIPTIONS.contains(&&*media_type), "it is no image, but {media_type:?}");
    ensure!(
        is_index(&media_type) == kind.manifests.is_some(),
        "its manifest is not what it says: {media_type:?}"
    );
    Ok(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    #[test]
    fn a_description_is_of_one_kind() {
        let kind = |text: &str, said| media_type(text.as_bytes(), said).ok();
        assert_eq!(kind(r#"{"manifests": []}"#, Some(INDEX)).as_deref(), Some(INDEX));
        let with_type = format!(r#"{{"mediaType": "{MANIFEST}", "layers": []}}"#);
        assert_eq!(kind(&with_type, Some("text/plain")).as_deref(), Some(MANIFEST));
        assert_eq!(kind(&with_type, None).as_deref(), Some(MANIFEST));
        let charset = format!("{MANIFEST}; charset=utf-8");
        assert_eq!(kind(r#"{"layers": []}"#, Some(&charset)).as_deref(), Some(MANIFEST));
        for (text, said) in [
            (r#"{"layers": [], "manifests": []}"#, Some(MANIFEST)),
            (r#"{"layers": [], "manifests": []}"#, Some(INDEX)),
            (r#"{"layers": []}"#, Some(INDEX)),
            (r#"{"manifests": []}"#, Some(MANIFEST)),
            (r#"{"layers": []}"#, None),
            (r#"{"schemaVersion": 1, "fsLayers": []}"#, Some(MANIFEST)),
            ("[]", Some(INDEX)),
            ("", Some(INDEX)),
        ] {
            assert_eq!(kind(text, said), None, "{text} {said:?}");
        }
    }
}
