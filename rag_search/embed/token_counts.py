"""Count tokens without the model: by its own tokenizer if it is on this machine, else by an estimate.

Chunks are cut to a token budget, so every block of every document is counted; a request to a server for each would cost
more than the embedding.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag_search.records import CountTokens
from rag_search.text.scripts import CJK

_WIDE = re.compile(f"[{CJK}]")


def token_counter(model: str) -> CountTokens:
    """Return the exact counter of `model` (a folder, or a hub name in the local cache), else the estimate."""
    file = find_tokenizer(model)
    if file is None:
        return estimated_tokens
    tokenizer = Tokenizer.from_file(str(file))

    def count(texts: Sequence[str]) -> NDArray[np.int64]:
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return np.array([len(row.ids) for row in encoded], np.int64)

    return count


def find_tokenizer(model: str) -> Path | None:
    """Return tokenizer.json of a model folder, or of the model's snapshot in the hub's cache; None if there is none.

    The snapshot is the one that `main` names, else the newest.
    """
    if (Path(model) / "tokenizer.json").is_file():
        return Path(model) / "tokenizer.json"
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    folder = hub / f"models--{model.replace('/', '--')}"
    main = folder / "refs" / "main"
    if main.is_file():
        named = folder / "snapshots" / main.read_text("utf-8").strip() / "tokenizer.json"
        if named.is_file():
            return named
    return max(folder.glob("snapshots/*/tokenizer.json"), key=lambda file: file.stat().st_mtime_ns, default=None)


def estimated_tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """Estimate tokens a little above what the byte-pair vocabularies of 2024-25 need: int64 (n,).

    One for a CJK character, one for three others. Qwen3 needs about 0.7 and 0.25; too high an estimate makes chunks
    shorter, too low a one makes a request fail.
    """
    counts = []
    for text in texts:
        wide = len(_WIDE.findall(text))
        counts.append(wide + (len(text) - wide + 2) // 3)
    return np.array(counts, np.int64)
