//! The doorman of a registry, and who hands out the tokens that he wants to see:
//! <https://distribution.github.io/distribution/spec/auth/token/>.

use crate::http::{Answer, Request};

/// `ada:rosebud`, as HTTP has it (RFC 7617).
pub const BASIC: &str = "Basic YWRhOnJvc2VidWQ=";

/// A token that gets tokens.
pub const IDENTITY: &str = "an-identity";

const SERVICE: &str = "the front";

/// Who gets a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Anybody,
    /// Who says name and password.
    Password,
    /// Who has an identity token.
    Identity,
}

/// The two of them.
pub struct Guard {
    /// Where tokens are, as a client is told: an URL.
    pub realm: String,
    pub who: Who,
    /// The tokens that it hands out are good for nothing.
    pub is_vain: bool,
    /// The tokens, with what each is good for.
    given: Vec<(String, String)>,
    count: usize,
}

impl Guard {
    /// Where a front hands out tokens.
    pub const PATH: &str = "/token";

    pub fn new(front: &str, who: Who) -> Guard {
        let realm = format!("http://{front}{}", Guard::PATH);
        Guard { realm, who, is_vain: false, given: Vec::new(), count: 0 }
    }

    /// The refusal, if a request of the registry is not allowed.
    pub fn check(&mut self, request: &Request) -> Option<Answer> {
        let name = request.target.strip_prefix("/v2/")?;
        let (name, _) = name.split_once("/manifests/").or_else(|| name.split_once("/blobs/"))?;
        let scope = format!("repository:{name}:pull");
        let shown = request.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        let is_good = |(token, of): &(String, String)| shown == Some(token) && *of == scope;
        if !self.is_vain && self.given.iter().any(is_good) {
            return None;
        }
        let error = if shown.is_some() { r#",error="invalid_token""# } else { "" };
        let realm = &self.realm;
        let challenge =
            format!(r#"Bearer realm="{realm}",service="{SERVICE}",scope="{scope}"{error}"#);
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        Some(Answer::new("401 Unauthorized", &[("WWW-Authenticate", &challenge)], body))
    }

    /// The tokens so far are good for nothing any more.
    pub fn expire(&mut self) {
        self.given.clear();
    }

    /// A token, or a refusal.
    pub fn hand_out(&mut self, request: &Request) -> Answer {
        let form = request.form();
        let field = |name: &str| form.iter().find(|(it, _)| it == name).map(|(_, value)| &**value);
        let is_known = match self.who {
            Who::Anybody => request.header("authorization").is_none(),
            Who::Password => request.header("authorization") == Some(BASIC),
            Who::Identity => {
                request.method == "POST"
                    && field("grant_type") == Some("refresh_token")
                    && field("refresh_token") == Some(IDENTITY)
                    && field("client_id").is_some()
            }
        };
        if !is_known {
            let body = r#"{"errors":[{"code":"DENIED","message":"who are you?"}]}"#;
            return Answer::new("401 Unauthorized", &[], body);
        }
        let (Some(SERVICE), Some(scope)) = (field("service"), field("scope")) else {
            return Answer::new("403 Forbidden", &[], "");
        };
        self.count += 1;
        let token = format!("token-{}", self.count);
        self.given.push((token.clone(), scope.to_owned()));
        let name = if self.who == Who::Identity { "access_token" } else { "token" };
        Answer::new("200 OK", &[], format!(r#"{{"{name}":"{token}","expires_in":300}}"#))
    }
}
