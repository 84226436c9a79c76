//! The tools of the course, behind one door: `cargo workshop`.
//!
//! | module | what it does |
//! |---|---|
//! | [`doctor`] | tells what of the course runs on this machine, and mends what it can |
//! | [`exercises`] | exercises that check themselves |
//! | [`trace`] | shows the system calls that make a container |
//! | [`xray`] | shows every container on the machine, and all about one process |
//! | [`bench`] | measures what a container costs |

pub mod bench;
mod child;
mod directories;
pub mod doctor;
pub mod exercises;
pub mod trace;
pub mod xray;
