//! As whom to run: what `--user` says, and whom `/etc/passwd` knows. Decides nothing about when.
//!
//! The file is read as it is, and nobody else is asked: a directory server that does not answer must not stop a check from
//! being made. A user of such a directory can be given by numbers.

use std::fs;

use daemonkit::privilege::UserIds;

/// The user that is meant for monitors.
pub const OWN: &str = "lvs-nanny";
/// The user that does where there is no [`OWN`].
pub const NOBODY: &str = "nobody";

/// Where users are known by name.
const PASSWD: &str = "/etc/passwd";

/// A user as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// By name.
    Named(String),
    /// By numbers.
    Numbered(UserIds),
}

impl User {
    /// Reads `NAME` or `UID:GID`. `None` for anything else, such as a number alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((uid, gid)) = text.split_once(':') {
            // The kernel means "leave it as it is" by the highest number.
            let number = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
            return Some(Self::Numbered(UserIds { uid: number(uid)?, gid: number(gid)? }));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
        let has_letter = text.chars().any(|c| c.is_ascii_alphabetic() || c == '_');
        (has_letter && !text.starts_with('-') && text.chars().all(is_name))
            .then(|| Self::Named(text.to_owned()))
    }
}

/// The text of `/etc/passwd`.
///
/// # Errors
/// Why it cannot be read, for people.
pub fn read() -> Result<String, String> {
    fs::read(PASSWD)
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .map_err(|error| format!("{PASSWD}: {error}"))
}

/// Whom `asked` means, or without it the first that there is of [`OWN`] and [`NOBODY`].
///
/// # Errors
/// For people, that `passwd` knows none of them.
pub fn find(
    asked: Option<&User>,
    passwd: impl FnOnce() -> Result<String, String>,
) -> Result<UserIds, String> {
    let names = match asked {
        Some(User::Numbered(ids)) => return Ok(*ids),
        Some(User::Named(name)) => &[name.as_str()][..],
        None => &[OWN, NOBODY],
    };
    let passwd = passwd()?;
    let found = names.iter().find_map(|name| passwd.lines().find_map(|line| entry(line, name)));
    found.ok_or_else(|| format!("{PASSWD} has no {}", names.join(" and no ")))
}

/// The numbers in a line of passwd(5), if it is about `name`.
fn entry(line: &str, name: &str) -> Option<UserIds> {
    let mut fields = line.split(':');
    (fields.next() == Some(name)).then_some(())?;
    let _password = fields.next()?;
    Some(UserIds { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "root:x:0:0:root:/root:/bin/sh\nbroken:x:many\nnobody:x:65534:65533:n:/:/bin/false\n";

    fn find_in(asked: Option<&str>, passwd: &str) -> Result<UserIds, String> {
        let asked = asked.map(|text| User::parse(text).unwrap());
        find(asked.as_ref(), || Ok(passwd.to_owned()))
    }

    #[test]
    fn a_user_is_a_name_or_two_numbers() {
        assert_eq!(User::parse("lvs-nanny"), Some(User::Named("lvs-nanny".into())));
        assert_eq!(User::parse("0:4294967294"), Some(User::Numbered(UserIds { uid: 0, gid: u32::MAX - 1 })));
        for bad in
            ["", "99", "99:", ":99", "1:2:3", "-1:0", "4294967295:0", "0:4294967295", "a b", "-x", "a/b", "é"]
        {
            assert_eq!(User::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_own_user_goes_before_nobody_and_what_is_asked_for_before_both() {
        let nobody = UserIds { uid: 65534, gid: 65533 };
        assert_eq!(find_in(None, SOME), Ok(nobody));
        let with_own = format!("{SOME}lvs-nanny:x:998:997::/:\n");
        assert_eq!(find_in(None, &with_own), Ok(UserIds { uid: 998, gid: 997 }));
        assert_eq!(find_in(Some("nobody"), &with_own), Ok(nobody));
        assert_eq!(find_in(Some("5:6"), ""), Ok(UserIds { uid: 5, gid: 6 }));
    }

    #[test]
    fn a_user_that_is_not_there_is_told_by_name() {
        let no = |names: &str| Err(format!("/etc/passwd has no {names}"));
        assert_eq!(find_in(None, "nobody2:x:1:1::/:\n"), no("lvs-nanny and no nobody"));
        assert_eq!(find_in(Some("broken"), SOME), no("broken"));
        assert_eq!(find(None, || Err("gone".into())), Err("gone".into()));
    }
}
