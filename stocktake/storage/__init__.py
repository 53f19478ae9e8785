"""Where bytes live: URL parsing and the guard (pure), object stores, managed uploads."""
