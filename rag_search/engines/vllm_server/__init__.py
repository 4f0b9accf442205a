"""Both vLLM servers on this machine: which flags for which card, starting and ending them."""
