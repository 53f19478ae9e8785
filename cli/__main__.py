"""``python -m cli``: the command where no script is installed."""

from cli import main

main()
