//! What a command of `exec` finds as the container's first process does: user, groups, working
//! directory, environment.

use std::process::Command;

use serde_json::json;
use testbed::{Host, Suite};

use crate::own_image;
use crate::pod::{Pod, launcher};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("exec_begins_where_the_container_does", exec_begins_where_the_container_does)
        .both("the_hostname_is_in_the_environment", the_hostname_is_in_the_environment)
        .root("exec_has_the_images_user_and_groups", exec_has_the_images_user_and_groups)
        .user(
            "exec_has_the_images_user_and_groups_with_a_range",
            Host::with_subordinate_ids(exec_has_the_images_user_and_groups),
        )
}

/// Runs a container of an image, which says what it finds, with `more` in its part of the manifest.
/// Returns what it says, and what a command of `exec` says.
#[track_caller]
fn both_say(host: &Host, image: &str, more: &str, script: &str) -> [String; 2] {
    let spec = format!(
        "  terminationGracePeriodSeconds: 0\n  containers:\n  - name: a\n    image: {image}:1\n    \
         command: [sh, -c, '{script}; exec sleep 1000']\n{more}"
    );
    let mut pod = Pod::follow(host, with_images(&mut launcher(host, &spec)));
    let first = pod.running.line();
    let exec = pod.sh(script);
    pod.stop();
    [first.trim_start_matches("a | ").to_owned(), exec.trim_end().to_owned()]
}

fn with_images(launcher: &mut Command) -> &mut Command {
    launcher.args(["--images", "/tmp/images"])
}

fn exec_begins_where_the_container_does(host: &Host) {
    own_image::make(host, "dir", &json!({"WorkingDir": "/srv/app"}));
    own_image::make(host, "none", &json!({}));
    for (image, more, expected) in [
        ("dir", "", "/srv/app"),
        ("dir", "    workingDir: /var/lib/x\n", "/var/lib/x"),
        ("none", "    workingDir: bin\n", "/bin"),
        ("none", "", "/"),
    ] {
        assert_eq!(both_say(host, image, more, "pwd"), [expected; 2], "{image} {more}");
    }
}

/// The pod's own; who calls a variable so gets what he says.
fn the_hostname_is_in_the_environment(host: &Host) {
    own_image::make(host, "says", &json!({"Env": ["HOSTNAME=image"]}));
    own_image::make(host, "none", &json!({}));
    for (image, more, expected) in [
        ("none", "", "test"),
        ("none", "  hostname: other\n", "other"),
        ("says", "", "image"),
        ("says", "    env: [{name: HOSTNAME, value: manifest}]\n", "manifest"),
    ] {
        let said = both_say(host, image, more, "env | busybox grep ^HOSTNAME=");
        assert_eq!(said, [format!("HOSTNAME={expected}"), format!("HOSTNAME={expected}")]);
    }
}

fn exec_has_the_images_user_and_groups(host: &Host) {
    for (image, user, more, expected) in [
        ("app", "app", "", "100 101 101 29 /srv/app"),
        ("with-group", "app:audio", "", "100 29 29 /srv/app"),
        ("number", "4711", "", "4711 0 0 /"),
        ("manifest", "app", "    securityContext: {runAsUser: 4711}\n", "4711 0 0 /"),
        ("empty", "", "", "0 0 0 /root"),
    ] {
        own_image::make(host, image, &json!({"User": user}));
        let said = both_say(host, image, more, "echo $(id -u) $(id -g) $(id -G) $HOME");
        assert_eq!(said, [expected; 2], "{image}");
    }
}
