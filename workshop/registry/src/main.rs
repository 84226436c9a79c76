//! `cargo workshop pull` and `cargo workshop images`.

fn main() {}
