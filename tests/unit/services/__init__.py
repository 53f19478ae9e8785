"""Unit tests of `stocktake.services`."""
