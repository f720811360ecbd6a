//! A state as the flat row that a table stores, and back.
//! Refuses every row that no state makes: an unknown word, a field missing, a field too many, a layer out of place.

use super::{Level, Rights, State};
use base::{Kind, Timestamp};

/// A state in columns. A field is present exactly when the state, or one that it covers, has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlatState {
    /// `State::word`.
    pub word: String,
    /// The words of the states beneath, from the outer to the inner, with a space between: `quarantined active`.
    pub was: Option<String>,
    /// `Rights::word`, of active, held and deactivated.
    pub rights: Option<String>,
    /// `Level::word`, of deactivated.
    pub level: Option<String>,
    /// Of held.
    pub append_until: Option<Timestamp>,
    /// Of deleted.
    pub purge_after: Option<Timestamp>,
}

/// A stored row that no state makes: the database was changed by something else, or by a newer release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no device state is stored as {flat:?}: {why}")]
pub struct NonsenseState {
    /// The row.
    pub flat: Box<FlatState>,
    /// What is wrong with it, as a phrase.
    pub why: &'static str,
}

impl NonsenseState {
    /// Always `Damaged`. Never fails.
    pub const fn kind(&self) -> Kind {
        Kind::Damaged
    }
}

impl State {
    /// The row that stores this state; `from_flat` makes the same state of it. Never fails.
    pub fn to_flat(&self) -> FlatState {
        let mut flat = FlatState { word: self.word().to_owned(), ..FlatState::default() };
        let mut layer = self;
        loop {
            match layer {
                State::Pending | State::Decommissioned | State::Purged => {}
                State::Active { rights } => flat.rights = Some(rights.word().to_owned()),
                State::Held { rights, append_until } => {
                    flat.rights = Some(rights.word().to_owned());
                    flat.append_until = Some(*append_until);
                }
                State::Deactivated { rights, level } => {
                    flat.rights = Some(rights.word().to_owned());
                    flat.level = Some(level.word().to_owned());
                }
                State::Suspended { .. } | State::Quarantined { .. } | State::Decommissioning { .. } => {}
                State::Deleted { purge_after, .. } => flat.purge_after = Some(*purge_after),
            }
            let Some(was) = layer.was() else { return flat };
            flat.was = Some(match flat.was {
                None => was.word().to_owned(),
                Some(outer) => format!("{outer} {}", was.word()),
            });
            layer = was;
        }
    }

    /// The state that is stored as this row. Fails with `NonsenseState` when no state is.
    pub fn from_flat(flat: &FlatState) -> Result<State, NonsenseState> {
        let nonsense = |why| NonsenseState { flat: Box::new(flat.clone()), why };
        let mut words = vec![flat.word.as_str()];
        if let Some(was) = &flat.was {
            words.extend(was.split(' '));
        }
        if words.len() > LAYERS_MAX {
            return Err(nonsense("more layers than states that cover others"));
        }
        let mut rest = flat.clone();
        let mut state = None;
        for word in words.into_iter().rev() {
            state = Some(layer(word, state, &mut rest).map_err(nonsense)?);
        }
        let spare =
            rest.rights.is_some() || rest.level.is_some() || rest.append_until.is_some() || rest.purge_after.is_some();
        if spare {
            return Err(nonsense("a field that none of its words has"));
        }
        state.ok_or_else(|| nonsense("no word"))
    }
}

/// Deleted over decommissioning over suspended over quarantined over a state that covers none.
const LAYERS_MAX: usize = 5;

/// One state over `was`, which is `None` for the innermost word; takes the fields that it needs out of `rest`.
fn layer(word: &str, was: Option<State>, rest: &mut FlatState) -> Result<State, &'static str> {
    if let Some(was) = was {
        return cover(word, was, rest);
    }
    match word {
        "pending" => Ok(State::Pending),
        "active" => Ok(State::Active { rights: take_rights(rest)? }),
        "held" => Ok(State::Held {
            rights: take_rights(rest)?,
            append_until: rest.append_until.take().ok_or("held without append_until")?,
        }),
        "deactivated" => Ok(State::Deactivated { rights: take_rights(rest)?, level: take_level(rest)? }),
        "decommissioned" => Ok(State::Decommissioned),
        "purged" => Ok(State::Purged),
        "suspended" | "quarantined" | "decommissioning" | "deleted" => {
            Err("a state that covers another, without the other")
        }
        _ => Err("an unknown word"),
    }
}

fn cover(word: &str, was: State, rest: &mut FlatState) -> Result<State, &'static str> {
    let fits = match (word, &was) {
        ("quarantined", State::Active { .. } | State::Held { .. }) => true,
        ("suspended" | "decommissioning", State::Active { .. } | State::Held { .. } | State::Deactivated { .. }) => {
            true
        }
        ("suspended" | "decommissioning", State::Quarantined { .. }) => true,
        ("decommissioning", State::Suspended { .. }) => true,
        ("deleted", was) => !matches!(was, State::Deleted { .. } | State::Purged),
        _ => false,
    };
    let was = Box::new(was);
    match word {
        _ if !fits => Err("a state that does not cover the one beneath it"),
        "quarantined" => Ok(State::Quarantined { was }),
        "suspended" => Ok(State::Suspended { was }),
        "decommissioning" => Ok(State::Decommissioning { was }),
        _ => Ok(State::Deleted { was, purge_after: rest.purge_after.take().ok_or("deleted without purge_after")? }),
    }
}

fn take_rights(rest: &mut FlatState) -> Result<Rights, &'static str> {
    let word = rest.rights.take().ok_or("no rights")?;
    Rights::from_word(&word).ok_or("unknown rights")
}

fn take_level(rest: &mut FlatState) -> Result<Level, &'static str> {
    let word = rest.level.take().ok_or("no level")?;
    Level::from_word(&word).ok_or("an unknown level")
}
