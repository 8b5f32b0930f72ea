"""`python -m lunglens` is the command line."""

from lunglens.cli import main

main()
