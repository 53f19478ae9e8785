"""The web application in this process, on a real database, asked over HTTP."""
