//! By which signal a container is asked to end: its image says.

use nix::sys::signal::Signal;
use serde_json::json;
use testbed::{Host, Suite};

use crate::own_image;
use crate::pod::{Pod, manifest};

pub fn add(suite: Suite) -> Suite {
    suite.both("the_images_stop_signal", the_images_stop_signal)
}

/// As nginx, postgres and systemd have it: SIGTERM would end them too soon, or not at all.
fn the_images_stop_signal(host: &Host) {
    let images = [
        ("quit", Some("SIGQUIT"), 3),
        ("real-time", Some("SIGRTMIN+3"), 37),
        ("number", Some("10"), 10),
        ("none", None, 15),
        ("empty", Some(""), 15),
        ("wrong", Some("SIGN\u{202e}"), 15),
    ];
    let mut spec = "  terminationGracePeriodSeconds: 20\n  containers:\n".to_owned();
    for (name, signal, number) in images {
        own_image::make(host, name, &json!({"StopSignal": signal}));
        let others = [1, 2, 3, 10, 12, 15, 34, 37].iter().filter(|other| **other != number);
        let others =
            others.map(|other| format!("trap 'echo {other}' {other}; ")).collect::<String>();
        spec += &format!(
            "  - name: {name}\n    image: {name}:1\n    command:\n    - sh\n    - -c\n    - \
             \"{others}trap 'echo asked; exit 0' {number}; echo ready; while true; do sleep 0.05; \
             done\"\n"
        );
    }
    let path = manifest(host, &spec);
    let mut launcher = host.launcher();
    launcher.args(["run", "--net", "none", "--images", "/tmp/images"]).arg(path);
    let mut pod = Pod::follow(host, launcher.stderr(std::process::Stdio::piped()));
    images.iter().for_each(|_| assert!(pod.running.line().ends_with("ready")));
    pod.running.signal(Signal::SIGTERM);
    let mut said: Vec<_> = images.iter().map(|_| pod.running.line()).collect();
    said.sort_unstable();
    assert!(said.iter().all(|line| line.ends_with("| asked")), "{said:?}");
    assert_eq!(pod.running.code(), 0);
    let stderr = pod.running.supervisor.stderr.take().unwrap();
    let told = std::io::read_to_string(stderr).unwrap();
    let notes: Vec<_> = told.lines().filter(|line| line.contains("STOPSIGNAL")).collect();
    let has = r#"Note: wrong: its image has the STOPSIGNAL "SIGN\u{202e}", which is none: it gets"#;
    assert_eq!(notes, [format!("{has} SIGTERM")]);
}
