"""Triggers by which the database itself keeps the journal: entries balance, and are never changed or deleted.

They run once per statement, not per row: all lines of an entry are inserted by one statement.
"""

import sqlalchemy as sa
from sqlalchemy import event

BALANCED = """
create or replace function entry_is_balanced() returns trigger language plpgsql as $$
declare wrong uuid;
begin
  select posting_id into wrong from
    (select posting_id, bank_account, sum(amount_minor) as amount from fresh group by posting_id, bank_account) as tag
    where amount <> 0 limit 1;
  if wrong is null then
    select posting_id into wrong from fresh group by posting_id having sum(base_minor) <> 0 limit 1;
  end if;
  if wrong is not null then
    raise exception 'journal entry % does not balance; all lines of an entry are inserted by one statement', wrong;
  end if;
  return null;
end $$
"""
APPEND_ONLY = """
create or replace function entry_is_final() returns trigger language plpgsql as $$
begin
  raise exception 'entries of the journal are never changed or deleted; reverse them';
end $$
"""
TRIGGERS = (
    "create trigger journal_line_balanced after insert on journal_line referencing new table as fresh"
    " for each statement execute function entry_is_balanced()",
    "create trigger journal_line_final before update or delete on journal_line"
    " for each statement execute function entry_is_final()",
    "create trigger posting_final before update or delete on posting"
    " for each statement execute function entry_is_final()",
)
STATEMENTS = (BALANCED, APPEND_ONLY, *TRIGGERS)


def guard_journal(metadata: sa.MetaData) -> None:
    """Create the triggers after the tables."""
    for statement in STATEMENTS:
        event.listen(metadata, "after_create", sa.DDL(statement.replace("%", "%%")))
