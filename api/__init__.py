"""HTTP in, HTTP out: the web process, its routes and the bodies they take and give.

What a request does to the data is in `stocktake.services`; no source is read here.
"""
