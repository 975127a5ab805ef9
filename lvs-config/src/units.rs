//! Values with a range of their own. A value of one of these types is valid: its constructor has checked it.

use std::fmt;
use std::num::NonZeroU32;

/// Weight of a real server, 0 to 65535 (`weight`). 0 takes no new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// Largest weight.
    pub const MAX: u32 = u16::MAX as u32;

    /// The weight `value`, or `None` above [`Weight::MAX`].
    pub fn new(value: u32) -> Option<Self> {
        u16::try_from(value).ok().map(Self)
    }

    /// The number.
    pub fn value(self) -> u32 {
        u32::from(self.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Firewall mark of a virtual server, 1 to 2³²−1 (`fwmark`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FwMark(NonZeroU32);

impl FwMark {
    /// The mark `value`, or `None` for 0, which means "no mark".
    pub fn new(value: u32) -> Option<Self> {
        NonZeroU32::new(value).map(Self)
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for FwMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A network device as the file writes it: `eth0`, or `eth0:1` with an alias label.
///
/// The whole text, at most 15 bytes, is the label under which an IPv4 address is listed (`IFA_LABEL`); the part
/// before the colon is the interface that carries it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    label: String,
    interface_len: usize,
}

/// Why a word is not a device name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No characters, or none before the colon.
    #[error("the interface name is missing")]
    Empty,
    /// Longer than the kernel's `IFNAMSIZ` less its final zero.
    #[error("longer than 15 characters")]
    TooLong,
    /// A slash, white space or control character, or a second colon.
    #[error("contains a character that no interface name can have")]
    BadCharacter,
}

impl Device {
    /// Reads `eth0` or `eth0:1`.
    ///
    /// # Errors
    /// [`DeviceError`] when the kernel could not have such a name.
    pub fn new(text: &str) -> Result<Self, DeviceError> {
        let interface_len = text.find(':').unwrap_or(text.len());
        if interface_len == 0 {
            return Err(DeviceError::Empty);
        }
        if text.len() > 15 {
            return Err(DeviceError::TooLong);
        }
        let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if text.contains(odd) || text[interface_len..].matches(':').count() > 1 {
            return Err(DeviceError::BadCharacter);
        }
        Ok(Self { label: text.to_owned(), interface_len })
    }

    /// The interface, without the alias.
    pub fn interface(&self) -> &str {
        &self.label[..self.interface_len]
    }

    /// The text of the file; equals [`Device::interface`] when it names no alias.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}
