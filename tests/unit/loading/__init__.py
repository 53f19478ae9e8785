"""Unit tests of `stocktake.loading`."""
