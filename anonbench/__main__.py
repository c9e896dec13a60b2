"""`python -m anonbench`, the same as the command `anonbench`."""

from anonbench.cli import main

main()
