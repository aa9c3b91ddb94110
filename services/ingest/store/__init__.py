"""The write side of ingest, by noun. Every statement is named, set-based, and constant in number per chunk."""

from services.ingest.store.chunks import load_chunk
from services.ingest.store.control import (
    load_draft,
    load_quarantined,
    load_statement,
    policy_known,
)
from services.ingest.store.saving import save

__all__ = ["load_chunk", "load_draft", "load_quarantined", "load_statement", "policy_known", "save"]
