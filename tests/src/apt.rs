//! Packages of a Debian archive, fetched with apt but without installing anything and without root.
//!
//! apt gets a state folder of its own, so the machine's package lists and settings stay as they are. The archive is
//! the one that the machine's own sources name, with its keyring, so apt verifies signatures as always.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::unistd::Uid;

use crate::progress::Progress;

/// Hooks of the machine that other people's apt runs must not trigger.
const FOREIGN_HOOKS: [&str; 3] =
    ["APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success", "DPkg::Post-Invoke"];

/// An archive as the machine's sources name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// Where it is.
    pub(crate) uri: String,
    /// The suites of this machine (`bookworm bookworm-updates`).
    pub(crate) suites: String,
    /// Keyring path or embedded key, as deb822 writes it (continuation lines included).
    pub(crate) signed_by: Option<String>,
}

/// The Debian archive that this machine uses.
///
/// # Errors
/// When it is no Debian machine or its sources name no archive of its release.
pub(crate) fn machines_archive() -> Result<Archive> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = codename(&release).ok_or_else(|| {
        anyhow!("/etc/os-release names no VERSION_CODENAME: the lab kernel can be fetched on Debian only")
    })?;
    let mut sources = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut listed: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
        listed.sort();
        sources.extend(listed);
    }
    let mut archives = Vec::new();
    for path in sources {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        match path.extension().and_then(|e| e.to_str()) {
            Some("sources") => archives.extend(parse_deb822(&text)),
            Some("list") => archives.extend(parse_one_line(&text)),
            _ => {}
        }
    }
    let serves = |archive: &Archive| archive.suites.split_whitespace().any(|suite| suite == codename);
    archives.into_iter().find(serves).ok_or_else(|| {
        anyhow!("no entry of /etc/apt/sources.list or /etc/apt/sources.list.d serves the suite `{codename}`")
    })
}

/// The running release's code name; an unnamed one is unstable.
fn codename(os_release: &str) -> Option<String> {
    let field = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches('"').to_owned())
    };
    field("VERSION_CODENAME=")
}

/// Entries of a `*.sources` file: stanzas of `Key: value` with continuation lines (sources.list(5)).
fn parse_deb822(text: &str) -> Vec<Archive> {
    let mut stanzas = vec![BTreeMap::<String, String>::new()];
    let mut key = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(stanza) = stanzas.last_mut() else { break };
        if line.trim().is_empty() {
            stanzas.push(BTreeMap::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = stanza.get_mut(&key) {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            key = name.trim().to_ascii_lowercase();
            stanza.insert(key.clone(), value.trim().to_owned());
        }
    }
    let archive = |stanza: &BTreeMap<String, String>| {
        let words = |key: &str| stanza.get(key).map(String::as_str).unwrap_or_default();
        let has = |key: &str, word: &str| words(key).split_whitespace().any(|w| w == word);
        let enabled = !matches!(words("enabled"), "no" | "false" | "0");
        if !(enabled && has("types", "deb") && has("components", "main")) {
            return None;
        }
        Some(Archive {
            uri: words("uris").split_whitespace().next()?.to_owned(),
            suites: words("suites").split_whitespace().collect::<Vec<_>>().join(" "),
            signed_by: stanza.get("signed-by").cloned(),
        })
    };
    stanzas.iter().filter_map(archive).collect()
}

/// Entries of a `*.list` file: `deb [options] uri suite component ...`.
fn parse_one_line(text: &str) -> Vec<Archive> {
    let entry = |line: &str| {
        let line = line.split('#').next()?.trim();
        let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        words.any(|component| component == "main").then(|| Archive {
            uri: uri.to_owned(),
            suites: suite.to_owned(),
            signed_by: signed_by.map(|value| value.replace(',', " ")),
        })
    };
    text.lines().filter_map(entry).collect()
}

/// apt with a state folder of its own.
pub(crate) struct Apt {
    folder: PathBuf,
    config: PathBuf,
}

impl Apt {
    /// Prepares the folder for suites of an archive.
    pub(crate) fn new(folder: &Path, archive: &Archive, suites: &str) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("create {}", folder.display()))?;
        }
        let mut source = format!(
            "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\nTargets: Packages\n",
            archive.uri
        );
        if let Some(key) = &archive.signed_by {
            source.push_str(&format!("Signed-By: {key}\n"));
        }
        // The extension decides how apt reads it.
        let list = folder.join("lab.sources");
        fs::write(&list, source)?;
        let hooks = FOREIGN_HOOKS.map(|hook| format!("#clear {hook};\n")).concat();
        let at = folder.display();
        let mut text = format!(
            "{hooks}Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"/dev/null\";\nDir::State::Lists \"{at}/lists\";\n\
             Dir::Cache \"{at}/cache\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\nAPT::Status-Fd \"1\";\n",
            list.display()
        );
        if Uid::effective().is_root() {
            // apt would change to a user of its own who may not enter our folder.
            text.push_str("APT::Sandbox::User \"root\";\n");
        }
        let config = folder.join("apt.conf");
        fs::write(&config, text)?;
        Ok(Self { folder: folder.to_owned(), config })
    }

    /// Fetches the lists of packages.
    pub(crate) fn update(&self, what: &str) -> Result<()> {
        self.run(&["update"], &self.folder, &mut Progress::new(what)).context("fetch the lists of packages")
    }

    /// Downloads packages into an existing folder.
    pub(crate) fn download(&self, packages: &[String], into: &Path, what: &str) -> Result<()> {
        let args: Vec<&str> =
            std::iter::once("download").chain(packages.iter().map(String::as_str)).collect();
        self.run(&args, into, &mut Progress::new(what))
            .with_context(|| format!("download {}", packages.join(", ")))
    }

    /// The packages that installing `package` would add to this machine, itself included.
    pub(crate) fn missing_for(&self, package: &str) -> Result<Vec<String>> {
        let output = self
            .apt_get()
            .args(["-o", "APT::Status-Fd=-1", "--simulate", "--no-install-recommends", "install", package])
            .output()
            .context("start apt-get")?;
        if !output.status.success() {
            bail!("apt-get knows no {package}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let added = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
        let added: Vec<String> = added.map(str::to_owned).collect();
        // Nothing is added where the package counts as installed although its program is gone.
        Ok(if added.is_empty() { vec![package.to_owned()] } else { added })
    }

    fn apt_get(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("-c").arg(&self.config).arg("-qq").env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Runs apt-get; its status lines move the progress.
    fn run(&self, args: &[&str], folder: &Path, progress: &mut Progress) -> Result<()> {
        let mut child = self
            .apt_get()
            .args(args)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start apt-get: the lab kernel can be fetched on Debian only")?;
        if let Some(out) = child.stdout.take() {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(percent) = percent(&line) {
                    progress.at(percent);
                }
            }
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("apt-get {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        progress.done();
        Ok(())
    }
}

/// The percentage in `dlstatus:3:42.5:text` (apt's README.progress-reporting).
fn percent(line: &str) -> Option<f64> {
    let mut fields = line.strip_prefix("dlstatus:")?.split(':');
    fields.nth(1)?.parse().ok()
}

/// Unpacks a package file under a folder.
pub(crate) fn unpack(package: &Path, into: &Path) -> Result<()> {
    let output = Command::new("dpkg").arg("-x").arg(package).arg(into).output().context("start dpkg")?;
    if !output.status.success() {
        bail!("dpkg -x {}: {}", package.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The package files in a folder by package name, with their versions.
pub(crate) fn package_files(folder: &Path) -> Result<BTreeMap<String, (PathBuf, String)>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // NAME_VERSION_ARCHITECTURE.deb, an epoch's colon written as %3a.
        if let Some((package, rest)) = name.strip_suffix(".deb").and_then(|stem| stem.split_once('_')) {
            let version = rest.rsplit_once('_').map_or(rest, |(version, _)| version).replace("%3a", ":");
            found.insert(package.to_owned(), (path, version));
        }
    }
    Ok(found)
}

/// The Debian name of this machine's library folders (`x86_64-linux-gnu`).
pub(crate) fn multiarch() -> String {
    format!("{}-linux-gnu", env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sources_file_is_read_with_comments_keys_and_disabled_entries() {
        let text = "\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://other.example/
Suites: trixie
Components: main
Enabled: no
";
        assert_eq!(
            parse_deb822(text),
            [Archive {
                uri: "http://mirror.example/debian".to_owned(),
                suites: "trixie trixie-updates".to_owned(),
                signed_by: Some("\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc".to_owned()),
            }]
        );
    }

    #[test]
    fn one_line_entries_are_read_with_and_without_options() {
        let text = "\
# deb http://off.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://mirror.example/debian bookworm main # yes
deb http://plain.example/debian sid main contrib
deb http://other.example/ bookworm contrib
";
        let of = |uri: &str, suites: &str, key: Option<&str>| Archive {
            uri: uri.to_owned(),
            suites: suites.to_owned(),
            signed_by: key.map(str::to_owned),
        };
        assert_eq!(
            parse_one_line(text),
            [
                of("http://mirror.example/debian", "bookworm", Some("/usr/share/keyrings/a.gpg")),
                of("http://plain.example/debian", "sid", None),
            ]
        );
    }

    #[test]
    fn the_code_name_is_found_quoted_or_not() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n").as_deref(), Some("bookworm"));
        assert_eq!(codename("VERSION_CODENAME=\"trixie\"\n").as_deref(), Some("trixie"));
        assert_eq!(codename("ID=arch\n"), None);
    }

    #[test]
    fn status_lines_give_percentages() {
        assert_eq!(percent("dlstatus:1:52.5:Retrieving file 1 of 2"), Some(52.5));
        assert_eq!(percent("Get:1 something"), None);
    }
}
