//! The differences that stay, and who is right by which text.

use testbed::Host;

use crate::outcome::Difference;

/// A difference, or several of a kind. In the texts `*` is anything.
#[derive(Debug)]
pub struct Row {
    group: &'static str,
    case: &'static str,
    /// `umoci`, `storage` (containers/storage), `*` for both; `root` for v7 as root beside v7 as
    /// an ordinary user.
    tool: &'static str,
    /// In what they differ; `refused` is what the other refuses.
    fact: &'static str,
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

impl Row {
    pub fn is_about(&self, group: &str, difference: &Difference) -> bool {
        self.group == group
            && matches(self.case, difference.case)
            && (matches(self.tool, difference.tool)
                && self.tool_is_root() == (difference.tool == "root"))
            && matches(self.fact, &difference.fact)
    }

    fn tool_is_root(&self) -> bool {
        self.tool == "root"
    }

    /// Whether a trial has to need the row.
    pub fn is_for(&self, group: &str, host: &Host) -> bool {
        self.group == group && self.tool_is_root() != host.is_root()
    }
}

/// Whether a text matches a pattern, in which `*` is anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).any(|from| text.is_char_boundary(from) && matches(rest, &text[from..]))
}

const fn row(
    group: &'static str,
    case: &'static str,
    tool: &'static str,
    fact: &'static str,
    reason: &'static str,
) -> Row {
    Row { group, case, tool, fact, reason }
}

/// layer.md, "Distributable Format": MUST NOT include duplicate entries. To refuse them is as right
/// as to let the last one count, as POSIX has it for tar's archives that were appended to.
const TWICE: &str = "both: layer.md forbids what is there twice";
const DUPLICATES: &str = "refused: *duplicates of file paths*";

/// The GNU tar manual, 6.10.2: a `..` in a member's name is refused unless one asks for it. No text
/// says that it is to be taken out, as the others do.
const DOT_DOT: &str = "v7: the GNU tar manual, 6.10.2, Absolute File Names";

/// chown(2): as an owner, -1 is "unchanged", so the others give the file to root, unasked. What is
/// larger they cut to 32 bits.
const NO_OWNER: &str = "v7: chown(2), no such id";

/// layer.md, "Whiteouts": they MUST only apply to lower layers, and not to what is in the same
/// layer, in whatever order.
const OWN_LAYER: &str = "v7 and umoci: layer.md, Whiteouts, only lower layers";

/// xattr(7): user attributes are for regular files and directories. The others refuse the whole
/// image for an attribute; containerd leaves it out, as v7 does, which tells.
const LEFT_OUT: &str = "both: xattr(7), and no text on what cannot be set";

/// pax(1), "ustar Interchange Format": type 1 says that the files are one, so there is one set of
/// attributes. Which header's, it does not say; a tar program writes the same into both.
const ONE_FILE: &str = "both: pax(1), a hard link's header has what its file's has";

/// The GNU tar manual, Basic Tar Format: for backward compatibility, tar treats a regular file
/// whose name ends with a slash as a directory.
const SLASH: &str = "v7: the GNU tar manual, Basic Tar Format, a name that ends with a slash";

/// aufs kept notes in such files, and Docker once had them in layers. layer.md knows nothing of
/// them, and says that no file system has a name that begins so.
const AUFS: &str = "v7: layer.md, no name in a file system begins with .wh.";

/// overlayfs.rst, whiteouts and opaque directories: to overlayfs this device says that something
/// is deleted.
const ZERO: &str = "v7: overlayfs.rst, the device 0:0 would delete what is below, unasked";

const NEGATIVE: &str = "v7 and umoci: pax(1), times before 1970 are negative";
/// The directory is implied by what is deleted in it, and hides the lower one; or it is not there.
const BOTH_DELETED: &str = "both: layer.md, Determining Changes, no two trees differ so";

const NO_PARENT: &str = "v7 and storage: as for any entry, its directory is made";
const NO_ROOT: &str = "v7 and umoci: no text; 555 is containers/storage's own";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("numbers", "mtime: minus one in base 256", "storage", "mtime", NEGATIVE),
    row("numbers", "time -1* of a *", "storage", "mtime", NEGATIVE),
    row("numbers", "*id: * in base 256", "*", "refused by v7: *no number of a user or group",
        NO_OWNER),
    row("numbers", "devm*: * in base 256", "*", "refused by v7: *",
        "v7: makedev(3), no such number"),
    row("numbers", "mode * of type '6'", "umoci", "refused: *mknod: invalid argument",
        "v7, storage: pax(1), a mode has 12 bits, the others mean nothing"),

    row("names", "*", "storage", DUPLICATES, TWICE),
    row("names", "type * called *..*", "*", "refused by v7: *goes through ..", DOT_DOT),
    row("names", "type '0' called \"f/\"", "*", "*", SLASH),
    row("names", "type '0' called \"/\"", "*", "refused: *", SLASH),
    row("names", "old* directory", "*", "refused: *not a directory*", SLASH),
    row("names", "prefix * GNU", "*", "there",
        "v7: the GNU tar manual, Basic Tar Format: these bytes are times"),
    row("names", "no root", "storage", "mode", NO_ROOT),
    row("names", "end: at once", "storage", "mode", NO_ROOT),
    row("names", "end: nothing but its blocks", "storage", "mode", NO_ROOT),
    row("names", "implied by a whiteout of nothing", "umoci", "there", NO_PARENT),

    row("pax", "path=../other", "*", "refused by v7: *goes through ..", DOT_DOT),
    row("pax", "*id=*", "*", "refused by v7: *no number of a user or group", NO_OWNER),
    row("pax", "path=other/", "*", "*", SLASH),
    row("pax", "path of many directories", "*", "*", SLASH),
    row("pax", "PAX sparse, name only", "storage", "mode", NO_ROOT),
    row("pax", "mtime=-*", "storage", "mtime", NEGATIVE),
    row("pax", "*global*", "umoci", "refused: *unknown typeflag*", "v7, storage: pax(1), type g"),
    row("pax", "GNU sparse*", "*", "refused: *type*",
        "v7: the GNU tar manual, Storing Sparse Files; Go reads it, its callers forget type S"),
    row("pax", "PAX sparse of the future", "*", "refused by v7: *unknown format",
        "v7: the GNU tar manual, Storing Sparse Files; the others take the map for content"),

    row("kinds", "*", "storage", DUPLICATES, TWICE),
    row("kinds", "type 7, *", "*", "refused: *type*", "v7: pax(1), type 7 is to be read as 0"),
    row("kinds", "contiguous file", "*", "refused: *type*", "v7: the same"),
    row("kinds", "device 0:0, char", "*", "refused by v7: *", ZERO),
    row("kinds", "type 3, old", "*", "refused by v7: *", ZERO),
    row("kinds", "directory with an attribute, then *", "storage", "xattr user.note",
        "v7 and umoci: layer.md, the existing path's attributes MUST be replaced"),
    row("kinds", "directory with an attribute, then without, in a layer", "umoci",
        "xattr user.note", TWICE),

    row("links", "*", "storage", DUPLICATES, TWICE),
    row("links", "through a link to *missing*: *", "storage", "refused: *no such file*",
        "v7 and umoci: no text; a directory that is missing is made, here as elsewhere"),
    row("links", "hard link to *../f", "*", "refused by v7: *goes through ..", DOT_DOT),
    row("links", "hard link to itself", "*", "refused: *no such file*",
        "both: it is there already; the others have removed it first"),
    row("links", "hard link with *", "storage", "*", ONE_FILE),
    row("links", "hard link to a set-id file", "storage", "*", ONE_FILE),

    row("whiteouts", "*", "storage", DUPLICATES, TWICE),
    row("whiteouts", "after a*", "storage", "there", OWN_LAYER),
    row("whiteouts", "after a new directory", "storage", "refused: *chtimes*", OWN_LAYER),
    row("whiteouts", "in the lowest layer, of its own file", "storage", "there", OWN_LAYER),
    row("whiteouts", "opaque last, with an implied subdirectory", "storage", "there", OWN_LAYER),
    row("whiteouts", "order *", "storage", "there", OWN_LAYER),
    row("whiteouts", "order *", "storage", "refused: *chtimes*", OWN_LAYER),
    row("whiteouts", "in a directory, after a file in its place", "storage",
        "refused: *not a directory*", OWN_LAYER),
    row("whiteouts", "of a file in a file", "storage", "refused: *not a directory*",
        "v7 and umoci: layer.md, Whiteouts: it deletes nothing, and says of the file nothing"),
    row("whiteouts", "opaque through a link", "storage", "there",
        "v7 and umoci: layer.md, Opaque Whiteout: all siblings are hidden"),
    row("whiteouts", "of a directory and of what is in it", "umoci", "there", BOTH_DELETED),
    row("whiteouts", "of what is in a directory, and of it", "*", "there", BOTH_DELETED),
    row("whiteouts", "implied in an opaque directory, its mark last", "storage", "there",
        OWN_LAYER),
    row("whiteouts", "in a directory that is not there", "umoci", "there", NO_PARENT),
    row("whiteouts", "opaque, no such directory", "umoci", "there", NO_PARENT),
    row("whiteouts", "aufs: a file in .wh..wh.plnk", "*", "there", AUFS),
    row("whiteouts", "aufs: a hard link to .wh..wh.plnk", "*", "refused by v7: *", AUFS),
    row("whiteouts", "overlayfs: the device 0:0", "*", "refused by v7: *", ZERO),
    row("whiteouts", "a file in a directory called .wh.d", "*", "refused by v7: *deleted file",
        "v7: layer.md, no name in a file system begins so"),

    row("xattrs", "user.* of a *", "*", "refused: *operation not permitted*", LEFT_OUT),
    row("xattrs", "security.capability=nonsense of a *", "*", "refused: *invalid argument*",
        LEFT_OUT),
    row("xattrs", "too long a name", "*", "refused: *out of range*", LEFT_OUT),
    row("xattrs", "empty name", "*", "refused: *out of range*", LEFT_OUT),
    row("xattrs", "user. and nothing", "*", "refused: *invalid argument*", LEFT_OUT),

    // v7 as an ordinary user, beside v7 as root.
    row("numbers", "devm*: 4294967295 in base 256", "root", "refused: *",
        "both: a device that is not made has no wrong number"),
    row("xattrs", "system.posix_acl_access=... of a directory", "root", "mode",
        "both: acl(5), an ACL has the mode's bits for the group; here it is left out, for its ids"),
];
