//! What happens around an attempt, one concern per file. The order is written in [`attempt`](crate::attempt).

pub(crate) mod balance;
pub(crate) mod intercept;
pub(crate) mod log;
pub(crate) mod timeout;
