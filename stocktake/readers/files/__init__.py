"""What the readers of plain files share: listing, budget, partitions, union, state.

No format is known here.
"""
