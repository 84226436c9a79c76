//! The pod that is run when none is given.

/// Its manifest.
pub const MANIFEST: &str = include_str!("../pods/demo.yaml");

/// The container that the user's shell is started in.
pub const SHELL: &str = "shell";

/// What to try in it.
pub fn introduction(pause: nix::unistd::Pid) -> String {
    format!(
        "\
A pod runs: a web server in the container `web`, and you, in the container `shell`. Try here:

    ps                        all processes of the pod; number 1 is pause
    wget -qO- localhost       the web server: you share the loopback device
    ls /proc/1/root/          the root directory of pause is empty
    hostname                  shared too; `touch /here` is not: each has its own root

and in a second terminal:

    curl http://localhost:8080/
    v8-pause exec {pause} -c web

`exit` ends the pod.

"
    )
}
