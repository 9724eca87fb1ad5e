"""python -m mdnwatch."""

from mdnwatch.cli import main

main()
