"""Server-rendered pages: overview, accounts, exceptions, login. No JavaScript, nothing foreign is loaded."""
