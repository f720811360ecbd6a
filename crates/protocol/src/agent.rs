//! The messages of the device audience, by route.

pub mod activation;
pub mod fetch;
pub mod password;
pub mod policy;
pub mod run;
pub mod session;
pub mod status;
