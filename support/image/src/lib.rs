//! OCI images as data: found, read, checked, unpacked, kept.
//!
//! Whatever is in an image comes from a stranger. It has a limit, it is looked up without power,
//! and its checksums are compared before anybody uses it.
//!
//! | module | what it does |
//! |---|---|
//! | `image` | what an image is: index, manifest, configuration, layers |
//! | [`attributes`] | owner, mode, time, from one file to another |
//! | [`blobs`] | where the files of an image are: in a directory or in a tar archive |
//! | `damage` | what is wrong with an archive, in words |
//! | [`digest`] | a name that is a checksum, and the reader that checks it |
//! | [`cache`] | every layer unpacked once, complete or not at all |
//! | [`unpack`] | from a tar archive to a directory, whatever the archive tries |
//! | [`mod@reference`] | the name of an image, as one writes it |
//! | [`store`] | the directory of images: what was pulled |
//! | [`missing`] | what is not in it, and how it gets there |
//! | [`lower`] | what layers show at a path, as overlayfs finds it |
//! | [`temporary`] | a directory on disk that goes at the end |
//! | [`rights`] | what this process may give to files: owners, attributes |
//! | [`xattrs`] | the attributes in which overlayfs keeps its marks, with root and without |

pub mod attributes;
pub mod blobs;
pub mod cache;
mod damage;
pub mod digest;
mod image;
pub mod lower;
pub mod missing;
pub mod reference;
pub mod rights;
pub mod store;
mod system_calls;
pub mod temporary;
pub mod unpack;
pub mod xattrs;

pub use image::{
    Compression, ContainerConfig, Descriptor, Image, Index, Layer, Manifest, Platform,
};
pub use image::{MAX_DESCRIPTION, MAX_LAYERS, best, check_usable, is_path};
