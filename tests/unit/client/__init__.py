"""Unit tests of `stocktake.client`."""
