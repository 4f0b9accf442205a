"""Tests of the training helpers; those that need PyTorch are skipped without it."""
