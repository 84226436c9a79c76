//! What a registry says no with, in words, and what to do about it.

use std::io::Read;
use std::time::{Duration, SystemTime};

use anyhow::{Error, anyhow};
use launcher::printable;
use serde::Deserialize;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::answer::{BadMoment, header};

/// As many bytes of what a registry says against us are read.
const MAX_READ: u64 = 1 << 16;

/// And as many characters of it are shown.
const MAX_SHOWN: usize = 200;

/// What is asked for first.
pub(crate) const IMAGE: &str = "such image";

/// What was asked for.
pub(crate) struct Refusal<'a> {
    /// In words: [`IMAGE`], or `such blob`.
    pub(crate) what: &'a str,
    /// Who was asked: what one logs in to.
    pub(crate) registry: &'a str,
    /// Whether we have said who we are.
    pub(crate) with_login: bool,
    /// Whether it was asked without TLS.
    pub(crate) is_plain: bool,
}

/// Errors as the distribution specification has them.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The error for an answer that is none.
pub(crate) fn refused(mut answer: Response<Body>, refusal: &Refusal) -> Error {
    let said = said(&mut answer);
    let Refusal { what, registry, with_login, is_plain } = refusal;
    let login = format!("skopeo login {registry}, or docker login {registry}");
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if *with_login => {
            anyhow!("denied{said} (the login that is kept is wrong, or may not do this: {login})")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            anyhow!("denied{said} (there is no {what}, or it needs a login: {login})")
        }
        StatusCode::NOT_FOUND if *what == IMAGE => {
            anyhow!("there is no {what}{said} (are name and tag right?)")
        }
        StatusCode::NOT_FOUND => anyhow!("there is no {what}{said}"),
        StatusCode::TOO_MANY_REQUESTS => {
            let login = format!("; with a login it is more: {login}");
            let more = if *with_login { "" } else { &login };
            anyhow!("too many requests{said} ({}{more})", when(&answer))
        }
        // What a server with TLS says to somebody without.
        status @ StatusCode::BAD_REQUEST if *is_plain && said.is_empty() => {
            anyhow!("it answers {status} (does it speak TLS? Then leave out --plain-http)")
        }
        status if status.is_server_error() => {
            BadMoment(format!("it answers {status}{said}")).into()
        }
        status => anyhow!("it answers {status}{said}"),
    }
}

/// What the registry says itself, if that is more than a number.
fn said(answer: &mut Response<Body>) -> String {
    let mut content = Vec::new();
    // What cannot be read says nothing: the status is said all the same.
    let _ = answer.body_mut().as_reader().take(MAX_READ).read_to_end(&mut content);
    let errors = serde_json::from_slice::<Errors>(&content).map_or_else(|_| vec![], |it| it.errors);
    let Some(Said { code, message }) = errors.into_iter().next() else { return String::new() };
    let text = if message.is_empty() { code } else { message };
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    if shown.is_empty() { shown } else { format!(": \"{}\"", printable(shown.as_bytes())) }
}

/// When one may ask again: RFC 9110, Retry-After, or Docker Hub's `ratelimit-limit: 100;w=21600`.
fn when(answer: &Response<Body>) -> String {
    if let Some(after) = header(answer, "retry-after") {
        let seconds = after.trim().parse().map(Duration::from_secs).ok();
        let date = || {
            let date = httpdate::parse_http_date(after.trim()).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        };
        if let Some(wait) = seconds.or_else(date) {
            return format!("try again in {}", in_words(wait));
        }
    }
    let limit = header(answer, "ratelimit-limit").and_then(|limit| limit.split_once(";w="));
    let limit = limit.and_then(|(most, window)| {
        Some((most.parse::<u64>().ok()?, Duration::from_secs(window.parse().ok()?)))
    });
    match limit {
        Some((most, window)) => format!("it takes {most} in {}: try again later", in_words(window)),
        None => "it does not say until when: try again later".to_owned(),
    }
}

/// A time to wait, rounded up.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let units = [(3600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, name) = unit.unwrap_or((1, "second"));
    match seconds.div_ceil(length) {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&str, &str)], body: &str, status: u16, with_login: bool) -> String {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(Body::builder().data(body.as_bytes().to_vec())).unwrap();
        let refusal = Refusal { what: IMAGE, registry: "a.example", with_login, is_plain: false };
        format!("{:#}", refused(answer, &refusal))
    }

    #[test]
    fn what_the_registry_says_is_shown_and_changes_no_terminal() {
        let body = r#"{"errors": [{"code": "DENIED", "message": "\u001b[2J no"}]}"#;
        let text = told(&[], body, 403, true);
        assert!(text.starts_with(r#"denied: "\u{1b}[2J no" (the login that is kept"#), "{text}");
        let long = format!(r#"{{"errors": [{{"code": "A", "message": "{}"}}]}}"#, "x".repeat(9999));
        assert!(told(&[], &long, 404, false).len() < 300);
        for strange in ["", "<html>", "[]", "{}", r#"{"errors": []}"#, r#"{"errors": [{}]}"#] {
            let told = told(&[], strange, 404, false);
            assert_eq!(told, "there is no such image (are name and tag right?)", "{strange}");
        }
    }

    #[test]
    fn too_many_requests_say_until_when() {
        let limited = |name, value| told(&[(name, value)], "", 429, true);
        assert!(limited("retry-after", "42").contains("try again in 42 seconds"));
        assert!(limited("retry-after", "7200").contains("try again in 2 hours"));
        let past = limited("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(past.contains("try again in 0 seconds"), "{past}");
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(300));
        let soon = limited("retry-after", &soon);
        assert!(soon.contains("try again in 5 minutes") || soon.contains("in 299"), "{soon}");
        assert!(limited("ratelimit-limit", "100;w=21600").contains("it takes 100 in 6 hours"));
        for strange in ["", "soon", "-1", "1;w=", "99999999999999999999"] {
            assert!(limited("retry-after", strange).contains("does not say"), "{strange}");
        }
        assert!(limited("retry-after", "18446744073709551615").contains("hours"));
    }

    #[test]
    fn who_has_no_login_hears_how_to_get_one() {
        assert!(told(&[], "", 401, false).contains("skopeo login a.example"));
        assert!(told(&[], "", 429, false).contains("docker login a.example"));
        assert!(!told(&[], "", 429, true).contains("login"));
    }
}
