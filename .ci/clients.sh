#!/usr/bin/env bash
# Tests with the clients that others wrote (Cohere, OpenAI, LlamaIndex, LangChain, Haystack, Voyage, NVIDIA, Xinference, LiteLLM, MCP), schemathesis, and the
# examples of docs/clients, against real `ragsearch serve` processes. In an environment of its own: they bring 100 packages.
set -euo pipefail
cd "$(dirname "$0")/.."
export HAYSTACK_TELEMETRY_ENABLED=False DO_NOT_TRACK=1
VENV=$(realpath -m "${CLIENTS_VENV:-.venv-clients}")

[ -x "$VENV/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$VENV" && "$VENV/bin/python" -m pip install --quiet uv; }
install() { "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" "$@"; }
# The clients warn and leave sockets open, so warnings are no errors here.
test_them() {
    "$VENV/bin/python" -m pytest -m 'slow or not slow' -W default --disable-warnings -p no:cacheprovider -ra "$@"
}

install -e '.[cpu,test,mcp,clients]'
"$VENV/bin/uv" pip list --python "$VENV/bin/python" 2>/dev/null \
    | grep -E '^(cohere|openai|llama-index|langchain|haystack|vllm-haystack|huggingface-api|jina|nvidia|voyageai|xinference|litellm|together|rerankers|zeroentropy|contextual|mcp|schemathesis|fastapi) *'
test_them -rP --durations=5 tests/clients tests/server/test_mcp.py
install --upgrade cohere # the newest, which langchain-cohere does not take yet
test_them tests/clients -k cohere
