"""Measurements of the running service, with the conditions they were taken under."""
