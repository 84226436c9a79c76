//! What an image asks for, beside a command, and what is told of it.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::pace::slowed;
use testbed::{Host, Suite};

use crate::archive::{Archive, gzip};
use crate::image::{LAYER, Layout, base, layout};

pub fn add(suite: Suite) -> Suite {
    suite
        .root("home_is_as_in_runc", home_is_as_in_runc)
        .both("home_of_root", home_of_root)
        .both("volumes_that_go_are_told", volumes_that_go_are_told)
        .both("a_layer_that_is_not_as_its_type_says", a_layer_that_is_not_as_its_type_says)
        .both("too_many_layers_are_refused_first", too_many_layers_are_refused_first)
        .both("thousands_of_variables", thousands_of_variables)
        .both("thousands_of_layers", thousands_of_layers)
}

/// An image with busybox, and what more there is to it.
fn image(host: &Host, more: Archive, config: &Value) -> Layout {
    let mut config = config.clone();
    config["Env"] = json!(["PATH=/bin"]);
    let place = host.dir(&format!("image{}", fs::read_dir("/tmp").unwrap().count()));
    layout(&place, &[base(host).finish(), more.finish()], &config)
}

const PASSWD: &str = "root:x:0:0::/root/own:/bin/sh\napp:x:100:101::/srv:/bin/sh\nbare:x:7:7\n";

/// runc gives who has no entry, or none with a directory, `/`: root too.
fn home_is_as_in_runc(host: &Host) {
    let image = image(host, Archive::new().file("etc/passwd", PASSWD), &json!({"User": "1234"}));
    let home = |user: &[&str]| {
        let arguments = ["--image", image.str(), "sh", "-c", "echo $HOME"];
        host.run([user, &arguments].concat()).text().to_owned()
    };
    assert_eq!(home(&[]), "/\n");
    assert_eq!(home(&["-u", "1234:5"]), "/\n");
    assert_eq!(home(&["-u", "100"]), "/srv\n");
    assert_eq!(home(&["-u", "bare"]), "/\n");
    assert_eq!(home(&["-u", "0"]), "/root/own\n");
    assert_eq!(home(&["-u", "1234", "-e", "HOME=/mine"]), "/mine\n");
}

fn home_of_root(host: &Host) {
    let of = |more: Archive, config: &Value| {
        let image = image(host, more, config);
        host.run(["--image", image.str(), "sh", "-c", "echo $HOME"]).text().to_owned()
    };
    let with_passwd = || Archive::new().file("etc/passwd", PASSWD);
    assert_eq!(of(with_passwd(), &json!({})), "/root/own\n");
    assert_eq!(of(with_passwd(), &json!({"User": ""})), "/root/own\n");
    assert_eq!(of(Archive::new(), &json!({})), "/\n");
    assert_eq!(of(Archive::new(), &json!({"User": "0"})), "/\n");
    assert_eq!(host.run(["sh", "-c", "echo $HOME"]).text(), "/root\n", "without an image");
}

/// A volume of Docker's would be left; what is written here is not.
fn volumes_that_go_are_told(host: &Host) {
    let volumes = json!({"/data": {}, "/srv/more": {}, "/data/\u{202e}": {}});
    let content = Archive::new().directory("data/").file("data/x", "of the image\n");
    let image = image(host, content, &json!({"Volumes": volumes}));
    let notes = |more: &[&str]| {
        let arguments = ["--image", image.str(), "cat", "/data/x"];
        let outcome = host.run([more, &arguments].concat());
        assert_eq!(outcome.code(), i32::from(more.contains(&"-v")), "{outcome:?}");
        let notes = outcome.stderr.lines().filter(|line| line.contains("goes with"));
        notes.map(str::to_owned).collect::<Vec<_>>()
    };
    let told = |what: &str, first: &str| {
        format!(
            "Note: what is written to {what} goes with the container, and the image wants it to \
             be kept (-v DIR:{first}, or --upper DIR)"
        )
    };
    let all = r#""/data", "/data/\u{202e}", "/srv/more""#;
    assert_eq!(notes(&[]), [told(all, "/data")]);
    let kept = host.dir("kept");
    let kept = kept.to_str().unwrap();
    let on = |target: &str| format!("{kept}:{target}");
    assert_eq!(
        notes(&["-v", &on("/data")]),
        [told(all.split_once(", ").unwrap().1, "/data/\\u{202e}")]
    );
    let on = [on("/data"), on("/srv/more"), on("/data/\u{202e}")];
    assert_eq!(notes(&["-v", &on[0], "-v", &on[1], "-v", &on[2]]), [""; 0]);
    let upper = host.dir("private").join("upper");
    assert_eq!(notes(&["--upper", upper.to_str().unwrap()]), [""; 0]);
}

/// What is told is words, not what the archive begins with.
fn a_layer_that_is_not_as_its_type_says(host: &Host) {
    let plain = base(host).finish();
    let zstd = |content: &[u8]| zstd::encode_all(content, 3).unwrap();
    for (suffix, content, words) in [
        ("", gzip(&plain), ["is compressed by gzip", "media type says a plain archive"]),
        ("", zstd(&plain), ["is compressed by zstd", "media type says a plain archive"]),
        ("+gzip", zstd(&plain), ["is compressed by zstd", "media type says compressed by gzip"]),
        ("+zstd", gzip(&plain), ["is compressed by gzip", "media type says compressed by zstd"]),
        ("+gzip", plain.clone(), ["cannot unpack the layer", "gzip"]),
        ("+zstd", plain.clone(), ["cannot unpack the layer", "rame"]),
    ] {
        let layout = Layout::new(host.dir("image"));
        let config = layout.config(std::slice::from_ref(&plain), &json!({}));
        let blob = layout.blob(&format!("{LAYER}{suffix}"), &content);
        let name = blob["digest"].as_str().unwrap().to_owned();
        let manifest = layout.manifest(&config, &[blob]);
        layout.index(&[manifest]);
        let outcome = host.run(["--image", layout.str(), "true"]);
        outcome.assert_refused(125, &[&name, words[0], words[1]]);
        assert!(
            outcome.complaints().concat().chars().all(|it| (' '..='~').contains(&it)),
            "{outcome:?}"
        );
        fs::remove_dir_all(&layout.path).unwrap();
    }
}

/// Nothing of them is unpacked. The same layer again is none more.
fn too_many_layers_are_refused_first(host: &Host) {
    let own = |number: usize| Archive::new().file(&format!("f{number}"), "").finish();
    let layout = Layout::new(host.dir("image"));
    let refused = |layers: Vec<Vec<u8>>| {
        layout.index(&[layout.image(&layers, &json!({}))]);
        let outcome = host.run(["--image", layout.str(), "true"]);
        outcome.assert_refused(125, &["501 layers are too many: overlayfs takes 500"]);
        assert!(!host.cache().join("layers").exists(), "{outcome:?}");
    };
    refused((0..501).map(own).collect());
    refused((0..501).chain(0..501).map(own).collect());
    let empty = Archive::new().finish();
    let mut layers = vec![base(host).finish()];
    layers.extend(vec![empty; 600]);
    layout.index(&[layout.image(&layers, &json!({"Env": ["PATH=/bin"]}))]);
    assert_eq!(host.run(["--image", layout.str(), "echo", "x"]).text(), "x\n");
}

/// Each is looked at a few times, and not once for each of the others.
fn thousands_of_variables(host: &Host) {
    let image = |count: usize, name: &str| {
        let mut env = vec!["PATH=/bin".to_owned()];
        env.extend((0..count).map(|number| format!("V{number}=x")));
        layout(&host.dir(name), &[base(host).finish()], &json!({"Env": env}))
    };
    let took = |image: &Layout| {
        host.run(["--image", image.str(), "echo", "warm"]).text();
        let start = Instant::now();
        assert_eq!(host.run(["--image", image.str(), "echo", "x"]).text(), "x\n");
        start.elapsed()
    };
    let (few, many) = (took(&image(5_000, "few")), took(&image(80_000, "many")));
    assert!(many < few * 40 + slowed(Duration::from_millis(500)), "{few:?}, {many:?}");
    assert!(many < slowed(Duration::from_secs(10)), "{many:?}");
}

fn thousands_of_layers(host: &Host) {
    let layout = Layout::new(host.dir("image"));
    let layers = vec![Archive::new().finish(); 12_000];
    layout
        .index(&[layout
            .image(&[vec![base(host).finish()], layers].concat(), &json!({"Env": ["PATH=/bin"]}))]);
    let start = Instant::now();
    assert_eq!(host.run(["--image", layout.str(), "echo", "x"]).text(), "x\n");
    assert!(start.elapsed() < slowed(Duration::from_secs(10)), "{:?}", start.elapsed());
}
