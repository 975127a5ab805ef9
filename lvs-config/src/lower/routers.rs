//! The two routers: their addresses on the public network and the private link.

use std::net::IpAddr;

use super::Lowering;
use super::read::{Found, Located};
use crate::diagnostic::{Code, Problem};
use crate::keys::Directive;
use crate::model::RouterAddresses;
use crate::names::Family;
use crate::span::Span;
use crate::token::Token;

/// The two routers as far as they could be read.
pub(super) struct Routers {
    pub(super) primary: Option<RouterAddresses>,
    pub(super) backup: Option<RouterAddresses>,
    pub(super) backup_active: Option<bool>,
}

impl<'a> Lowering<'a> {
    /// Reads `primary`, `backup` and what belongs to them.
    pub(super) fn routers(&mut self, found: &Found<'_>) -> Routers {
        let primary = self.host(found, Directive::Primary, Family::V4);
        let primary = self.specified(found, Directive::Primary, primary);
        if !found.is_given(Directive::Primary) {
            let problem = Problem::error(Code::Missing, Span::START, "`primary` is missing");
            self.report
                .add(problem.help("write `primary = ADDRESS`, the public address of the primary router"));
        }
        let family = primary.as_ref().map_or(Family::V4, |p| Family::of(p.value));
        let backup = self.host(found, Directive::Backup, family).filter(|b| !b.value.is_unspecified());
        let primary_private = self.host(found, Directive::PrimaryPrivate, family);
        let primary_private = self.specified(found, Directive::PrimaryPrivate, primary_private);
        let private_family = primary_private.as_ref().map_or(family, |p| Family::of(p.value));
        let backup_private = self.host(found, Directive::BackupPrivate, private_family);
        let backup_private = self.specified(found, Directive::BackupPrivate, backup_private);
        let backup_active = self.switch(found, Directive::BackupActive);
        let has_backup = backup.is_some();
        let backup_is_known = has_backup || self.is_absent_or_zero(found);
        if backup_active == Some(true) && !has_backup && backup_is_known {
            let message = "`backup_active` has no effect without a `backup`";
            self.warn_no_effect(found, Directive::BackupActive, message);
        }
        self.pair_rules(primary.as_ref(), backup.as_ref(), "`backup` is the address of `primary`");
        self.pair_rules(
            primary_private.as_ref(),
            backup_private.as_ref(),
            "`backup_private` is the address of `primary_private`",
        );
        for address in [&primary, &backup, &primary_private, &backup_private].into_iter().flatten() {
            self.router_address(address);
        }
        let (primary_private, backup_private) = if has_backup {
            self.private_link(found, [primary.as_ref(), backup.as_ref()], primary_private, backup_private)
        } else {
            (primary_private.map(|p| p.value), None)
        };
        let primary_shared = self.text(found, Directive::PrimaryShared);
        let backup_shared = self.text(found, Directive::BackupShared);
        let router = |public: Located<IpAddr>, private, shared_device| RouterAddresses {
            public: public.value,
            private,
            shared_device,
        };
        Routers {
            primary: primary.map(|public| router(public, primary_private, primary_shared)),
            backup: backup.map(|public| router(public, backup_private, backup_shared)),
            backup_active: backup_active.map(|on| on && has_backup),
        }
    }

    /// Whether `backup` says, or leaves it at, that there is none; as opposed to being wrong.
    fn is_absent_or_zero(&self, found: &Found<'_>) -> bool {
        let Some(entry) = found.entry(Directive::Backup) else { return !found.is_given(Directive::Backup) };
        let mut values = entry.values(self.text);
        let is_zero = |one: Token| one.text(self.text).parse().is_ok_and(|a: IpAddr| a.is_unspecified());
        values.next().is_some_and(is_zero) && values.next().is_none()
    }

    /// `address` unless it is 0.0.0.0 or ::, which is reported.
    fn specified(
        &mut self,
        found: &Found<'_>,
        directive: Directive,
        address: Option<Located<IpAddr>>,
    ) -> Option<Located<IpAddr>> {
        let address = address?;
        if !address.value.is_unspecified() {
            return Some(address);
        }
        let name = found.entry(directive).map_or("", |entry| entry.name.text(self.text));
        let message = format!("`{name}` cannot be `{}`", address.value);
        self.report.add(
            Problem::error(Code::BadValue, address.span, message).help("allowed: the address of one host"),
        );
        None
    }

    /// Two ends of a path for heartbeats: different, and of one family.
    fn pair_rules(&mut self, one: Option<&Located<IpAddr>>, other: Option<&Located<IpAddr>>, if_equal: &str) {
        let (Some(one), Some(other)) = (one, other) else { return };
        let message = if one.value == other.value {
            if_equal
        } else if Family::of(one.value) != Family::of(other.value) {
            "the two routers' addresses must be of one family"
        } else {
            return;
        };
        let problem = Problem::error(Code::Conflict, other.span, message);
        self.report.add(problem.note(one.span, "the other address is"));
    }

    /// The ends of the private link, if both are there and it is another one than the public network.
    fn private_link(
        &mut self,
        found: &Found<'_>,
        public: [Option<&Located<IpAddr>>; 2],
        primary: Option<Located<IpAddr>>,
        backup: Option<Located<IpAddr>>,
    ) -> (Option<IpAddr>, Option<IpAddr>) {
        match (primary, backup) {
            (Some(primary), Some(backup)) => {
                let is_public = |private: &Located<IpAddr>| {
                    public.into_iter().flatten().any(|p| p.value == private.value)
                };
                if let Some(same) = [&primary, &backup].into_iter().find(|private| is_public(private)) {
                    let message = "this is a public address: there is no private link";
                    self.report.add(Problem::warning(Code::NoEffect, same.span, message));
                    return (None, None);
                }
                (Some(primary.value), Some(backup.value))
            }
            (Some(primary), None) => {
                if !found.is_given(Directive::BackupPrivate) {
                    let problem = Problem::error(
                        Code::Missing,
                        primary.span,
                        "`primary_private` without `backup_private`",
                    );
                    self.report.add(problem.help("give the private addresses of both routers or of none"));
                }
                (None, None)
            }
            (None, Some(_)) => {
                if !found.is_given(Directive::PrimaryPrivate) {
                    let message = "`backup_private` has no effect without `primary_private`";
                    self.warn_no_effect(found, Directive::BackupPrivate, message);
                }
                (None, None)
            }
            (None, None) => (None, None),
        }
    }
}
