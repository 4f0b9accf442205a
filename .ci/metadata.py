"""Complete the metadata of a build: the address of the repository, and links of the README that work on PyPI.

RAGSEARCH_REPOSITORY names the repository, such as https://example.org/team/ragsearch. Without it a build has no project
URLs, and its README keeps relative links.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<path>(?!https?://|#)[^)\s]+)\)")


class RepositoryLinks(MetadataHookInterface):
    """Sets `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the README, with absolute links if the repository is known."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        repository = os.environ.get("RAGSEARCH_REPOSITORY", "").rstrip("/")
        if repository:
            text = absolute_links(text, repository)
            metadata["urls"] = {
                "Repository": repository,
                "Documentation": f"{repository}/tree/main/docs",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
        else:
            metadata["urls"] = {}
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute_links(text: str, repository: str) -> str:
    """Return Markdown whose relative links lead to the repository; pictures lead to the file itself."""

    def absolute(match: re.Match[str]) -> str:
        kind = "raw" if match["open"].startswith("!") else "blob"
        return f"{match['open']}{repository}/{kind}/main/{match['path'].removeprefix('./')})"

    return LINK.sub(absolute, text)
