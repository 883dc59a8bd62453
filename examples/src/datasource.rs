//! `spring.datasource.url`: where a service keeps its data.

use std::str::FromStr;

use sqlx::sqlite::SqliteConnectOptions;
use vernal::BoxError;
use vernal::config::Settings;

const KEY: &str = "spring.datasource.url";

/// Why a datasource URL cannot be used. Shows no login.
#[derive(Debug, thiserror::Error)]
#[error("`{KEY}` is `{shown}`, expected the URL of an SQLite database such as `sqlite:orders.db`")]
pub struct DatasourceError {
    shown: String,
    #[source]
    source: Option<sqlx::Error>,
}

/// The URL in the settings.
///
/// # Errors
///
/// If there is none; says so if that is because the config server did not answer.
pub fn url(settings: &Settings) -> Result<String, BoxError> {
    if let Some(url) = settings.get(KEY)? {
        return Ok(url);
    }
    let status = settings.status();
    match status.failure.filter(|_| status.consecutive_failures > 0) {
        Some(failure) => Err(format!("`{KEY}` is not set; the config server did not answer: {failure}").into()),
        None => Err(format!("`{KEY}` is not set").into()),
    }
}

/// The database at `url`.
///
/// # Errors
///
/// If the URL is not one of SQLite.
pub fn options(url: &str) -> Result<SqliteConnectOptions, DatasourceError> {
    let unfit = |source| DatasourceError { shown: without_login(url), source };
    // sqlx takes the URL of any other database for the name of a file.
    if !url.starts_with("sqlite:") {
        return Err(unfit(None));
    }
    SqliteConnectOptions::from_str(url).map_err(|error| unfit(Some(error)))
}

/// A URL without user info and query, either of which may hold a password.
#[must_use]
pub fn without_login(url: &str) -> String {
    let scheme = url.find("://").map(|end| end + 3).or_else(|| url.find(':').map(|end| end + 1)).unwrap_or(0);
    let (scheme, rest) = url.split_at(scheme);
    let (place, query) = rest.split_at(rest.find(['?', '#', ';']).unwrap_or(rest.len()));
    // A password may hold any of these characters; then nobody can tell where it ends.
    if query.contains('@') {
        return format!("{scheme}***");
    }
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    format!("{scheme}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_not_shown() {
        for (url, shown) in [
            ("mysql://root:topsecretpw@db:3306/orders", "mysql://db:3306/orders"),
            ("mysql://root:top/secret@pw@db/orders", "mysql://db/orders"),
            ("mysql://root:top?secretpw@db/orders", "mysql://***"),
            ("jdbc:mysql://db/orders?user=root&password=topsecretpw", "jdbc:mysql://db/orders"),
            ("jdbc:sqlserver://db;user=sa;password=topsecretpw", "jdbc:sqlserver://db"),
            ("http://ORDER_SERVICE/order_service/%s/orders", "http://ORDER_SERVICE/order_service/%s/orders"),
            ("sqlite::memory:", "sqlite::memory:"),
            ("sqlite:target/orders.db", "sqlite:target/orders.db"),
        ] {
            assert_eq!(without_login(url), shown);
        }
    }

    #[test]
    fn the_url_of_another_database_is_refused_with_the_key_and_what_was_expected() {
        let error = options("mysql://root:topsecretpw@db/orders").unwrap_err();
        let expected = "`spring.datasource.url` is `mysql://db/orders`, expected the URL of an SQLite database";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(!format!("{error:?}").contains("topsecretpw"));
        assert!(options("sqlite:target/orders.db").is_ok() && options("sqlite::memory:").is_ok());
    }
}
