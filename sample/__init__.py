"""The seeded sample quarter of a virtual-data-room company, with its truth. Imports nothing from the services."""

from sample.quarter import generate
from sample.truth import Truth

__all__ = ["Truth", "generate"]
