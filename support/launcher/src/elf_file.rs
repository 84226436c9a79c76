//! What must be known of a program before it is trusted to run alone: its architecture, and whether
//! it needs a dynamic loader (elf(5)).
//!
//! The file may be a container's, made to deceive. So only the program headers are read, and no
//! more of them than the kernel would take; the crate's own stream reader believes every size.

use crate::bounded;
use elf::abi::{EI_NIDENT, ELFMAGIC, PT_INTERP};
use elf::endian::{AnyEndian, EndianParse, NativeEndian};
use elf::file::{Class, FileHeader, parse_ident};
use elf::segment::SegmentTable;
use nix::fcntl::ResolveFlag;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The most that execve(2) takes for the headers, and for the name of the loader (PATH_MAX).
const MAX_HEADERS: usize = 65536;
const MAX_NAME: usize = 4096;

/// So many bytes of a file are read at first: mostly all that there is to look at.
pub(crate) const START: usize = 1024;

/// An ELF file, opened.
pub struct ElfFile {
    file: File,
    start: Vec<u8>,
    header: FileHeader<AnyEndian>,
}

impl ElfFile {
    /// Reads the file header of `path`; `None` if it has none that makes sense.
    pub fn open(path: &Path) -> io::Result<Option<ElfFile>> {
        let file = bounded::open(path, ResolveFlag::empty())?;
        let start = read(&file, 0, START)?;
        let header = parse(&start);
        Ok(header.map(|header| ElfFile { file, start, header }))
    }

    /// Machine and word size: the same for two files if one machine runs both.
    pub fn architecture(&self) -> (u16, Class) {
        (self.header.e_machine, self.header.class)
    }

    /// The dynamic loader that it asks for; `None` if it is static.
    pub fn loader(&self) -> io::Result<Option<PathBuf>> {
        loader_of(&self.file, &self.start, &self.header)
    }
}

fn parse(start: &[u8]) -> Option<FileHeader<AnyEndian>> {
    let (ident, tail) = start.split_at_checked(EI_NIDENT)?;
    FileHeader::parse_tail(parse_ident(ident).ok()?, tail).ok()
}

/// The dynamic loaders that the kernel could start for a file that begins with `start`: it looks at
/// the first four bytes, and at the machine. What else the file says of itself, such as its word
/// size or version, it does not ask (fs/binfmt_elf.c). So here both word sizes are tried.
pub fn loaders(file: &File, start: &[u8]) -> io::Result<Vec<PathBuf>> {
    let Some(tail) = start.get(EI_NIDENT..).filter(|_| start.starts_with(&ELFMAGIC)) else {
        return Ok(Vec::new());
    };
    let mut loaders = Vec::new();
    for class in [Class::ELF64, Class::ELF32] {
        if let Ok(header) = FileHeader::parse_tail((NativeEndian, class, 0, 0), tail) {
            loaders.extend(loader_of(file, start, &header)?);
        }
    }
    Ok(loaders)
}

/// The first one (PT_INTERP); `None` also if the kernel would not believe what is said of its name.
fn loader_of<E: EndianParse>(
    file: &File,
    start: &[u8],
    header: &FileHeader<E>,
) -> io::Result<Option<PathBuf>> {
    let part = |offset: u64, size: usize| {
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        match start.get(first..first.saturating_add(size)) {
            Some(part) => Ok(part.to_vec()),
            None => read(file, offset, size),
        }
    };
    let size = usize::from(header.e_phnum) * usize::from(header.e_phentsize);
    let headers = part(header.e_phoff, size.min(MAX_HEADERS))?;
    let headers = SegmentTable::new(header.endianness, header.class, &headers);
    let Some(loader) = headers.iter().find(|segment| segment.p_type == PT_INTERP) else {
        return Ok(None);
    };
    let size = usize::try_from(loader.p_filesz).unwrap_or(usize::MAX);
    if size > MAX_NAME {
        return Ok(None);
    }
    let mut name = part(loader.p_offset, size)?;
    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
    Ok(Some(PathBuf::from(OsString::from_vec(name))))
}

/// Up to `size` bytes of the file, from `offset` on.
pub(crate) fn read(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    let length = file.read_at(&mut bytes, offset)?;
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::mkdtemp;

    fn open(path: &str) -> Option<ElfFile> {
        ElfFile::open(Path::new(path)).unwrap()
    }

    #[test]
    fn a_program_of_this_machine_asks_for_a_loader() {
        let own = open("/proc/self/exe").unwrap();
        let shell = open("/bin/sh").unwrap();
        assert_eq!(own.architecture(), shell.architecture());
        assert!(shell.loader().unwrap().is_some_and(|loader| loader.is_absolute()));
        assert!(open("/etc/passwd").is_none());
    }

    #[test]
    fn sizes_that_lie_are_not_believed() {
        let place = mkdtemp(&std::env::temp_dir().join("elf-that-lies-XXXXXX")).unwrap();
        let path = place.join("sh");
        let mut bytes = std::fs::read("/bin/sh").unwrap();
        let headers =
            usize::try_from(u64::from_ne_bytes(bytes[32..40].try_into().unwrap())).unwrap();
        for entry in bytes[headers..].chunks_mut(56).take(13) {
            // p_filesz of a 64-bit file
            entry[32..40].copy_from_slice(&(1_u64 << 40).to_ne_bytes());
        }
        std::fs::write(&path, &bytes).unwrap();
        let loader = open(path.to_str().unwrap()).unwrap().loader().unwrap();
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(loader, None);
    }
}
