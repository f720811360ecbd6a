//! Who may change an admin, and that one in service with every permit is always left. Refuses to raise anybody above
//! whoever asks, and to let a weaker one put down a stronger one. Rules: docs/control.md, "Admins".

use crate::{Permits, Refusal};

/// What counts of an admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminStanding {
    /// What the admin may do.
    pub permits: Permits,
    /// Is the admin out of service?
    pub disabled: bool,
}

/// What is done to an admin. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminEvent {
    /// Has these permits from now on, and no others.
    Permits(Permits),
    /// May do nothing any more; everything is kept.
    Disable,
    /// May act again.
    Enable,
    /// Is no admin any more.
    Remove,
}

impl AdminEvent {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            AdminEvent::Permits(_) => "permits",
            AdminEvent::Disable => "disable",
            AdminEvent::Enable => "enable",
            AdminEvent::Remove => "remove",
        }
    }
}

impl AdminStanding {
    /// Is this one of those of whom one must be left? Never fails.
    pub fn is_whole(self) -> bool {
        !self.disabled && self.permits == Permits::all()
    }

    /// `active` or `disabled`. Never fails.
    pub const fn word(self) -> &'static str {
        if self.disabled { "disabled" } else { "active" }
    }
}

/// Gives an admin permits that whoever asks has: at the making, and when an admin is changed.
///
/// # Errors
/// `permit_beyond_own`.
pub fn may_give(own: Permits, permits: Permits) -> Result<(), Refusal> {
    match permits.iter().find(|permit| !own.contains(*permit)) {
        Some(permit) => Err(Refusal::PermitBeyondOwn { permit: permit.word() }),
        None => Ok(()),
    }
}

/// What becomes of an admin; `None` is none. `own` is what whoever asks may do, `others_whole` whether another admin in
/// service has every permit.
///
/// # Errors
/// `permit_beyond_own`, `last_admin`, `admin_state_same`.
pub fn step(
    own: Permits,
    admin: AdminStanding,
    others_whole: bool,
    event: AdminEvent,
) -> Result<Option<AdminStanding>, Refusal> {
    may_give(own, admin.permits)?;
    let after = match event {
        AdminEvent::Permits(permits) => {
            may_give(own, permits)?;
            Some(AdminStanding { permits, ..admin })
        }
        AdminEvent::Disable if admin.disabled => return Err(Refusal::AdminStateSame { state: admin.word() }),
        AdminEvent::Enable if !admin.disabled => return Err(Refusal::AdminStateSame { state: admin.word() }),
        AdminEvent::Disable => Some(AdminStanding { disabled: true, ..admin }),
        AdminEvent::Enable => Some(AdminStanding { disabled: false, ..admin }),
        AdminEvent::Remove => None,
    };
    let is_last = admin.is_whole() && !others_whole;
    if is_last && !after.is_some_and(AdminStanding::is_whole) {
        return Err(Refusal::LastAdmin);
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Permit;
    use crate::document::Table;

    #[test]
    fn every_cell_of_what_may_be_done_to_an_admin_is_as_the_document_says() {
        let table = Table::read("admins");
        let (all, few) = (Permits::all(), Permits::NONE.with(Permit::DeviceRead));
        let events = [
            AdminEvent::Permits(few),
            AdminEvent::Permits(all),
            AdminEvent::Disable,
            AdminEvent::Enable,
            AdminEvent::Remove,
        ];
        let mut expected = Vec::new();
        for (admin, permits, disabled) in
            [("active, every permit", all, false), ("active, some", few, false), ("disabled, every permit", all, true)]
        {
            for (others, others_whole) in [("no", false), ("yes", true)] {
                for (asks, own) in [("every permit", all), ("some", few)] {
                    let cell = |event| match step(own, AdminStanding { permits, disabled }, others_whole, event) {
                        Ok(None) => "removed".to_owned(),
                        Ok(Some(after)) => {
                            let permits = if after.permits == all { "every permit" } else { "some" };
                            format!("{}, {permits}", after.word())
                        }
                        Err(refusal) => format!("`{}`", refusal.code()),
                    };
                    let names = [admin, others, asks].map(str::to_owned).to_vec();
                    expected.push([names, events.map(cell).to_vec()].concat());
                }
            }
        }
        assert_eq!(table.rows, expected);
    }
}
