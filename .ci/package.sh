#!/usr/bin/env bash
# The wheel, its installs, and every command of README.md and README.zh-CN.md, in new environments.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=$(realpath -m "${PACKAGE_VENV:-.venv-package}")

[ -x "$VENV/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$VENV" && "$VENV/bin/python" -m pip install --quiet uv; }
"$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" -e '.[cpu,test]' hatchling
PATH="$VENV/bin:$PATH" "$VENV/bin/python" -m pytest -m 'install or not install' -p no:cacheprovider -ra tests/package
