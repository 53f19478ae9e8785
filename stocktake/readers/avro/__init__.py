"""The reader of Avro's container files: headers, by byte ranges.

No block of records is read here.
"""
