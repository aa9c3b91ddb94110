"""The HTTP API of ingest, by noun."""

from services.ingest.api import clock, configuration, held, submissions

routers = [submissions.router, held.router, configuration.router, clock.router]
