"""Write JSON replies that are safe to show: many are read with `curl` on a terminal."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

from rag_search.text.sanitize import escape_json


class JSONReply(JSONResponse):
    """JSON in which control characters, direction overrides and invisible characters are escaped."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return escape_json(super().render(content).decode()).encode()
