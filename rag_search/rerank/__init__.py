"""Score passages for a query: one interface, several engines."""
