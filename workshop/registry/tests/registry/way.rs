//! How a registry is reached: TLS, Docker Hub, proxies.

use std::fs;
use std::path::Path;
use std::process::Command;

use testbed::registry::{Authority, Registry, Setup};
use testbed::{Host, Outcome, Suite};

use crate::bed::{Bed, Made, Maker, assert_whole, put, tool};
use crate::front::Front;
use crate::proxy::Proxy;

pub fn add(suite: Suite) -> Suite {
    suite
        .both("an_authority_has_to_be_known", an_authority_has_to_be_known)
        .both("with_tls_and_without_are_told_apart", with_tls_and_without)
        .both("docker_hub_is_where_a_name_leads", docker_hub_is_where_a_name_leads)
        .both("from_tls_one_is_not_sent_to_where_there_is_none", from_tls_to_none)
        .both("a_proxy_is_used_where_one_is_named", a_proxy_is_used)
        .both("a_proxy_that_does_not_work_is_told", a_proxy_that_does_not_work)
}

/// A registry with TLS, the image `a:1` in it, and who has signed.
struct Secure {
    authority: Authority,
    registry: Registry,
    made: Made,
}

impl Secure {
    fn start(host: &Host, port: u16, names: &[&str], redirect: Option<&str>) -> Secure {
        host.images();
        let authority = Authority::new(host, "authority");
        let certificate = authority.sign(names);
        let certificate = Some(&certificate);
        let setup = Setup { port, certificate, redirect, ..Setup::default() };
        let registry = Registry::start(host, &setup);
        let maker = Maker::new(host);
        let made = maker.of_random(&[100_000]);
        put(&registry, &maker, "a:1", &made.manifest);
        Secure { authority, registry, made }
    }

    /// A pull by somebody who trusts that authority.
    fn pulling(&self, host: &Host, image: &str) -> Command {
        let mut tool = tool(host, &["pull", image]);
        tool.env("SSL_CERT_FILE", self.authority.certificate());
        tool
    }
}

fn an_authority_has_to_be_known(host: &Host) {
    let secure = Secure::start(host, 5443, &["localhost", "registry.example"], None);
    host.name("127.0.0.1", &["registry.example", "other.example"]);
    let pull = || tool(host, &["pull", "localhost:5443/a:1"]);
    let unknown = [
        "cannot reach localhost:5443: TLS: ",
        "UnknownIssuer",
        "(who has signed its \
        certificate is not known here: SSL_CERT_FILE=FILE names an authority)",
    ];
    Outcome::of(&mut pull()).assert_refused(1, &unknown);
    Outcome::of(&mut secure.pulling(host, "localhost:5443/a:1")).text();
    assert_whole(&host.images().join("localhost:5443/a"), "1", &secure.made);
    Outcome::of(&mut secure.pulling(host, "registry.example:5443/a:1")).text();
    // It is not this one's certificate.
    let other = Outcome::of(&mut secure.pulling(host, "other.example:5443/a:1"));
    other.assert_refused(1, &["cannot reach other.example:5443: TLS: ", "not valid for name"]);
    // A directory of certificates, as openssl makes it.
    let directory = host.dir("certificates");
    fs::copy(secure.authority.certificate(), directory.join("ours.pem")).unwrap();
    Outcome::of(Command::new("openssl").arg("rehash").arg(&directory));
    Outcome::of(pull().env("SSL_CERT_DIR", &directory)).text();
    // Another authority of the same name, and a file that is not there.
    let stranger = Authority::new(host, "stranger");
    let outcome = Outcome::of(pull().env("SSL_CERT_FILE", stranger.certificate()));
    outcome.assert_refused(1, &unknown[..2]);
    let outcome = Outcome::of(pull().env("SSL_CERT_FILE", "/no/such/file"));
    assert!(outcome.stderr.contains("/no/such/file"), "{outcome:?}");
    outcome.assert_refused(1, &unknown[..2]);
}

fn with_tls_and_without(host: &Host) {
    let secure = Secure::start(host, 5443, &["localhost"], None);
    let plain = Registry::plain(host, 5000);
    let address = plain.address();
    let outcome = Outcome::of(&mut secure.pulling(host, &format!("{address}/a:1")));
    let advice = "(it does not speak TLS: --plain-http, if it is one of your own)";
    outcome.assert_refused(1, &["cannot reach localhost:5000: TLS: ", advice]);
    let address = secure.registry.address();
    let mut pull = tool(host, &["pull", "--plain-http", &format!("{address}/a:1")]);
    Outcome::of(&mut pull).assert_refused(1, &["it answers 400", "leave out --plain-http"]);
}

fn docker_hub_is_where_a_name_leads(host: &Host) {
    let secure = Secure::start(host, 443, &["registry-1.docker.io"], None);
    host.name("127.0.0.1", &["registry-1.docker.io"]);
    let maker = Maker::new(host);
    let made = maker.of_random(&[2000]);
    put(&secure.registry, &maker, "library/alpine:latest", &made.manifest);
    put(&secure.registry, &maker, "grafana/grafana:11", &made.manifest);
    for name in ["alpine", "alpine:latest", "library/alpine", "docker.io/alpine"] {
        let outcome = Outcome::of(&mut secure.pulling(host, name));
        assert!(outcome.text().starts_with("alpine:latest: 1 layer, "), "{outcome:?}");
        assert!(outcome.text().ends_with(" -- --image alpine:latest\n"), "{outcome:?}");
    }
    Outcome::of(&mut secure.pulling(host, "index.docker.io/grafana/grafana:11")).text();
    assert_whole(&host.images().join("alpine"), "latest", &made);
    assert_whole(&host.images().join("grafana/grafana"), "11", &made);
    let missing = Outcome::of(&mut secure.pulling(host, "alpine:3"));
    missing.assert_refused(1, &["cannot pull alpine:3: there is no such image"]);
}

fn from_tls_to_none(host: &Host) {
    let redirect = Some("http://localhost:5004/");
    let secure = Secure::start(host, 5443, &["localhost"], redirect);
    let elsewhere = Front::before(&secure.registry, 5004);
    let outcome = Outcome::of(&mut secure.pulling(host, "localhost:5443/a:1"));
    outcome.assert_refused(1, &["it sends us to \"http://localhost:5004/", "read and change all"]);
    assert!(elsewhere.seen().is_empty());
}

fn a_proxy_is_used(host: &Host) {
    let secure = Secure::start(host, 5443, &["registry.example", "localhost"], None);
    let plain = Registry::start(
        host,
        &Setup { port: 5000, files: Some(&secure.registry), ..Setup::default() },
    );
    let proxy = Proxy::start(3128);
    let mut expected = 0;
    // Nobody here knows the name: it is the proxy that does.
    let mut uses = |image: &str, variables: &[(&str, &str)], is_used: bool| {
        let mut pull = secure.pulling(host, image);
        if image.contains(":5000/") {
            pull.arg("--plain-http");
        }
        let outcome = Outcome::of(pull.envs(variables.iter().copied()));
        let seen = proxy.seen().len();
        assert_eq!(seen > expected, is_used, "{image} {variables:?}: {outcome:?}");
        expected = seen;
        let is_here = image.starts_with("localhost");
        assert_eq!(outcome.code() == 0, is_used || is_here, "{variables:?}: {outcome:?}");
    };
    let url = &*proxy.url();
    let secured = "registry.example:5443/a:1";
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        uses(secured, &[(name, url)], true);
    }
    uses(secured, &[("HTTPS_PROXY", url.trim_start_matches("http://"))], true);
    uses(secured, &[("HTTP_PROXY", url)], false);
    uses(secured, &[("HTTPS_PROXY", "")], false);
    let open = "registry.example:5000/a:1";
    for name in ["HTTP_PROXY", "http_proxy"] {
        uses(open, &[(name, url)], true);
    }
    uses(open, &[("HTTPS_PROXY", url)], false);
    // Hosts that need none.
    for (without, is_used) in [
        ("registry.example", false),
        (".example", false),
        ("example", false),
        ("*", false),
        ("a.example, registry.example ,b", false),
        ("registry.example:5443", false),
        ("registry.example:5000", true),
        ("istry.example", true),
        ("localhost", true),
        (",", true),
    ] {
        uses(secured, &[("HTTPS_PROXY", url), ("NO_PROXY", without)], is_used);
        uses(secured, &[("https_proxy", url), ("no_proxy", without)], is_used);
    }
    // This machine itself is never reached by a proxy.
    for image in ["localhost:5443/a:1", "localhost:5000/a:1"] {
        uses(image, &[("HTTPS_PROXY", url), ("HTTP_PROXY", url), ("ALL_PROXY", url)], false);
    }
    let connects = proxy.seen().into_iter().filter(|it| it.method == "CONNECT");
    assert!(connects.clone().all(|it| it.target.starts_with("registry.example:")));
    assert!(connects.count() > 0);
    // One that wants a password.
    let with_password = url.replace("//", "//ada:rosebud@");
    uses(secured, &[("HTTPS_PROXY", &with_password)], true);
    let last = proxy.seen().pop().unwrap();
    assert_eq!(last.header("proxy-authorization"), Some(crate::guard::BASIC), "{last:?}");
    drop(plain);
}

fn a_proxy_that_does_not_work(host: &Host) {
    let bed = Bed::new(host);
    bed.random("a:1", &[1000]);
    let pull = |proxy: &str| {
        let mut pull = tool(host, &["pull", "--timeout", "5", "registry.example/a:1"]);
        Outcome::of(pull.env("HTTPS_PROXY", proxy))
    };
    // The registry is none: it knows no CONNECT.
    let place = "cannot reach registry.example by the proxy ";
    let refused = pull("http://ada:rosebud@localhost:5000");
    refused.assert_refused(1, &[place, "localhost:5000: the proxy does not let us through"]);
    let nobody = pull("http://ada:rosebud@localhost:1");
    nobody.assert_refused(1, &[place, "localhost:1: ECONNREFUSED: ", "nobody listens there"]);
    let unknown = pull("http://ada:rosebud@no-such-proxy:1");
    unknown.assert_refused(1, &[place, "no-such-proxy:1: this name has no address here"]);
    pull("not a proxy").assert_refused(1, &["HTTPS_PROXY is no address of a proxy"]);
    for proxy in ["localhost:5000", "localhost:1", "no-such-proxy:1", "local host"] {
        let outcome = pull(&format!("http://ada:rosebud@{proxy}"));
        assert!(!outcome.stderr.contains("rosebud"), "{outcome:?}");
    }
    assert!(Path::new("/tmp/made").exists());
}
