"""Unit tests of `stocktake.jobs`."""
