//! Whether a user may read a file, as far as its mode says.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A user as /etc/passwd and /etc/group have it.
#[derive(Debug)]
pub(super) struct Account {
    uid: u32,
    gids: Vec<u32>,
}

/// How it stands with a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It can be read, or there is no way to know.
    Readable,
    /// It is not there.
    Missing,
    /// There is nothing in it.
    Empty,
    /// This is closed to the user: the file, or a folder on the way to it.
    Closed(PathBuf),
}

impl Account {
    /// The user of this name and its groups; `None`: it is not to be found here. `root` is `/`.
    pub fn find(root: &Path, name: &str) -> Option<Self> {
        let lines = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
        let number = |field: Option<&str>| field?.parse().ok();
        let passwd = lines("etc/passwd");
        let mut fields =
            passwd.lines().map(|line| line.split(':')).find(|line| line.clone().next() == Some(name))?;
        let (uid, gid) = (number(fields.nth(2))?, number(fields.next())?);
        let group = lines("etc/group");
        let of_line = |line: &str| {
            let mut fields = line.split(':');
            let gid = number(fields.nth(2))?;
            fields.next()?.split(',').any(|member| member == name).then_some(gid)
        };
        Some(Self { uid, gids: group.lines().filter_map(of_line).chain([gid]).collect() })
    }

    /// Whether it may read a file.
    pub fn reads(&self, root: &Path, file: &Path) -> Access {
        const ENTER: u32 = 0o1;
        const READ: u32 = 0o4;
        let here = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let mut folders: Vec<_> = file.ancestors().skip(1).collect();
        folders.reverse();
        for (path, wanted) in folders.into_iter().map(|folder| (folder, ENTER)).chain([(file, READ)]) {
            match here(path).metadata() {
                Ok(metadata) if !self.may(&metadata, wanted) && !has_list(&here(path)) => {
                    return Access::Closed(path.to_owned());
                }
                Ok(metadata) if path == file && metadata.len() == 0 => return Access::Empty,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Access::Missing,
                Err(_) => return Access::Readable, // who asks may not look there himself
            }
        }
        Access::Readable
    }

    /// Whether it has this right, one of the mode's last three bits.
    fn may(&self, metadata: &fs::Metadata, wanted: u32) -> bool {
        let shift = match () {
            () if metadata.uid() == self.uid => 6,
            () if self.gids.contains(&metadata.gid()) => 3,
            () => 0,
        };
        self.uid == 0 || metadata.mode() >> shift & wanted == wanted
    }
}

/// Whether it has an access control list (acl(5)), which may say otherwise than the mode.
fn has_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0; 256][..]).is_ok_and(|length| length > 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::Root;
    use super::*;

    #[test]
    fn modes_of_a_file_and_its_folders_count() {
        let root = Root::new(
            "access",
            &[
                ("/etc/passwd", "root:x:0:0::/:\ndormouse:x:64001:64002::/:\nother:x:\n"),
                ("/etc/group", "dormouse:x:64002:\nkeys:x:64003:ann,dormouse\nwheel:x:64004:ann\nx\n"),
                ("/srv/secret", "secret"),
                ("/srv/empty", ""),
            ],
        );
        assert!(Account::find(root.path(), "other").is_none());
        assert!(Account::find(root.path(), "dor").is_none());
        let account = Account::find(root.path(), "dormouse").expect("an account");
        assert_eq!((account.uid, &account.gids[..]), (64001, &[64003, 64002][..]));
        let mode = |path: &str, mode| {
            fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode)).expect("a mode");
        };
        let reads = |file: &str| account.reads(root.path(), Path::new(file));
        for path in ["", "srv"] {
            mode(path, 0o755);
        }
        mode("srv/secret", 0o644);
        mode("srv/empty", 0o644);
        assert_eq!(reads("/srv/secret"), Access::Readable);
        assert_eq!(reads("/srv/empty"), Access::Empty);
        assert_eq!(reads("/srv/none"), Access::Missing);
        assert_eq!(reads("/none/none"), Access::Missing);
        mode("srv/secret", 0o640);
        assert_eq!(reads("/srv/secret"), Access::Closed("/srv/secret".into()));
        mode("srv", 0o750);
        assert_eq!(reads("/srv/secret"), Access::Closed("/srv".into()));
        let owner = |uid, gids: &[u32]| Account { uid, gids: gids.to_vec() };
        let of = fs::metadata(root.path().join("srv/secret")).expect("it is there");
        assert!(owner(of.uid(), &[]).may(&of, 0o4));
        assert!(owner(64001, &[1, of.gid()]).may(&of, 0o4));
        mode("srv/secret", 0o204);
        let of = fs::metadata(root.path().join("srv/secret")).expect("it is there");
        assert!(!owner(64001, &[of.gid()]).may(&of, 0o4), "the rights of others are not the group's");
    }
}
