//! Saving: one new file in the place of the old one, or the old one as it was.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use lvs_config::{DocumentFile, Edit, FileError, Policy, Saved, Scope, SystemNames};
use nix::fcntl::{Flock, FlockArg};

const TEXT: &str = "# site A\nserial_no = 7 # counted\nprimary = 192.0.2.2\n";

/// A folder of this test alone, empty.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for tests");
    folder
}

fn file(test: &str) -> PathBuf {
    let path = folder(test).join("lvs.cf");
    fs::write(&path, TEXT).expect("a file for tests");
    path
}

/// The file at `path`, with another `keepalive`.
fn edited(path: &Path) -> DocumentFile {
    let mut file = DocumentFile::open(path).expect("it is there");
    let edit = Edit::set(Scope::global(), "keepalive", ["1"]);
    file.document.apply(&[edit], Policy::NoNewErrors(&SystemNames)).expect("nothing is wrong with it");
    file
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_save_writes_the_edits_and_counts_once() {
    let path = file("counts-once");
    let mut file = edited(&path);
    file.document.apply(&[Edit::set(Scope::global(), "deadtime", ["4"])], Policy::AllowErrors).unwrap();
    assert_eq!(file.save().unwrap(), Saved::Written { serial_no: 8 });
    let expected = "# site A\nserial_no = 8 # counted\nprimary = 192.0.2.2\nkeepalive = 1\ndeadtime = 4\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(file.document.as_bytes(), expected.as_bytes());
    assert_eq!(names(path.parent().unwrap()), ["lvs.cf"]);
    // What has just been saved can be edited on.
    file.document.apply(&[Edit::unset(Scope::global(), "deadtime")], Policy::AllowErrors).unwrap();
    assert_eq!(file.save().unwrap(), Saved::Written { serial_no: 9 });
}

#[test]
fn nothing_is_written_when_nothing_has_changed() {
    let path = file("unchanged");
    let inode = fs::metadata(&path).unwrap().ino();
    let mut file = DocumentFile::open(&path).unwrap();
    file.document.apply(&[Edit::set(Scope::global(), "serial_no", ["7"])], Policy::AllowErrors).unwrap();
    assert_eq!(file.save().unwrap(), Saved::Unchanged);
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), fs::metadata(&path).unwrap().ino()),
        (TEXT, inode)
    );
}

#[test]
fn a_file_without_a_serial_number_gets_one() {
    let path = folder("no-serial").join("lvs.cf");
    fs::write(&path, "primary = 192.0.2.2\n").unwrap();
    assert_eq!(edited(&path).save().unwrap(), Saved::Written { serial_no: 1 });
    assert_eq!(fs::read_to_string(&path).unwrap(), "primary = 192.0.2.2\nkeepalive = 1\nserial_no = 1\n");
}

#[test]
fn a_serial_number_that_cannot_be_counted_is_told() {
    let path = folder("bad-serial").join("lvs.cf");
    for bad in ["18446744073709551615", "many"] {
        let text = format!("primary = 192.0.2.2\nserial_no = {bad}\n");
        fs::write(&path, &text).unwrap();
        let error = edited(&path).save().unwrap_err();
        let expected = format!(
            "{}:3:13: error: `serial_no` cannot be counted up from `{bad}`; allowed: 0 to 18446744073709551614",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_file_that_somebody_else_has_changed_stays_as_he_left_it() {
    let path = file("changed");
    let mut file = edited(&path);
    let theirs = TEXT.replace("192.0.2.2", "192.0.2.9");
    fs::write(&path, &theirs).unwrap();
    let error = file.save().unwrap_err();
    let expected = format!(
        "{}: not saved: the file has been changed since it was read: line 3 was `primary = 192.0.2.2`, is \
         `primary = 192.0.2.9`; read it again",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    fs::write(&path, TEXT).unwrap();
    assert_eq!(file.save().unwrap(), Saved::Written { serial_no: 8 }, "it is again what was read");
}

#[test]
fn a_file_that_is_gone_is_not_made_anew() {
    let path = file("gone");
    let mut file = edited(&path);
    fs::remove_file(&path).unwrap();
    let expected =
        format!("{}: cannot find the file: No such file or directory (os error 2)", path.display());
    assert_eq!(file.save().unwrap_err().to_string(), expected);
    assert_eq!(names(path.parent().unwrap()), [""; 0]);
}

#[test]
fn of_two_programs_that_save_at_once_one_waits_its_turn() {
    let path = file("locked");
    let mut file = edited(&path);
    let other =
        Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let expected = format!("{}: not saved: another program is saving this file; try again", path.display());
    assert_eq!(file.save().unwrap_err().to_string(), expected);
    drop(other);
    assert_eq!(file.save().unwrap(), Saved::Written { serial_no: 8 });
}

#[test]
fn the_second_of_two_editors_does_not_undo_the_first() {
    let path = file("two-editors");
    let (mut first, mut second) = (edited(&path), edited(&path));
    first.save().unwrap();
    assert!(matches!(second.save(), Err(FileError::Changed { .. })));
}

#[test]
fn mode_and_owner_stay() {
    let path = file("mode");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    // Only root may give files away; the owner stays in any case.
    let _ = std::os::unix::fs::chown(&path, Some(65534), Some(65534));
    let old = fs::metadata(&path).unwrap();
    edited(&path).save().unwrap();
    let new = fs::metadata(&path).unwrap();
    assert_eq!((new.mode(), new.uid(), new.gid()), (old.mode(), old.uid(), old.gid()));
    assert_ne!(new.ino(), old.ino(), "it is a new file");
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let target = file("link");
    let elsewhere = folder("link-elsewhere");
    let link = elsewhere.join("lvs.cf");
    symlink("../link/lvs.cf", &link).unwrap();
    edited(&link).save().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::symlink_metadata(&target).unwrap().is_file());
    assert!(fs::read_to_string(&target).unwrap().contains("serial_no = 8"));
    assert_eq!(names(&elsewhere), ["lvs.cf"]);
}

#[test]
fn what_a_killed_program_left_is_no_obstacle() {
    let path = file("left");
    symlink(&path, path.with_file_name(".lvs.cf.new")).unwrap();
    edited(&path).save().unwrap();
    assert_eq!(names(path.parent().unwrap()), ["lvs.cf"]);
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

#[test]
fn what_is_no_file_or_not_there_is_told() {
    let folder = folder("no-file");
    let error = DocumentFile::open(&folder).unwrap_err().to_string();
    assert_eq!(error, format!("{}: not a regular file; only those can be edited", folder.display()));
    let path = folder.join("lvs.cf");
    let error = DocumentFile::open(&path).unwrap_err().to_string();
    assert_eq!(error, format!("{}: cannot read: No such file or directory (os error 2)", path.display()));
}

#[test]
fn a_file_is_edited_beside_what_it_includes() {
    let path = file("includes");
    let folder = path.parent().unwrap();
    let virtual_server = "virtual a {\nactive = 1\naddress = 192.0.2.10 eth0:1\n}\n";
    fs::write(folder.join("a.cf"), virtual_server).unwrap();
    fs::write(&path, format!("{TEXT}include = *.cf.d\ninclude = a.cf # a tool's\n")).unwrap();
    let mut file = DocumentFile::open(&path).unwrap();
    let entry = |name: &str, values: &[&str]| {
        (name.to_owned(), values.iter().map(|&value| value.to_owned()).collect::<Vec<String>>())
    };
    let entries = vec![entry("active", &["1"]), entry("address", &["192.0.2.10", "eth0:1"])];
    let taken = Edit::Add { block: Scope::virtual_server("b"), entries };
    let refused = file.document.apply(&[taken], Policy::NoNewErrors(&SystemNames)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{}:9:15: error: another active virtual server has 192.0.2.10, port 80, tcp (first given at {}:3)",
            path.display(),
            folder.join("a.cf").display()
        )
    );
    let edit = Edit::set(Scope::global(), "keepalive", ["1"]);
    file.document.apply(&[edit], Policy::NoNewErrors(&SystemNames)).unwrap();
    file.save().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "# site A\nserial_no = 8 # counted\nprimary = 192.0.2.2\nkeepalive = 1\ninclude = *.cf.d\ninclude = a.cf # a tool's\n"
    );
    assert_eq!(fs::read_to_string(folder.join("a.cf")).unwrap(), virtual_server);
}
