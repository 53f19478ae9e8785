"""``python -m stocktake.cli``: the command where no script is installed."""

from stocktake.cli import main

main()
