//! What `/proc/self` says that this process holds, compared with what is meant. Pure.

use std::collections::HashMap;

use daemonkit::privilege::UserIds;

use super::ConfineError;
use super::limits::Limit;
use super::policy::Policy;

/// The fields of a `status` file of proc_pid_status(5). One that is missing, as in old kernels, is never as it should be.
#[derive(Debug)]
pub struct Held<'t>(HashMap<&'t str, &'t str>);

impl<'t> Held<'t> {
    /// Reads the text of the file.
    #[must_use]
    pub fn parse(text: &'t str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(key, value)| (key, value.trim()))
                .collect(),
        )
    }

    fn field(&self, name: &str) -> &'t str {
        self.0.get(name).copied().unwrap_or("absent")
    }

    /// The capabilities that it can use, as a mask; all if they are not told.
    #[must_use]
    pub fn capabilities(&self) -> u64 {
        u64::from_str_radix(self.field("CapEff"), 16).unwrap_or(u64::MAX)
    }

    /// Compares with `policy`; `user` has become the user, and `syscalls` tells whether there is a filter.
    ///
    /// # Errors
    /// [`ConfineError::DidNotHold`] for the first thing that is not as meant.
    pub fn verify(&self, policy: &Policy, user: Option<UserIds>, syscalls: bool) -> Result<(), ConfineError> {
        if let Some(UserIds { uid, gid }) = user {
            self.is("Uid", &format!("{uid}\t{uid}\t{uid}\t{uid}"))?;
            self.is("Gid", &format!("{gid}\t{gid}\t{gid}\t{gid}"))?;
            self.is("Groups", "")?;
        }
        let kept = policy.capabilities.iter().fold(0, |mask, capability| mask | 1_u64 << *capability as u8);
        for set in ["CapPrm", "CapEff"] {
            let value = self.field(set);
            let extra = u64::from_str_radix(value, 16).map_or(u64::MAX, |held| held & !kept);
            if extra != 0 {
                let meant = if kept == 0 { "empty".to_owned() } else { format!("at most {kept:#x}") };
                return Err(ConfineError::DidNotHold { what: set, found: value.to_owned(), meant });
            }
        }
        self.is("CapInh", "0000000000000000")?;
        // Kernels before 4.3 have no such set, those before 4.10 do not tell the promise.
        for (name, meant) in [("CapAmb", "0000000000000000"), ("NoNewPrivs", "1")] {
            if self.0.contains_key(name) {
                self.is(name, meant)?;
            }
        }
        if syscalls { self.is("Seccomp", "2") } else { Ok(()) }
    }

    fn is(&self, what: &'static str, meant: &str) -> Result<(), ConfineError> {
        let found = self.field(what);
        if found == meant {
            return Ok(());
        }
        Err(ConfineError::DidNotHold { what, found: found.to_owned(), meant: meant.to_owned() })
    }
}

/// Looks in `text`, a `limits` file of proc_pid_limits(5), whether `limits` are in force.
///
/// # Errors
/// [`ConfineError::DidNotHold`] for the first one that is not.
pub fn verify_limits<'l>(
    text: &str,
    limits: impl IntoIterator<Item = &'l Limit>,
) -> Result<(), ConfineError> {
    for limit in limits {
        let found = text.lines().find_map(|line| line.strip_prefix(limit.name())).unwrap_or("absent");
        let holds = |word: &str| word.parse().is_ok_and(|value: u64| value <= limit.most());
        let mut words = found.split_whitespace();
        if !(words.next().is_some_and(holds) && words.next().is_some_and(holds)) {
            let found = found.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            let meant = format!("at most {}", limit.most());
            return Err(ConfineError::DidNotHold { what: limit.name(), found, meant });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use daemonkit::privilege::Capability;

    use super::super::limits::limits;
    use super::*;

    const AS_MEANT: &str = "Name:\tnanny\nUid:\t99\t99\t99\t99\nGid:\t98\t98\t98\t98\nGroups:\t \n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    fn policy(capabilities: &'static [Capability]) -> Policy {
        let (sockets, tcp_ports) = (Vec::new(), Vec::new());
        Policy { user: None, capabilities, sockets, tcp_ports, runs_programs: false, writes_files: false }
    }

    fn verified(text: &str) -> Result<(), String> {
        let user = UserIds { uid: 99, gid: 98 };
        Held::parse(text).verify(&policy(&[]), Some(user), true).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_as_meant_passes() {
        assert_eq!(verified(AS_MEANT), Ok(()));
        assert_eq!(Held::parse(AS_MEANT).capabilities(), 0);
        let old = AS_MEANT.replace("CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n", "");
        assert_eq!(verified(&old), Ok(()), "a kernel that does not tell them");
    }

    #[test]
    fn each_thing_that_did_not_hold_is_told() {
        for (good, bad, told) in [
            (
                "Uid:\t99\t99\t99\t99",
                "Uid:\t99\t99\t0\t99",
                "Uid is 99\t99\t0\t99 and should be 99\t99\t99\t99",
            ),
            (
                "Gid:\t98\t98\t98\t98",
                "Gid:\t0\t98\t98\t98",
                "Gid is 0\t98\t98\t98 and should be 98\t98\t98\t98",
            ),
            ("Groups:\t ", "Groups:\t0 4 ", "Groups is 0 4 and should be "),
            (
                "CapPrm:\t0000000000000000",
                "CapPrm:\t0000000000001000",
                "CapPrm is 0000000000001000 and should be empty",
            ),
            ("CapEff:\t0000000000000000\n", "", "CapEff is absent and should be empty"),
            ("CapInh:\t0000000000000000", "CapInh:\t1", "CapInh is 1 and should be 0000000000000000"),
            ("CapAmb:\t0000000000000000", "CapAmb:\t1", "CapAmb is 1 and should be 0000000000000000"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "NoNewPrivs is 0 and should be 1"),
            ("Seccomp:\t2", "Seccomp:\t0", "Seccomp is 0 and should be 2"),
        ] {
            assert!(AS_MEANT.contains(good), "{good}");
            let error = verified(&AS_MEANT.replace(good, bad)).unwrap_err();
            assert_eq!(error, format!("{told}, although the kernel agreed"));
        }
    }

    #[test]
    fn one_for_the_table_holds_its_capability_and_no_other() {
        let policy = policy(&[Capability::NET_ADMIN]);
        let held = |mask: &str| AS_MEANT.replace("CapEff:\t0000000000000000", &format!("CapEff:\t{mask}"));
        let verified = |mask: &str| {
            let text = held(mask);
            Held::parse(&text).verify(&policy, None, false).map_err(|error| error.to_string())
        };
        assert_eq!(verified("0000000000001000"), Ok(()));
        assert_eq!(verified("0000000000000000"), Ok(()), "not started by root");
        assert_eq!(
            verified("0000000000001001").unwrap_err(),
            "CapEff is 0000000000001001 and should be at most 0x1000, although the kernel agreed"
        );
    }

    #[test]
    fn limits_hold_when_both_are_low_enough() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max core file size        0                    0                    bytes     \n\
            Max processes             0                    0                    processes \n\
            Max open files            32                   64                   files     \n\
            Max data size             67108864             67108864             bytes     \n\
            Max file size             0                    unlimited            bytes     \n";
        assert!(verify_limits(text, &limits(false, true)).is_ok());
        assert_eq!(
            verify_limits(text, &limits(false, false)).unwrap_err().to_string(),
            "Max file size is 0 unlimited and should be at most 0, although the kernel agreed"
        );
        assert_eq!(
            verify_limits("", &limits(true, false)).unwrap_err().to_string(),
            "Max core file size is absent and should be at most 0, although the kernel agreed"
        );
    }
}
