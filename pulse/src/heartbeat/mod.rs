//! What two routers say to each other, and over which paths.
//!
//! [`wire`] turns messages into datagrams and back, [`paths`] knows on which links the other router is heard, and
//! [`socket`] alone touches the network. None of them decides who serves; that is [`crate::election`].

pub mod paths;
pub mod socket;
pub mod wire;
