"""The commands of ragsearch, one module each."""
