#!/usr/bin/env bash
# The web page in a real Chromium, with hostile documents; and the same tests with the oldest Gradio that pyproject allows.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=$(realpath -m "${UI_VENV:-.venv-ui}")

if ! command -v chromium > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium fonts-noto-cjk > /dev/null
fi
[ -x "$VENV/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$VENV" && "$VENV/bin/python" -m pip install --quiet uv; }
install() { "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" "$@"; }
test_them() { "$VENV/bin/python" -m pytest -m 'slow or not slow' -p no:cacheprovider -ra --durations=5 tests/ui; }

install -e '.[cpu,test,browser]'
test_them
install 'gradio==6.24.0'
test_them
