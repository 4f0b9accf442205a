"""Search for the nearest vectors. Start with `base`; `select` has the table of backends."""
