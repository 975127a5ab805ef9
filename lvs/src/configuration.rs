//! Which file, and what it takes to be served: reading it, and telling what is wrong with it.

use std::path::{Path, PathBuf};

use lvs_config::model::{Config, ServiceKind};
use lvs_config::{Diagnostic, LoadError};

/// Why a file about failover services is not served.
pub const NO_FAILOVER: &str =
    "service = fos: failover services are not supported; lvs serves virtual servers (service = lvs)";

/// A configuration that can be served.
#[derive(Debug, Clone, PartialEq)]
pub struct Usable {
    /// What the file says.
    pub config: Config,
    /// What is odd in it.
    pub warnings: Vec<Diagnostic>,
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read or is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is about failover services.
    #[error("{}: error: {NO_FAILOVER}", .0.display())]
    FailoverServices(PathBuf),
}

impl Unusable {
    /// One line per problem, for logs and the status.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.to_string().lines().map(str::to_owned).collect()
    }

    /// What can be shown with the place in the file.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Load(LoadError::Invalid { diagnostics, .. }) => diagnostics,
            Self::Load(LoadError::Read { .. }) | Self::FailoverServices(_) => &[],
        }
    }
}

/// Reads and checks `path`. May wait for the name service.
///
/// # Errors
/// [`Unusable`].
pub fn load(path: &Path) -> Result<Usable, Unusable> {
    let loaded = lvs_config::load(path)?;
    if loaded.config.service == ServiceKind::Fos {
        return Err(Unusable::FailoverServices(path.to_owned()));
    }
    Ok(Usable { config: loaded.config, warnings: loaded.warnings })
}
