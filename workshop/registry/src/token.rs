//! What a registry wants in the header `Authorization`: RFC 7617 (Basic), and the tokens of
//! <https://distribution.github.io/distribution/spec/auth/token/>.
//!
//! A registry answers 401 and names, in `WWW-Authenticate`, who hands out tokens for what.

use anyhow::{Context, Result, bail, ensure};
use http_auth::{ChallengeRef, parse_challenges};
use serde::Deserialize;
use ureq::http::Uri;
use ureq::{Agent, Body, http};

use crate::answer::{cannot_reach, read_all};
use crate::connection::is_this_machine;
use crate::credentials::Credentials;
use crate::refusal::{Refusal, refused};

/// As many bytes may the answer with a token have.
const MAX_TOKEN: u64 = 1 << 20;

/// What a registry asks for.
#[derive(Debug)]
pub(crate) enum Challenge {
    /// Name and password, with every request.
    Basic,
    /// A token.
    Bearer {
        /// Who hands it out: an URL.
        realm: String,
        /// Who takes it.
        service: Option<String>,
        /// What it is to be good for.
        scope: Option<String>,
    },
}

/// An answer with a token has it under one of two names.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Challenge {
    /// Reads the headers `WWW-Authenticate` of an answer.
    pub(crate) fn of(headers: &http::HeaderMap) -> Result<Challenge> {
        let headers = headers.get_all(http::header::WWW_AUTHENTICATE);
        let texts: Vec<_> = headers.iter().filter_map(|it| it.to_str().ok()).collect();
        let challenges: Vec<_> =
            texts.iter().filter_map(|it| parse_challenges(it).ok()).flatten().collect();
        let of = |scheme: &str| challenges.iter().find(|it| it.scheme.eq_ignore_ascii_case(scheme));
        if let Some(bearer) = of("bearer") {
            let realm = parameter(bearer, "realm").context("it does not say who has tokens")?;
            let [service, scope] = ["service", "scope"].map(|name| parameter(bearer, name));
            return Ok(Challenge::Bearer { realm, service, scope });
        }
        ensure!(of("basic").is_some(), "it does not say how: {texts:?}");
        Ok(Challenge::Basic)
    }

    /// The value of the header `Authorization`, if there is one: without credentials a registry may
    /// have a token for everybody, but no password.
    pub(crate) fn answer(
        &self,
        agent: &Agent,
        credentials: Option<&Credentials>,
        default_scope: &str,
        refusal: &Refusal,
    ) -> Result<Option<String>> {
        let (realm, service, scope) = match (self, credentials) {
            (Challenge::Basic, Some(Credentials::Password(name, password))) => {
                return Ok(Some(basic(name, password)));
            }
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { realm, service, scope }, _) => (realm, service, scope),
        };
        let scope = scope.as_deref().unwrap_or(default_scope);
        if credentials.is_some() && !is_safe(realm) {
            bail!(
                "it wants the password sent to {realm:?}, where everybody on the way can read it"
            );
        }
        let mut answer = ask(agent, realm, service.as_deref(), scope, credentials)
            .map_err(cannot_reach)
            .with_context(|| format!("cannot get a token from {realm:?}"))?;
        if !answer.status().is_success() {
            return Err(refused(answer, refusal));
        }
        let token = read_token(&mut answer);
        token.map(Some).with_context(|| format!("cannot get a token from {realm:?}"))
    }
}

/// Asks who hands out tokens for one.
fn ask(
    agent: &Agent,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<http::Response<Body>, ureq::Error> {
    let mut fields = vec![("scope", scope)];
    fields.extend(service.map(|service| ("service", service)));
    match credentials {
        Some(Credentials::IdentityToken(token)) => {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", "container-steps"),
            ]);
            agent.post(realm).send_form(fields)
        }
        Some(Credentials::Password(name, password)) => {
            let request = agent.get(realm).header("Authorization", basic(name, password));
            request.query_pairs(fields).call()
        }
        None => agent.get(realm).query_pairs(fields).call(),
    }
}

fn read_token(answer: &mut http::Response<Body>) -> Result<String> {
    let content = read_all(answer, MAX_TOKEN)?;
    // The error of serde_json would show a part of the token.
    let token = serde_json::from_slice::<Token>(&content).ok();
    let token = token.and_then(|it| it.token.filter(|it| !it.is_empty()).or(it.access_token));
    let token = token.context("its answer has no token")?;
    let is_word = token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(is_word && !token.is_empty(), "its token has other characters than a token may have");
    Ok(format!("Bearer {token}"))
}

fn basic(name: &str, password: &str) -> String {
    http_auth::basic::encode_credentials(name, password)
}

/// Whether nobody reads on the way to this URL.
fn is_safe(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    url.scheme_str() == Some("https") || url.host().is_some_and(is_this_machine)
}

fn parameter(challenge: &ChallengeRef, name: &str) -> Option<String> {
    let mut params = challenge.params.iter();
    let (_, value) = params.find(|(it, _)| it.eq_ignore_ascii_case(name))?;
    Some(value.to_unescaped())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(texts: &[&str]) -> Result<Challenge> {
        let mut headers = http::HeaderMap::new();
        for text in texts {
            headers.append(http::header::WWW_AUTHENTICATE, text.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn a_challenge_says_who_has_tokens_for_what() {
        let docker = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
                      scope=\"repository:library/alpine:pull\"";
        let Ok(Challenge::Bearer { realm, service, scope }) = challenge(&[docker]) else {
            panic!("no challenge")
        };
        assert_eq!(realm, "https://auth.docker.io/token");
        assert_eq!(service.as_deref(), Some("registry.docker.io"));
        assert_eq!(scope.as_deref(), Some("repository:library/alpine:pull"));
    }

    #[test]
    fn a_token_is_asked_for_before_a_password() {
        let both = challenge(&[r#"Basic realm="a", bearer realm="https://b/""#]);
        assert!(matches!(both, Ok(Challenge::Bearer { .. })));
        let both = challenge(&[r#"Basic realm="a""#, r#"Bearer realm="https://b/""#]);
        assert!(matches!(both, Ok(Challenge::Bearer { .. })));
        assert!(matches!(challenge(&[r#"basic realm="a""#]), Ok(Challenge::Basic)));
        for wrong in ["", "Bearer", "Bearer service=a", "Negotiate", "\"", "Digest realm=\"a\""] {
            assert!(challenge(&[wrong]).is_err(), "{wrong}");
        }
        assert!(challenge(&[]).is_err());
    }

    #[test]
    fn a_password_is_sent_where_nobody_reads_it() {
        let safe = ["https://a/", "http://localhost:1/a", "http://127.0.0.1/", "http://[::1]:1/"];
        assert!(safe.into_iter().all(is_safe));
        assert!(!["http://a/", "http://10.0.0.1/", "ftp://a/", "a", ""].into_iter().any(is_safe));
    }
}
