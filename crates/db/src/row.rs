//! Reads the columns of a row into the house's types.
//! Refuses a value of another length or range: it is an error with the column's name, never a default.

use crate::DbError;
use crate::error::failed;
use crate::sql::Row;
use base::Timestamp;

/// The columns of a row as the house's types. Each fails when the column is absent or holds something else.
pub(crate) trait Columns {
    /// Exactly `N` bytes.
    fn bytes<const N: usize>(&self, column: &'static str) -> Result<[u8; N], DbError>;

    /// Exactly `N` bytes, or null.
    fn bytes_maybe<const N: usize>(&self, column: &'static str) -> Result<Option<[u8; N]>, DbError>;

    /// Any bytes.
    fn octets(&self, column: &'static str) -> Result<Vec<u8>, DbError>;

    /// A text.
    fn text(&self, column: &'static str) -> Result<String, DbError>;

    /// A text, or null.
    fn text_maybe(&self, column: &'static str) -> Result<Option<String>, DbError>;

    /// A number of any sign.
    fn int(&self, column: &'static str) -> Result<i64, DbError>;

    /// A number that fits `T`; `what` names it in the error.
    fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, DbError>;

    /// The same, or null.
    fn number_maybe<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, DbError>;

    /// A point in time.
    fn time(&self, column: &'static str) -> Result<Timestamp, DbError>;

    /// A point in time, or null.
    fn time_maybe(&self, column: &'static str) -> Result<Option<Timestamp>, DbError>;
}

/// A number for a column; one that SQL does not know counts as the largest that it does. Never fails.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const OP: &str = "read a row";

impl Columns for Row {
    fn bytes<const N: usize>(&self, column: &'static str) -> Result<[u8; N], DbError> {
        let bytes: &[u8] = self.try_get(column).map_err(failed(OP))?;
        bytes.try_into().map_err(|_| wrong_length(column))
    }

    fn bytes_maybe<const N: usize>(&self, column: &'static str) -> Result<Option<[u8; N]>, DbError> {
        let bytes: Option<&[u8]> = self.try_get(column).map_err(failed(OP))?;
        bytes.map(|bytes| bytes.try_into().map_err(|_| wrong_length(column))).transpose()
    }

    fn octets(&self, column: &'static str) -> Result<Vec<u8>, DbError> {
        self.try_get(column).map_err(failed(OP))
    }

    fn text(&self, column: &'static str) -> Result<String, DbError> {
        self.try_get(column).map_err(failed(OP))
    }

    fn text_maybe(&self, column: &'static str) -> Result<Option<String>, DbError> {
        self.try_get(column).map_err(failed(OP))
    }

    fn int(&self, column: &'static str) -> Result<i64, DbError> {
        self.try_get(column).map_err(failed(OP))
    }

    fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, DbError> {
        T::try_from(self.int(column)?).map_err(|_| wrong_number(column))
    }

    fn number_maybe<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, DbError> {
        let number: Option<i64> = self.try_get(column).map_err(failed(OP))?;
        number.map(|number| T::try_from(number).map_err(|_| wrong_number(column))).transpose()
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, DbError> {
        self.int(column).map(Timestamp::from_ms)
    }

    fn time_maybe(&self, column: &'static str) -> Result<Option<Timestamp>, DbError> {
        let ms: Option<i64> = self.try_get(column).map_err(failed(OP))?;
        Ok(ms.map(Timestamp::from_ms))
    }
}

fn wrong_number(column: &'static str) -> DbError {
    DbError::Column { column, what: "the numbers that belong there" }
}

fn wrong_length(column: &'static str) -> DbError {
    DbError::Column { column, what: "the byte strings of the right length" }
}
