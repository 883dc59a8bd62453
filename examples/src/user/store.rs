use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteRow};

use super::User;
use super::password::PasswordHash;
use crate::datasource::{self, DatasourceError};

/// Users in an SQLite database.
#[derive(Debug, Clone)]
pub struct UserStore {
    pool: SqlitePool,
}

/// Why users could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody has that address.
    #[error("a user with the email `{0}` exists")]
    EmailTaken(String),
    /// The setting is no URL of an SQLite database.
    #[error(transparent)]
    Url(#[from] DatasourceError),
    /// The database failed.
    #[error("user database could not be {action}")]
    Database {
        /// `opened`, `read` or `written`.
        action: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
}

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS users (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    pwd TEXT NOT NULL
)";

impl UserStore {
    /// Opens the database at `url` and creates its table if there is none.
    ///
    /// # Errors
    ///
    /// If the URL is not one of SQLite or the file cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Database { action: "opened", source };
        let options = datasource::options(url)?.create_if_missing(true).busy_timeout(Duration::from_secs(5));
        // One connection that never goes: a database in memory lives as long as its connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await
            .map_err(failed)?;
        sqlx::query(SCHEMA).execute(&pool).await.map_err(failed)?;
        Ok(Self { pool })
    }

    /// Stores `user`.
    ///
    /// # Errors
    ///
    /// [`StoreError::EmailTaken`], or the database does not take it.
    pub async fn insert(&self, user: &User, password: &PasswordHash) -> Result<(), StoreError> {
        let insert = sqlx::query("INSERT INTO users (user_id, email, name, pwd) VALUES (?, ?, ?, ?)");
        let insert = insert.bind(&user.user_id).bind(&user.email).bind(&user.name).bind(password.as_str());
        match insert.execute(&self.pool).await {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(StoreError::EmailTaken(user.email.clone()))
            }
            Err(source) => Err(StoreError::Database { action: "written", source }),
        }
    }

    /// Whether somebody has that address.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn is_taken(&self, email: &str) -> Result<bool, StoreError> {
        let select = sqlx::query("SELECT 1 FROM users WHERE email = ?").bind(email).fetch_optional(&self.pool).await;
        select.map(|row| row.is_some()).map_err(|source| StoreError::Database { action: "read", source })
    }

    /// All users, oldest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn all(&self) -> Result<Vec<User>, StoreError> {
        let rows = sqlx::query("SELECT user_id, email, name FROM users ORDER BY number").fetch_all(&self.pool).await;
        rows.and_then(|rows| rows.iter().map(user).collect())
            .map_err(|source| StoreError::Database { action: "read", source })
    }

    /// The user with that id.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn find(&self, user_id: &str) -> Result<Option<User>, StoreError> {
        let select = sqlx::query("SELECT user_id, email, name FROM users WHERE user_id = ?").bind(user_id);
        let row = select.fetch_optional(&self.pool).await;
        row.and_then(|row| row.as_ref().map(user).transpose())
            .map_err(|source| StoreError::Database { action: "read", source })
    }
}

fn user(row: &SqliteRow) -> Result<User, sqlx::Error> {
    Ok(User { user_id: row.try_get("user_id")?, email: row.try_get("email")?, name: row.try_get("name")? })
}
