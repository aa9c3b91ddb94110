"""The write side of reporting: locks and states of a batch, writes by table, and what the close of a day reads."""

from services.reporting.store.batches import load_items, load_payments, save_rows
from services.reporting.store.days import DayFacts, forget_day, load_day

__all__ = ["DayFacts", "forget_day", "load_day", "load_items", "load_payments", "save_rows"]
