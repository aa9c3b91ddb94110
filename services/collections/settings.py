"""Settings of collections: those that every service has."""

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Nothing of its own: what collections does is in activated policies, not in settings."""
