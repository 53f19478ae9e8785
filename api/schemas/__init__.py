"""Wire models, and how domain objects become them. Nothing here decides anything."""
