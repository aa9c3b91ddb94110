"""The write side of the subledger: load and lock, save, totals. Every statement is named and set-based."""

from services.cash_application.store.connecting import connect, lock_amounts
from services.cash_application.store.loading import load_books
from services.cash_application.store.missing_rates import waiting_for_rates
from services.cash_application.store.saving import save_books
from services.cash_application.store.totals import load_totals, roll_up

__all__ = ["connect", "load_books", "load_totals", "lock_amounts", "roll_up", "save_books", "waiting_for_rates"]
