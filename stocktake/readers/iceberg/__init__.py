"""The reader of Iceberg tables: the newest file of a root's `metadata` folder, without a catalog.

It opens no manifest and no data file but for a preview, and nothing outside of the table's
root.
"""
