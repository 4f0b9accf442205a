"""Write JSON replies that are safe to show: many are read with `curl` on a terminal."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse

from rag_search.text.sanitize import escape_json


class JSONReply(JSONResponse):
    """JSON in which control characters, direction overrides and invisible characters are escaped.

    So are lone surrogates, the bytes of a path that are not UTF-8: they cannot be encoded.
    """

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return escape_json(text).encode()
