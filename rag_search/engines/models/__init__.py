"""Models that are not in the package: which are known, where they are, and how to get them."""
