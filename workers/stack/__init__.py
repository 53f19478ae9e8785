"""The whole service on one machine, as `stocktake up` runs it.

A process that is deployed by itself needs nothing of this.
"""
