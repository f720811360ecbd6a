//! The handlers of the device audience: each converts, calls one use case, and converts back.

pub(crate) mod activation;
pub(crate) mod fetch;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod run;
pub(crate) mod session;
pub(crate) mod snapshot;
