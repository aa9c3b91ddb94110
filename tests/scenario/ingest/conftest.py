"""The door of tests/store/ingest, for whole stories."""

from tests.store.ingest.conftest import door, make_door

__all__ = ["door", "make_door"]
