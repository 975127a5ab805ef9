//! Which services something is about, so that one server's report does not cost a look at all the others.

use std::collections::BTreeSet;

use ipvsadm::{Request, ServiceId};

/// A set of services, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These.
    Services(BTreeSet<ServiceId>),
    /// All, also those that are not known.
    All,
}

impl Default for Scope {
    fn default() -> Self {
        Self::Services(BTreeSet::new())
    }
}

impl Scope {
    /// Whether it is about nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Services(ids) if ids.is_empty())
    }

    /// Whether it is about `id`.
    #[must_use]
    pub fn contains(&self, id: &ServiceId) -> bool {
        match self {
            Self::All => true,
            Self::Services(ids) => ids.contains(id),
        }
    }

    /// Adds a service.
    pub fn add(&mut self, id: ServiceId) {
        if let Self::Services(ids) = self {
            ids.insert(id);
        }
    }
}

/// The service that a request is about; `None` for one about no single service.
#[must_use]
pub fn service_of(request: &Request) -> Option<ServiceId> {
    match request {
        Request::AddService(service) | Request::EditService(service) => Some(service.id),
        Request::DeleteService(id)
        | Request::AddDestination(id, _)
        | Request::EditDestination(id, _)
        | Request::DeleteDestination(id, _) => Some(*id),
        _ => None,
    }
}
