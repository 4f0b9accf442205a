"""Random inputs for everything that reads what others wrote: `python -m tests.fuzz --count 10000 --seed 1`."""
