use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow};

use super::Order;
use crate::datasource::{self, DatasourceError};

/// Orders in an SQLite file, which several instances may share.
#[derive(Debug, Clone)]
pub struct OrderStore {
    pool: SqlitePool,
}

/// Why orders could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The setting is no URL of an SQLite database.
    #[error(transparent)]
    Url(#[from] DatasourceError),
    /// The database failed.
    #[error("order database could not be {action}")]
    Database {
        /// `opened`, `read` or `written`.
        action: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
}

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    qty INTEGER NOT NULL,
    unit_price INTEGER NOT NULL,
    total_price INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    instance_id TEXT NOT NULL
)";

impl OrderStore {
    /// Opens the database at `url` (`sqlite:path`) and creates its folder and its table if there are none.
    ///
    /// # Errors
    ///
    /// If the URL is not one of SQLite or the file cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Database { action: "opened", source };
        let options = datasource::options(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(5));
        if let Some(folder) = options.get_filename().parent() {
            tokio::fs::create_dir_all(folder).await.map_err(|error| failed(sqlx::Error::Io(error)))?;
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await
            .map_err(failed)?;
        sqlx::query(SCHEMA).execute(&pool).await.map_err(failed)?;
        Ok(Self { pool })
    }

    /// Stores `order`.
    ///
    /// # Errors
    ///
    /// If the database does not take it.
    pub async fn insert(&self, user_id: &str, order: &Order) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO orders (order_id, user_id, product_id, qty, unit_price, total_price, created_at, instance_id)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&order.order_id)
        .bind(user_id)
        .bind(&order.product_id)
        .bind(number(order.qty))
        .bind(number(order.unit_price))
        .bind(number(order.total_price))
        .bind(&order.created_at)
        .bind(&order.instance_id)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(|source| StoreError::Database { action: "written", source })
    }

    /// The orders of a user, oldest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn of_user(&self, user_id: &str) -> Result<Vec<Order>, StoreError> {
        let failed = |source| StoreError::Database { action: "read", source };
        let rows = sqlx::query("SELECT * FROM orders WHERE user_id = ? ORDER BY number").bind(user_id);
        let rows = rows.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| order(row).map_err(failed)).collect()
    }
}

/// The routes refuse an order whose total does not fit, and no factor is larger than the total.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn order(row: &SqliteRow) -> Result<Order, sqlx::Error> {
    let unsigned = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(Order {
        order_id: row.try_get("order_id")?,
        product_id: row.try_get("product_id")?,
        qty: unsigned("qty")?,
        unit_price: unsigned("unit_price")?,
        total_price: unsigned("total_price")?,
        created_at: row.try_get("created_at")?,
        instance_id: row.try_get("instance_id")?,
    })
}
