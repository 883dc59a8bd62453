use std::fmt;
use std::str::FromStr;

/// A step of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Settings come from the config server.
    Config,
    /// A `{cipher}` value arrives in plain.
    Cipher,
    /// The user service is in the registry.
    Registration,
    /// A user and orders are made through the gateway.
    Gateway,
    /// Orders of a user over the configured URL.
    Url,
    /// Orders of a user over the service's name.
    Name,
    /// Orders of a user through the Feign client, with its full log.
    Feign,
    /// A 404 through the error decoder.
    NotFound,
    /// A 500 through the error decoder.
    ServerError,
    /// Both instances tell the same.
    Data,
    /// An instance is killed and calls go on.
    FailOver,
    /// A changed setting reaches every service.
    Refresh,
    /// The user service leaves.
    Leave,
}

impl Step {
    /// All steps in their order.
    pub const ALL: [Self; 13] = [
        Self::Config,
        Self::Cipher,
        Self::Registration,
        Self::Gateway,
        Self::Url,
        Self::Name,
        Self::Feign,
        Self::NotFound,
        Self::ServerError,
        Self::Data,
        Self::FailOver,
        Self::Refresh,
        Self::Leave,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Cipher => "cipher",
            Self::Registration => "registration",
            Self::Gateway => "gateway",
            Self::Url => "url",
            Self::Name => "name",
            Self::Feign => "feign",
            Self::NotFound => "not-found",
            Self::ServerError => "server-error",
            Self::Data => "data",
            Self::FailOver => "fail-over",
            Self::Refresh => "refresh",
            Self::Leave => "leave",
        }
    }

    /// What it shows.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Config => "the user service starts with the config server's settings",
            Self::Cipher => "a {cipher} value arrives in plain",
            Self::Registration => "the user service registers and can be found",
            Self::Gateway => "a user and two orders are made through the gateway",
            Self::Url => "RestClient reads the orders over the configured URL, through the gateway",
            Self::Name => "the URL is changed to the service's name; RestClient reads the orders by name",
            Self::Feign => "the Feign client reads the orders, with Feign's FULL log",
            Self::NotFound => "a wrong path: 404 through the global error decoder",
            Self::ServerError => "the order database breaks: 500 through the global error decoder",
            Self::Data => "orders written through either order service read the same from both",
            Self::FailOver => "an order service is killed without a word; calls go on at once",
            Self::Refresh => "a setting is edited, POST /actuator/busrefresh: every service shows it",
            Self::Leave => "the user service leaves: no registry entry, no queue, no port",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|step| step.name() == text)
            .ok_or_else(|| format!("no step `{text}`; steps: {}", names()))
    }
}
