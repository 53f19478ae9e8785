"""Single functions, laid out as the source is; no socket and no server."""
