"""Unit tests of `stocktake.storage`."""
