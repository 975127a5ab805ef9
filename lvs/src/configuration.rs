//! Which file, and what it takes to be served: reading it, and telling what is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lvs_config::model::{Config, ServiceKind};
use lvs_config::{
    Diagnostic, LoadError, Loaded, NAMES_FILE, NameChange, NameNote, Patience, Resolver, SystemLookup,
};
use lvs_ipc::status::STATE_DIR;

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

/// Reads and checks `path`, and writes nothing. A name that cannot be resolved has the address that `lvs` or `pulse`
/// knew last.
///
/// # Errors
/// [`Unusable`].
pub fn load(path: &Path) -> Result<Usable, Unusable> {
    consult(path, &Path::new(STATE_DIR).join(NAMES_FILE))
}

fn consult(path: &Path, names: &Path) -> Result<Usable, Unusable> {
    usable(path, Resolver::consulting(Arc::new(SystemLookup), names).load(path, Patience::BRIEF))
}

/// Reads the file that is served, and follows the names in it.
pub struct Reader {
    resolver: Resolver,
    /// Where it keeps the last addresses of names.
    names: PathBuf,
}

impl Reader {
    /// A reader that keeps the last addresses of names in the folder `state_dir`.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let names = state_dir.join(NAMES_FILE);
        Self { resolver: Resolver::keeping(Arc::new(SystemLookup), names.clone()), names }
    }

    /// Reads and checks a file that is not to be served, and writes nothing. A name that cannot be resolved has the
    /// address that this reader knew last.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn consult(&self, path: &Path) -> Result<Usable, Unusable> {
        consult(path, &self.names)
    }

    /// Reads and checks `path`. Waits for names as long as [`Patience::BRIEF`] says.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn load(&mut self, path: &Path) -> Result<Usable, Unusable> {
        let loaded = self.resolver.load(path, Patience::BRIEF);
        self.tell();
        usable(path, loaded)
    }

    /// Looks up again the names of `path` as it was read last. Returns what it says now if that is something else.
    pub fn follow_names(&mut self, path: &Path) -> Option<Result<Usable, Unusable>> {
        let loaded = self.resolver.refresh(Patience::LONG);
        self.tell();
        loaded.map(|loaded| usable(path, loaded))
    }

    fn tell(&mut self) {
        for note in self.resolver.notes() {
            match note {
                NameNote::Changed(NameChange::Lost { .. }) | NameNote::File(_) => tracing::warn!("{note}"),
                NameNote::Changed(_) => tracing::info!("{note}"),
            }
        }
    }
}

fn usable(path: &Path, loaded: Result<Loaded, LoadError>) -> Result<Usable, Unusable> {
    let Loaded { config, warnings, .. } = loaded?;
    if config.service == ServiceKind::Fos {
        return Err(Unusable::FailoverServices(path.to_owned()));
    }
    Ok(Usable { config, warnings })
}
