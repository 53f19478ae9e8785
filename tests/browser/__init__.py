"""The console in a real browser, against the whole of `stocktake up`."""
