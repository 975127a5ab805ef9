//! `sched_flags`: the words for the switches of a scheduler, and which scheduler has which.
//!
//! The kernel knows three numbered switches and leaves their meaning to the scheduler. Those that mean something have
//! a word that begins with the scheduler's name.

use crate::model::{Scheduler, SchedulerFlags};

/// A word, the scheduler that it belongs to (`None`: any), and the switch.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) of: fn(&mut SchedulerFlags) -> &mut bool,
}

/// Those with a meaning first: they are preferred in writing.
pub(crate) const FLAGS: [Flag; 7] = [
    Flag { name: "sh-fallback", scheduler: Some(Scheduler::Sh), of: |flags| &mut flags.first },
    Flag { name: "sh-port", scheduler: Some(Scheduler::Sh), of: |flags| &mut flags.second },
    Flag { name: "mh-fallback", scheduler: Some(Scheduler::Mh), of: |flags| &mut flags.first },
    Flag { name: "mh-port", scheduler: Some(Scheduler::Mh), of: |flags| &mut flags.second },
    Flag { name: "flag-1", scheduler: None, of: |flags| &mut flags.first },
    Flag { name: "flag-2", scheduler: None, of: |flags| &mut flags.second },
    Flag { name: "flag-3", scheduler: None, of: |flags| &mut flags.third },
];

/// Every word.
pub(crate) fn names() -> Vec<&'static str> {
    FLAGS.iter().map(|flag| flag.name).collect()
}

/// The words for `flags` of `scheduler`, each switch by its best one.
pub(crate) fn words(scheduler: Scheduler, flags: SchedulerFlags) -> Vec<&'static str> {
    let mut left = flags;
    let mut words = Vec::new();
    for flag in FLAGS.iter().filter(|flag| flag.scheduler.is_none_or(|of| of == scheduler)) {
        if std::mem::take((flag.of)(&mut left)) {
            words.push(flag.name);
        }
    }
    words
}

/// Whether `scheduler` gives the switch of `flag` a meaning.
pub(crate) fn is_used(scheduler: Scheduler, flag: &Flag) -> bool {
    let only = |flag: &Flag| {
        let mut flags = SchedulerFlags::default();
        *(flag.of)(&mut flags) = true;
        flags
    };
    FLAGS.iter().any(|known| known.scheduler == Some(scheduler) && only(known) == only(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_is_written_by_the_word_of_its_scheduler() {
        let all = SchedulerFlags { first: true, second: true, third: true };
        assert_eq!(words(Scheduler::Sh, all), ["sh-fallback", "sh-port", "flag-3"]);
        assert_eq!(words(Scheduler::Mh, all), ["mh-fallback", "mh-port", "flag-3"]);
        assert_eq!(words(Scheduler::Rr, all), ["flag-1", "flag-2", "flag-3"]);
        assert!(words(Scheduler::Sh, SchedulerFlags::default()).is_empty());
    }
}
