//! A small image, made as one makes it by hand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::host::Host;
use crate::running::Outcome;

/// One layer, and a shell as its command.
const SCRIPT: &str = r#"
mkdir -p root/etc root/tmp root/proc root/dev root/sys blobs/sha256
echo "$NAME" >root/etc/image
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C root -cf layer.tar .
digest() { set -- $(sha256sum "$1"); echo "$1"; }
blob() { hex=$(digest "$1"); size=$(stat -c %s "$1"); mv "$1" "blobs/sha256/$hex"; }
id=$(digest layer.tar)
gzip -n -1 layer.tar
blob layer.tar.gz
layer='{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",
  "digest":"sha256:'$hex'","size":'$size'}'
echo '{"architecture":"'"$MACHINE"'","os":"linux",
  "config":{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]},
  "rootfs":{"type":"layers","diff_ids":["sha256:'$id'"]}}' >config
blob config
echo '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
  "config":{"mediaType":"application/vnd.oci.image.config.v1+json",
  "digest":"sha256:'$hex'","size":'$size'},"layers":['"$layer"']}' >manifest
blob manifest
echo '{"schemaVersion":2,"manifests":[{
  "mediaType":"application/vnd.oci.image.manifest.v1+json",
  "digest":"sha256:'$hex'","size":'$size',
  "annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' >index.json
echo '{"imageLayoutVersion":"1.0.0"}' >oci-layout
rm -r root
"#;

/// Makes an image with busybox, in an OCI image layout at `/tmp/NAME`; its file `/etc/image` has
/// that name. Returns what skopeo calls it: `oci:/tmp/NAME:latest`.
#[track_caller]
pub fn small_image(host: &Host, name: &str) -> String {
    let directory = Path::new("/tmp").join(name);
    let programs = directory.join("root/bin");
    fs::create_dir_all(&programs).expect("make a directory of the test");
    host.own(&directory);
    fs::copy(host.busybox(), programs.join("busybox")).expect("copy busybox");
    let applets = Outcome::of(Command::new(host.busybox()).arg("--list"));
    for applet in applets.text().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", programs.join(applet)).expect("make a link");
    }
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut shell = Command::new("sh");
    shell.args(["-e", "-u", "-c", SCRIPT]).current_dir(&directory);
    Outcome::of(shell.env("NAME", name).env("MACHINE", machine)).text();
    format!("oci:{}:latest", directory.display())
}
