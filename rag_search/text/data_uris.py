"""Find base64 data in a text, such as an embedded picture."""

from __future__ import annotations

import re

DATA_URI = re.compile(r"(data:[a-z]{1,20}/[\w.+-]{1,60}(?:;[\w=-]{1,40}){0,4};base64,)[A-Za-z0-9+/=_%-]{64,}")


def without_data(text: str) -> str:
    """Return `text` with `…` in place of long base64 in data URIs. The lines stay."""
    return DATA_URI.sub(r"\1…", text) if ";base64," in text else text
