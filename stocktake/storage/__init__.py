"""Where bytes live: places (URLs and who may go there), stores (clients), managed storage.

What the bytes say is `stocktake.readers`' to tell; credentials come in decrypted.
"""
