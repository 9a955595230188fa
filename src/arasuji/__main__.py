"""`python -m arasuji`."""

from arasuji.cli import main

main()
