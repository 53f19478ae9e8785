"""What the readers of plain files share: listing, budget, partitions, the union of files, the
state. No format is known here.
"""
