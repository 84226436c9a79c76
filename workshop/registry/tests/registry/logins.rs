//! Who we are to a registry, and who does not learn it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testbed::registry::{Authority, Registry, Setup};
use testbed::{Host, Outcome, Suite};

use crate::bed::{Bed, Maker, end, put, start, tool};
use crate::front::{Fault, Front};
use crate::guard::{BASIC, Guard, IDENTITY, Who};
use crate::http::Answer;

const MB: usize = 1_000_000;

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_login_is_found_where_the_tools_keep_it", a_login_is_found)
        .both("the_narrowest_login_counts", the_narrowest_login_counts)
        .both("a_login_at_docker_hub_has_two_names", a_login_at_docker_hub)
        .both("what_skopeo_has_kept_is_used", what_skopeo_has_kept_is_used)
        .both("a_helper_is_asked_for_a_login", a_helper_is_asked)
        .both("a_login_that_cannot_be_read_is_told", a_login_that_cannot_be_read)
        .both("a_password_goes_nowhere_without_tls", a_password_goes_nowhere_without_tls)
        .both("a_token_is_asked_for_by_everybody", a_token_for_everybody)
        .both("a_token_is_asked_for_with_a_login", a_token_with_a_login)
        .both("a_token_that_has_expired_is_asked_for_anew", a_token_that_has_expired)
        .both("a_token_service_that_lies_is_told", a_token_service_that_lies)
        .both("where_blobs_lie_elsewhere_nobody_learns_the_token", blobs_that_lie_elsewhere)
}

/// A real registry that wants a login, with the image `a:1`.
const LOGIN: u16 = 5003;

fn registry_with_login(host: &Host) -> Registry {
    host.images();
    let registry = Registry::start(host, &Setup { port: LOGIN, login: true, ..Setup::default() });
    let maker = Maker::new(host);
    put(&registry, &maker, "a:1", &maker.of_random(&[1000]).manifest);
    registry
}

fn pulling(host: &Host) -> Command {
    tool(host, &["pull", "--plain-http", "localhost:5003/a:1"])
}

/// What the tools keep for this registry: a name and a password, as HTTP has them.
fn auths(registry: &str, basic: &str) -> Value {
    json!({"auths": {registry: {"auth": basic.trim_start_matches("Basic ")}}})
}

/// Writes a file for whoever pulls.
fn keep(host: &Host, path: &Path, content: &Value) {
    let missing: Vec<_> = path.ancestors().skip(1).take_while(|it| !it.exists()).collect();
    for directory in missing.into_iter().rev() {
        fs::create_dir(directory).unwrap();
        host.give(directory);
        host.own(directory);
    }
    fs::write(path, content.to_string()).unwrap();
    host.give(path);
}

const HOW: &str = "(there is no such image, or it needs a login: skopeo login localhost:5003, or \
    docker login localhost:5003)";

fn a_login_is_found(host: &Host) {
    let _registry = registry_with_login(host);
    let denied = || Outcome::of(&mut pulling(host)).assert_refused(1, &["denied", HOW]);
    denied();
    let home = host.home();
    let other = host.dir("other");
    let places: [(&str, PathBuf, &str); 6] = [
        ("", home.join(".docker/config.json"), ""),
        ("DOCKER_CONFIG", other.join("docker/config.json"), "docker"),
        ("REGISTRY_AUTH_FILE", other.join("file.json"), "file.json"),
        ("XDG_RUNTIME_DIR", other.join("run/containers/auth.json"), "run"),
        ("", home.join(".config/containers/auth.json"), ""),
        ("XDG_CONFIG_HOME", other.join("config/containers/auth.json"), "config"),
    ];
    for (variable, path, value) in &places {
        let mut pull = pulling(host);
        if !variable.is_empty() {
            pull.env(variable, other.join(value));
        }
        keep(host, path, &auths("localhost:5003", BASIC));
        Outcome::of(&mut pull).text();
        // Another one's is none for this one.
        keep(host, path, &auths("localhost:5004", BASIC));
        Outcome::of(&mut pull).assert_refused(1, &["denied", HOW]);
        // `ada:wrong`
        keep(host, path, &auths("localhost:5003", "YWRhOndyb25n"));
        let outcome = Outcome::of(&mut pull);
        outcome.assert_refused(1, &["denied", "(the login that is kept is wrong, or may not do"]);
        assert!(!outcome.stderr.contains("wrong\"") && !outcome.stderr.contains("YWRhO"));
        fs::remove_file(path).unwrap();
    }
    denied();
    // What one has for skopeo and podman comes before what one has for Docker.
    keep(host, &places[0].1, &auths("localhost:5003", "YWRhOndyb25n"));
    keep(host, &places[4].1, &auths("localhost:5003", BASIC));
    Outcome::of(&mut pulling(host)).text();
}

/// containers-auth.json(5): a login can be one for a part of a registry.
fn the_narrowest_login_counts(host: &Host) {
    let bed = Bed::new(host);
    bed.random("b/c/a:1", &[1000]);
    let challenge = [("WWW-Authenticate", "Basic realm=\"x\"")];
    let who = Fault::Say(Answer::new("401 Unauthorized", &challenge, ""));
    let file = host.home().join(".config/containers/auth.json");
    let (right, wrong) = (json!({"auth": "YTpyaWdodA=="}), json!({"auth": "YTp3cm9uZw=="}));
    for kept in [
        json!({"localhost:5001/b/c/a": right, "localhost:5001/b/c": wrong}),
        json!({"localhost:5001/b/c": right, "localhost:5001/b": wrong}),
        json!({"localhost:5001/b": right, "localhost:5001": wrong}),
        json!({"localhost:5001": right, "localhost:5001/b/d": wrong, "localhost": wrong}),
    ] {
        bed.front.forget();
        bed.front.always("/manifests/", who.clone());
        keep(host, &file, &json!({"auths": kept}));
        bed.pull("b/c/a:1").assert_refused(1, &["denied"]);
        let last = bed.front.seen().pop().unwrap();
        assert_eq!(last.header("authorization"), Some("Basic YTpyaWdodA=="), "{kept}");
    }
}

/// Docker keeps it under an URL that nobody asks any more, podman under the registry's own name.
fn a_login_at_docker_hub(host: &Host) {
    host.images();
    host.name("127.0.0.1", &["registry-1.docker.io"]);
    let authority = Authority::new(host, "authority");
    let certificate = authority.sign(&["registry-1.docker.io"]);
    let certificate = Some(&certificate);
    let setup = Setup { port: 443, certificate, login: true, ..Setup::default() };
    let registry = Registry::start(host, &setup);
    let maker = Maker::new(host);
    put(&registry, &maker, "library/a:latest", &maker.of_random(&[1000]).manifest);
    let pull = || {
        let mut pull = tool(host, &["pull", "a"]);
        Outcome::of(pull.env("SSL_CERT_FILE", authority.certificate()))
    };
    pull().assert_refused(1, &["denied", "skopeo login docker.io, or docker login docker.io"]);
    let file = host.home().join(".docker/config.json");
    for key in ["https://index.docker.io/v1/", "docker.io", "docker.io/library"] {
        keep(host, &file, &auths(key, BASIC));
        pull().text();
    }
    keep(host, &file, &auths("quay.io", BASIC));
    pull().assert_refused(1, &["denied"]);
}

fn what_skopeo_has_kept_is_used(host: &Host) {
    let registry = registry_with_login(host);
    let runtime = host.dir("runtime");
    let mut skopeo = host.command("/usr/bin/skopeo");
    skopeo.args(["login", "--tls-verify=false", "-u", "ada", "-p", "rosebud"]);
    skopeo.arg(registry.address()).env("XDG_RUNTIME_DIR", &runtime);
    host.own("/run/containers");
    assert_eq!(Outcome::of(&mut skopeo).text(), "Login Succeeded!\n");
    Outcome::of(pulling(host).env("XDG_RUNTIME_DIR", &runtime)).text();
}

/// docker-credential-helpers: a program that is told a registry and answers in JSON.
fn a_helper_is_asked(host: &Host) {
    let _registry = registry_with_login(host);
    let programs = host.dir("programs");
    let helper = |script: &str| {
        let path = programs.join("docker-credential-vault");
        fs::write(&path, format!("#!/bin/sh\nread server\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut pull = pulling(host);
        let path = format!("{}:/usr/bin:/bin", programs.display());
        Outcome::of(pull.env("PATH", path))
    };
    let answer = r#"[ "$1 $server" = "get localhost:5003" ] || exit 1
        echo '{"ServerURL": "", "Username": "ada", "Secret": "rosebud"}'"#;
    let file = host.home().join(".docker/config.json");
    for kept in [
        json!({"credHelpers": {"localhost:5003": "vault"}}),
        json!({"auths": {"localhost:5003": {}}, "credsStore": "vault"}),
    ] {
        keep(host, &file, &kept);
        helper(answer).text();
        // It keeps nothing for this one.
        let none = helper("echo 'credentials not found in native keychain'; exit 1");
        none.assert_refused(1, &["denied", HOW]);
        let broken = helper("echo rosebud; echo rosebud >&2; exit 1");
        assert_eq!(broken.code(), 1);
        assert!(broken.stderr.contains("docker-credential-vault has failed"), "{broken:?}");
        assert!(!broken.stderr.contains("rosebud"), "{broken:?}");
    }
}

fn a_login_that_cannot_be_read(host: &Host) {
    let bed = Bed::new(host);
    bed.random("a:1", &[1000]);
    let file = host.home().join(".docker/config.json");
    for kept in [json!([]), json!({"auths": {"localhost:5001": {"auth": "%%%"}}})] {
        keep(host, &file, &kept);
        // An image for everybody is pulled all the same.
        let outcome = bed.pull("a:1");
        assert_eq!(outcome.code(), 0);
        let note = "Note: the login that is kept for localhost:5001 is not used: cannot read it in";
        assert!(outcome.stderr.starts_with(note), "{outcome:?}");
    }
}

fn a_password_goes_nowhere_without_tls(host: &Host) {
    let bed = Bed::new(host);
    bed.random("a:1", &[1000]);
    host.name("127.0.0.1", &["registry.example"]);
    let file = host.home().join(".docker/config.json");
    let mut kept = auths("registry.example:5001", BASIC);
    kept["auths"]["localhost:5001"] = json!({"auth": BASIC.trim_start_matches("Basic ")});
    keep(host, &file, &kept);
    let challenge = [("WWW-Authenticate", "Basic realm=\"x\"")];
    let who = || Fault::Say(Answer::new("401 Unauthorized", &challenge, ""));
    bed.front.always("/manifests/", who());
    let elsewhere = ["pull", "--plain-http", "registry.example:5001/a:1"];
    let outcome = Outcome::of(&mut tool(host, &elsewhere));
    outcome.assert_refused(1, &["denied"]);
    assert!(outcome.stderr.contains("registry.example:5001 is not used: without TLS"));
    let shown = || -> Vec<_> {
        let seen = bed.front.seen();
        seen.iter().filter_map(|it| it.header("authorization").map(str::to_owned)).collect()
    };
    assert!(shown().is_empty());
    // Nor where nobody has asked for it.
    bed.front.forget();
    bed.pull("a:1").text();
    assert!(shown().is_empty());
    // On this machine nobody listens.
    bed.front.always("/manifests/", who());
    bed.pull("a:1").assert_refused(1, &["denied"]);
    assert_eq!(shown(), [BASIC]);
    // A token service elsewhere does not get it either.
    bed.front.forget();
    bed.front.guard(Guard::new("registry.example:5001", Who::Password));
    bed.pull("a:1").assert_refused(1, &["the password sent to", "can read it"]);
    assert!(shown().is_empty() && bed.front.seen_of("/token").is_empty());
}

fn guard(bed: &Bed, who: Who) {
    bed.front.guard(Guard::new(&bed.front.address(), who));
}

fn a_token_for_everybody(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("b/a:1", &[1000, 2000, 3000, 4000, 5000]);
    guard(&bed, Who::Anybody);
    bed.pull("b/a:1").text();
    bed.assert_whole("b/a", "1", &made);
    // One for all: first the refusal, then the token, then it is shown at once.
    assert_eq!(bed.front.seen_of("/token").len(), 1);
    assert_eq!(bed.front.seen().len(), 2 + 1 + 6);
}

fn a_token_with_a_login(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[1000]);
    let file = host.home().join(".docker/config.json");
    let identity = json!({"auths": {"localhost:5001": {"auth": "", "identitytoken": IDENTITY}}});
    let wrong = json!({"auths": {"localhost:5001": {"identitytoken": "another"}}});
    for (who, kept, wrong) in [
        (Who::Password, auths("localhost:5001", BASIC), auths("localhost:5001", "YWRhOndyb25n")),
        (Who::Identity, identity, wrong),
    ] {
        bed.front.forget();
        let _ = fs::remove_file(&file);
        guard(&bed, who);
        let outcome = bed.pull("a:1");
        outcome.assert_refused(1, &["denied: \"who are you?\"", "skopeo login localhost:5001"]);
        keep(host, &file, &wrong);
        let outcome = bed.pull("a:1");
        outcome.assert_refused(1, &["denied: \"who are you?\" (the login that is kept is wrong"]);
        keep(host, &file, &kept);
        bed.pull("a:1").text();
        bed.assert_whole("a", "1", &made);
        // The registry itself sees neither.
        let of_registry = bed.front.seen_of("/v2/");
        let shown = of_registry.iter().filter_map(|it| it.header("authorization"));
        assert!(shown.clone().count() > 0 && shown.clone().all(|it| it.starts_with("Bearer ")));
    }
}

fn a_token_that_has_expired(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[2000; 8]);
    guard(&bed, Who::Anybody);
    for layer in 0..4 {
        bed.front.once(&made.layer(layer), Fault::Hold(1000));
    }
    let pull = start(&mut bed.pulling("a:1"));
    // As many as are fetched at the same time.
    bed.front.wait_until_held(4);
    bed.front.expire();
    bed.front.release();
    end(pull).text();
    bed.assert_whole("a", "1", &made);
    assert_eq!(bed.front.seen_of("/token").len(), 2, "one of those who need it asks for a new one");
    // One that is good for nothing is not asked for again and again.
    bed.front.forget();
    let mut vain = Guard::new(&bed.front.address(), Who::Anybody);
    vain.is_vain = true;
    bed.front.guard(vain);
    bed.pull("a:1").assert_refused(1, &["denied", "authentication required"]);
    assert!(bed.front.seen_of("/token").len() <= 2);
}

fn a_token_service_that_lies(host: &Host) {
    let bed = Bed::new(host);
    bed.random("a:1", &[1000]);
    let ok = |body: &str| Fault::Say(Answer::new("200 OK", &[], body));
    let place = "cannot get a token from \"http://localhost:5001/token\": ";
    for (fault, words) in [
        (ok("{}"), "its answer has no token"),
        (ok("a-secret"), "its answer has no token"),
        (ok(r#"{"token": "a-secret\r\nX-Header: y"}"#), "its token has other characters"),
        (ok(r#"{"token": ""}"#), ""),
        (Fault::Endless("HTTP/1.1 200 OK\r\n\r\n{\"token\":\"", "x"), "is longer than"),
        (Fault::Cut(5), ""),
    ] {
        bed.front.forget();
        guard(&bed, Who::Anybody);
        bed.front.always("/token", fault);
        let outcome = bed.pull("a:1");
        outcome.assert_refused(1, &[place, words]);
        assert!(!outcome.stderr.contains("a-secret"), "{outcome:?}");
    }
    // Nobody is there; another scheme; no place at all.
    for (realm, words) in [
        ("http://localhost:1/token", "ECONNREFUSED: "),
        ("file:///etc/passwd", "cannot pull localhost:5001/a:1: "),
        ("", "cannot pull localhost:5001/a:1: "),
    ] {
        bed.front.forget();
        let mut guard = Guard::new("", Who::Anybody);
        guard.realm = realm.to_owned();
        bed.front.guard(guard);
        bed.pull("a:1").assert_refused(1, &[words]);
    }
}

/// As in the cloud: the registry knows who may have a blob, and another server has it.
fn blobs_that_lie_elsewhere(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[2 * MB]);
    let elsewhere = Front::before(&bed.registry, 5004);
    let path = made.layer(0);
    let location = format!("http://localhost:5004/v2/a{path}?signature=x%2By");
    let there = [("Location", &*location)];
    guard(&bed, Who::Anybody);
    let moved = Answer::new("307 Temporary Redirect", &there, "");
    bed.front.always(&path, Fault::Say(moved));
    elsewhere.once(&path, Fault::Cut(MB));
    bed.pull("a:1").text();
    bed.assert_whole("a", "1", &made);
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|it| it.header("authorization").is_none()), "{seen:?}");
    assert_eq!(seen[1].header("range"), Some("bytes=1000000-"));
    // It is the registry that is asked again: such an URL is not good for long.
    let of_registry = bed.front.seen_of(&path);
    let with_token = of_registry.iter().filter(|it| it.header("authorization").is_some()).count();
    assert_eq!(with_token, 2);
}
