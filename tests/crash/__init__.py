"""A writer is killed at random moments, again and again; nothing it acknowledged may be missing or changed.

python -m tests.crash --kills 300
"""
