"""Settings of cash application: those that every service has."""

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Nothing of its own: how payments are matched is in the activated policy, not in settings."""
