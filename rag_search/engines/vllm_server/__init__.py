"""Both vLLM servers on this machine: flags for each card, starting and stopping them."""
