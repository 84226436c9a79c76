//! A registry that sends what it should not is not believed, and has no power over this machine.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;
use testbed::{Host, Outcome, Suite};

use crate::bed::{Bed, Made, text};
use crate::front::Fault;
use crate::http::Answer;
use crate::image::{INDEX, MANIFEST};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_changed_blob_is_refused", a_changed_blob_is_refused)
        .both("what_was_kept_and_is_damaged_is_fetched_anew", what_was_kept_and_is_damaged)
        .both("a_blob_of_another_length_is_refused", a_blob_of_another_length)
        .both("a_changed_manifest_is_refused", a_changed_manifest_is_refused)
        .both("a_manifest_that_is_none_is_refused", a_manifest_that_is_none)
        .both("what_has_no_end_is_cut_off", what_has_no_end_is_cut_off)
        .both("what_the_registry_says_is_told", what_the_registry_says_is_told)
        .both("too_many_requests_say_when", too_many_requests_say_when)
        .both("a_moment_that_does_not_pass_is_an_error", a_moment_that_does_not_pass)
        .long()
}

/// Of an image that could not be pulled, nothing is here that could be taken for it.
#[track_caller]
fn assert_nothing_named(bed: &Bed, repository: &str) {
    let index = fs::read_to_string(bed.pulled(repository).join("index.json")).unwrap_or_default();
    assert!(!index.contains("ref.name"), "{index}");
}

/// Requires that an image is refused, and that it can be had afterwards.
#[track_caller]
fn assert_refused_once(bed: &Bed, name: &str, made: &Made, words: &[&str]) {
    let place = [&*format!("cannot pull localhost:5001/{name}:1: ")];
    bed.pull(&format!("{name}:1")).assert_refused(1, &[&place, words].concat());
    assert_nothing_named(bed, name);
    bed.front.forget();
    bed.pull(&format!("{name}:1")).text();
    bed.assert_whole(name, "1", made);
}

fn a_changed_blob_is_refused(host: &Host) {
    let bed = Bed::new(host);
    for (name, place) in [("begin", 3), ("end", 999_999)] {
        let made = bed.random(&format!("{name}:1"), &[1_000_000, 1000]);
        bed.front.always(&made.layer(0), Fault::Flip(place));
        let digest = text(&made.layers[0]["digest"]);
        let words = ["what came for ", digest, "has the digest sha256:", "changed on the way"];
        assert_refused_once(&bed, name, &made, &words);
    }
    let made = bed.random("config:1", &[1000]);
    let path = format!("/blobs/{}", text(&made.config["digest"]));
    bed.front.always(&path, Fault::Flip(20));
    assert_refused_once(&bed, "config", &made, &["changed on the way"]);
}

/// By a crash of the machine, say, or by somebody else.
fn what_was_kept_and_is_damaged(host: &Host) {
    let bed = Bed::new(host);
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("changed", |kept| kept[1000] ^= 1),
        ("zeros", |kept| kept.fill(0)),
        ("whole", |kept| kept.resize(2_000_000, 7)),
        ("longer", |kept| kept.resize(2_000_001, 7)),
    ];
    for (name, damage) in damages {
        let made = bed.random(&format!("{name}:1"), &[2_000_000]);
        bed.front.once(&made.layer(0), Fault::Cut(1_000_000));
        bed.front.once(&made.layer(0), Fault::Say(Answer::new("404 Not Found", &[], "")));
        bed.pull(&format!("{name}:1")).assert_refused(1, &["there is no such blob"]);
        let partial = bed.partial(name, &made, 0);
        let mut kept = fs::read(&partial).unwrap();
        assert_eq!(kept.len(), 1_000_000);
        damage(&mut kept);
        fs::write(&partial, kept).unwrap();
        bed.pull(&format!("{name}:1")).text();
        bed.assert_whole(name, "1", &made);
    }
}

fn a_blob_of_another_length(host: &Host) {
    let bed = Bed::new(host);
    let shorter: fn(&mut Vec<u8>) = |body| body.truncate(500_000);
    let longer: fn(&mut Vec<u8>) = |body| body.resize(60_000_000, 7);
    // Each time, or there would be the rest the next time.
    let made = bed.random("shorter:1", &[1_000_000]);
    bed.front.once(&made.layer(0), Fault::Change(shorter));
    bed.front.always(&made.layer(0), Fault::Change(|body| body.clear()));
    assert_refused_once(&bed, "shorter", &made, &["it ends after 500000 bytes"]);
    let made = bed.random("longer:1", &[1_000_000]);
    bed.front.always(&made.layer(0), Fault::Change(longer));
    assert_refused_once(&bed, "longer", &made, &["more comes than the manifest says"]);
    let made = bed.random("endless:1", &[1_000_000]);
    bed.front.always(&made.layer(0), Fault::Endless("HTTP/1.1 200 OK\r\n\r\n", "x"));
    assert_refused_once(&bed, "endless", &made, &["more comes than the manifest says"]);
}

fn a_changed_manifest_is_refused(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[1000]);
    let digest = made.digest();
    // By its digest.
    let by_digest = format!("a@{digest}");
    bed.front.always("/manifests/", Fault::Change(|body| body.push(b' ')));
    let words = ["what came has the digest sha256:", "and not ", digest];
    bed.pull(&by_digest).assert_refused(1, &words);
    // By its tag, when the registry itself says another digest.
    bed.front.forget();
    let other = format!("sha256:{}", "0".repeat(64));
    bed.front.always("/manifests/", Fault::Header("Docker-Content-Digest", other));
    bed.pull("a:1").assert_refused(1, &[words[0], "and not sha256:000"]);
    assert_nothing_named(&bed, "a");
    // The manifest that an index has named.
    bed.front.forget();
    let mut manifest = made.manifest.clone();
    manifest["size"] = json!(7);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
    let said = Answer::new("200 OK", &[("Content-Type", INDEX)], index.to_string());
    bed.front.always("/manifests/1", Fault::Say(said));
    bed.pull("a:1").assert_refused(1, &["its index says 7"]);
    assert_nothing_named(&bed, "a");
}

fn a_manifest_that_is_none(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[1000]);
    let schema_1 = json!({"schemaVersion": 1, "name": "a", "tag": "1", "fsLayers": []});
    let type_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let both = json!({"schemaVersion": 2, "manifests": [], "layers": [], "config": made.config});
    let huge = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": made.layers, "config":
        {"mediaType": "application/json", "digest": made.digest(), "size": u64::MAX}});
    let outside = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": made.config,
        "layers": [{"mediaType": "x", "digest": "sha256:../../../../tmp/x", "size": 1}]});
    let nested = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    for (content_type, content, words) in [
        (type_1, schema_1.to_string(), "of the first format"),
        (MANIFEST, both.to_string(), "is an index, too"),
        (MANIFEST, huge.to_string(), "its configuration has 18446744073709551615 bytes"),
        (MANIFEST, outside.to_string(), "cannot understand its manifest"),
        (INDEX, nested.to_string(), "cannot pull localhost:5001/a:1: "),
        ("text/html", "<html>Log in to this network!</html>".to_owned(), "cannot understand"),
        (MANIFEST, String::new(), "cannot understand its manifest"),
        (MANIFEST, "[".repeat(100_000), "cannot understand its manifest"),
        ("application/vnd.oci.empty.v1+json", "{}".to_owned(), "it is no image"),
    ] {
        bed.front.forget();
        let said = Answer::new("200 OK", &[("Content-Type", content_type)], content);
        bed.front.always("/manifests/1", Fault::Say(said));
        bed.pull("a:1").assert_refused(1, &[words]);
        assert_nothing_named(&bed, "a");
    }
    assert!(!host.images().join("localhost:5001").exists());
}

fn what_has_no_end_is_cut_off(host: &Host) {
    let bed = Bed::new(host);
    bed.random("a:1", &[1000]);
    let manifest = "HTTP/1.1 200 OK\r\nContent-Type: \
        application/vnd.oci.image.manifest.v1+json\r\n\r\n{\"schemaVersion\":2,\"x\":\"";
    for (start, again, words) in [
        (manifest, "x", "its answer is longer than"),
        ("HTTP/1.1 404 Not Found\r\n\r\n{\"errors\":[{\"code\":\"", "x", "there is no such image"),
        ("HTTP/1.1 200 OK\r\n", "X-Header: and another one\r\n", "cannot reach localhost:5001: "),
        ("HTTP/1.1 200 OK\r\nX-Header: ", "x", "cannot reach localhost:5001: "),
        ("HTTP/1.1 200 ", "x", "cannot reach localhost:5001: "),
        ("", "x", "cannot reach localhost:5001: "),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "cannot reach localhost:5001: "),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "8\r\nxxxxxxxx\r\n",
            "its answer is longer than",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "f", "a:1: "),
    ] {
        bed.front.forget();
        bed.front.always("/manifests/1", Fault::Endless(start, again));
        let mut pull = bed.pulling("a:1");
        // What has no room grows into the limit.
        testbed::elsewhere::limit_memory(&mut pull);
        Outcome::of(&mut pull).assert_refused(1, &[words]);
    }
}

fn what_the_registry_says_is_told(host: &Host) {
    let bed = Bed::new(host);
    let error =
        |message: &str| json!({"errors": [{"code": "NOPE", "message": message}]}).to_string();
    let login = "skopeo login localhost:5001, or docker login localhost:5001";
    for (status, body, words) in [
        ("404 Not Found", String::new(), ["there is no such image", ""]),
        ("404 Not Found", error("go away"), ["there is no such image: \"go away\"", ""]),
        ("403 Forbidden", error("not you"), ["denied: \"not you\" (there is no such image", login]),
        ("400 Bad Request", error("\u{1b}[2J\nError: x"), ["400", "\\u{1b}[2J\\nError"]),
        ("400 Bad Request", error(&"long ".repeat(10_000)), ["400", "long long"]),
        ("410 Gone", "<html>".repeat(1000), ["it answers 410 Gone", ""]),
        ("304 Not Modified", String::new(), ["it answers 304", ""]),
        ("204 No Content", String::new(), ["it answers 204", ""]),
    ] {
        bed.front.forget();
        bed.front.always("/manifests/1", Fault::Say(Answer::new(status, &[], body)));
        let outcome = bed.pull("a:1");
        outcome.assert_refused(1, &words);
        assert!(outcome.stderr.len() < 500, "{} bytes", outcome.stderr.len());
        assert_eq!(bed.front.seen().len(), 1, "{status} is final");
    }
    // Also what a registry says that is another one's.
    bed.front.forget();
    let nowhere = Answer::new("302 Found", &[("Location", "/v2/a/manifests/1")], "");
    bed.front.always("/manifests/1", Fault::Say(nowhere));
    bed.pull("a:1").assert_refused(1, &["it sends us from place to place"]);
    assert!(bed.front.seen().len() < 20);
}

fn too_many_requests_say_when(host: &Host) {
    let bed = Bed::new(host);
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2 * 3600 + 60));
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": "too much"}]}).to_string();
    for (headers, words) in [
        (vec![("Retry-After", "90")], "(try again in 90 seconds; with a login it is more: "),
        (vec![("Retry-After", &*date)], "(try again in 3 hours; "),
        (vec![("RateLimit-Limit", "100;w=21600")], "it takes 100 in 6 hours: try again later"),
        (vec![("Retry-After", "soon")], "it does not say until when"),
        (vec![], "it does not say until when: try again later; with a login it is more: skopeo"),
    ] {
        bed.front.forget();
        let answer = Answer::new("429 Too Many Requests", &headers, &*body);
        bed.front.always("/manifests/1", Fault::Say(answer));
        bed.pull("a:1").assert_refused(1, &["too many requests: \"too much\"", words]);
        assert_eq!(bed.front.seen().len(), 1, "it is not asked again");
    }
    // In the middle: what has come stays.
    let made = bed.random("b:1", &[2_000_000]);
    bed.front.forget();
    bed.front.once(&made.layer(0), Fault::Cut(1_000_000));
    let answer = Answer::new("429 Too Many Requests", &[("Retry-After", "7")], "");
    bed.front.once(&made.layer(0), Fault::Say(answer));
    bed.pull("b:1").assert_refused(1, &["too many requests (try again in 7 seconds"]);
    bed.pull("b:1").text();
    let range = bed.front.seen_of(&made.layer(0)).pop().unwrap();
    assert_eq!(range.header("range"), Some("bytes=1000000-"));
    bed.assert_whole("b", "1", &made);
}

fn a_moment_that_does_not_pass(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[1_000_000]);
    let busy = Answer::new("503 Service Unavailable", &[], "busy");
    bed.front.always("/manifests/1", Fault::Say(busy));
    bed.pull("a:1").assert_refused(1, &["it answers 503 Service Unavailable"]);
    assert_eq!(bed.front.seen().len(), 5);
    bed.front.forget();
    bed.front.once(&made.layer(0), Fault::Cut(1000));
    bed.front.always(&made.layer(0), Fault::Cut(0));
    let words = ["cannot fetch sha256:", "(1000000 bytes): the connection ends too early"];
    bed.pull("a:1").assert_refused(1, &words);
    assert_eq!(bed.front.seen_of(&made.layer(0)).len(), 5);
    assert!(bed.partial("a", &made, 0).exists());
}
