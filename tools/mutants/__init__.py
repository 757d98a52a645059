"""`make mutants`: breaks the code one line at a time, and fails if the tests of `make test` don't see it."""
