"""The read side of reporting: states at a cut, lists with keyset pages, one account. SQLAlchemy Core, no writes."""
