"""The write side of the store: locks and loads, copies of facts, notices, effects. All statements are set-based."""

from services.notifications.store.effects import add_effects, backlog, claim_effects, save_effects
from services.notifications.store.facts import save_facts
from services.notifications.store.load import (
    Loaded,
    load_effects,
    load_known,
    load_notices,
    load_retried,
    lock_accounts,
)
from services.notifications.store.notices import (
    add_gate_records,
    add_notices,
    claim_lost,
    claim_notices,
    count_pending,
    count_statuses,
    release_notices,
    save_notices,
)

__all__ = [
    "Loaded", "add_effects", "add_gate_records", "add_notices", "backlog", "claim_effects", "claim_lost",
    "claim_notices", "count_pending", "count_statuses", "load_effects", "load_known", "load_notices",
    "load_retried", "lock_accounts", "release_notices", "save_effects", "save_facts", "save_notices",
]  # fmt: skip
