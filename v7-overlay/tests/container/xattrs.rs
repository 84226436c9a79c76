//! The extended attributes of a file.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Names and values, sorted.
pub fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut names = vec![0_u8; 4096];
    // SAFETY: the path ends in a zero byte, and the buffer has the length that is said.
    let length = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(usize::try_from(length).unwrap());
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let c_name = CString::new(name).unwrap();
        let mut value = vec![0_u8; 4096];
        // SAFETY: both names end in a zero byte, and the buffer has the length that is said.
        let length = unsafe {
            let value = value.as_mut_ptr().cast();
            libc::lgetxattr(path.as_ptr(), c_name.as_ptr(), value, 4096)
        };
        value.truncate(usize::try_from(length).unwrap());
        found.push((String::from_utf8(name.to_vec()).unwrap(), value));
    }
    found.sort_unstable();
    found
}
