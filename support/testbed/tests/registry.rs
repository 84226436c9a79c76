//! The registry of the tests is a real one, and goes with the test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the line that did it")]

use std::process::ExitCode;

use testbed::registry::{Authority, Registry, Setup, small_image};
use testbed::{Host, Outcome, Suite};

fn main() -> ExitCode {
    Suite::of_no_stage()
        .both("it_has_what_it_was_given", it_has_what_it_was_given)
        .both("it_asks_who_one_is", it_asks_who_one_is)
        .both("who_trusts_the_authority_trusts_it", who_trusts_the_authority_trusts_it)
        .both("it_sends_elsewhere_for_blobs", it_sends_elsewhere_for_blobs)
        .both("it_has_the_files_of_another", it_has_the_files_of_another)
        .run()
}

/// The status of an answer, and what it says.
fn curl(host: &Host, arguments: &[&str]) -> (String, String) {
    let mut curl = host.command("/usr/bin/curl");
    if curl.output().is_err() {
        host.skip("no curl on this machine");
    }
    let outcome = Outcome::of(curl.args(["-s", "-w", "\n%{http_code}"]).args(arguments));
    let text = String::from_utf8(outcome.stdout).unwrap();
    let (text, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), text.to_owned())
}

fn it_has_what_it_was_given(host: &Host) {
    let registry = Registry::plain(host, 5000);
    registry.put(&small_image(host, "small"), "a/small:1.2");
    let (status, text) = curl(host, &["http://localhost:5000/v2/a/small/tags/list"]);
    assert_eq!((&*status, &*text), ("200", "{\"name\":\"a/small\",\"tags\":[\"1.2\"]}\n"));
    assert!(registry.log().contains("GET /v2/a/small/tags/list"), "{}", registry.log());
}

fn it_asks_who_one_is(host: &Host) {
    let registry = Registry::start(host, &Setup { port: 5001, login: true, ..Setup::default() });
    registry.put(&small_image(host, "small"), "small:latest");
    let url = "http://localhost:5001/v2/small/tags/list";
    let status = |user| curl(host, &["-u", user, url]).0;
    assert_eq!((&*status("ada:rosebud"), &*status("ada:wrong")), ("200", "401"));
}

fn who_trusts_the_authority_trusts_it(host: &Host) {
    let authority = Authority::new(host, "authority");
    let certificate = authority.sign(&["localhost", "127.0.0.1"]);
    let certificate = Some(&certificate);
    let _registry = Registry::start(host, &Setup { port: 443, certificate, ..Setup::default() });
    let known = authority.certificate();
    let known = known.to_str().unwrap();
    for url in ["https://localhost/v2/", "https://127.0.0.1/v2/"] {
        assert_eq!(curl(host, &["--cacert", known, url]).0, "200");
        assert_eq!(curl(host, &[url]).0, "000");
    }
    assert_eq!(curl(host, &["--cacert", known, "https://127.0.0.2/v2/"]).0, "000");
}

fn it_sends_elsewhere_for_blobs(host: &Host) {
    let redirect = Some("http://elsewhere.example/");
    let registry = Registry::start(host, &Setup { port: 5000, redirect, ..Setup::default() });
    let image = small_image(host, "small");
    registry.put(&image, "small:latest");
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let (_, manifest) =
        curl(host, &["-H", accept, "http://localhost:5000/v2/small/manifests/latest"]);
    let (_, digest) = manifest.split_once("\"digest\":\"").unwrap();
    let (digest, _) = digest.split_once('"').unwrap();
    let (status, headers) =
        curl(host, &["-i", &format!("http://localhost:5000/v2/small/blobs/{digest}")]);
    assert!(headers.contains("Location: http://elsewhere.example/"), "{headers}");
    assert_eq!(status, "307");
}

fn it_has_the_files_of_another(host: &Host) {
    let first = Registry::plain(host, 5000);
    first.put(&small_image(host, "small"), "small:latest");
    let files = Some(&first);
    let _second = Registry::start(host, &Setup { port: 5001, files, ..Setup::default() });
    assert_eq!(curl(host, &["http://localhost:5001/v2/small/tags/list"]).0, "200");
}
