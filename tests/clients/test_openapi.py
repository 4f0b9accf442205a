"""schemathesis reads the OpenAPI document and sends what it allows, and what it does not, to a running server.

It looks for server errors, statuses and bodies that the document does not name, wrong data that is accepted, right data
that is refused, and routes that answer without the key.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytestmark = pytest.mark.slow
EXAMPLES = 15  # of each route, beside those of the coverage phase


def test_the_server_does_what_its_openapi_document_says(guarded: str, tmp_path: Path) -> None:
    document = httpx.get(f"{guarded}/openapi.json", headers={"X-API-Key": "secret"}, timeout=60)
    (tmp_path / "openapi.json").write_text(document.text, "utf-8")
    (tmp_path / "schemathesis.toml").write_text(
        f"""
seed = 1
continue-on-failure = true
[generation]
database = "none"
max-examples = {EXAMPLES}
[auth.openapi.HTTPBearer]
bearer = "secret"
[checks.positive_data_acceptance]
# 400: a blank query, unequal lists, foreign dimensions: a schema cannot say these. 413: more passages than allowed
expected-statuses = ["200", "204", "400", "413"]
[[operations]]
include-name = "POST /score" # most random lists have unequal lengths, which is right to refuse
warnings = false
""",
        "utf-8",
    )
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", guarded, "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "No issues found" in done.stdout
    routes = sum(len(methods) for methods in document.json()["paths"].values())
    assert f"{routes} selected / {routes} total" in done.stdout
