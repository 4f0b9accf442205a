#!/usr/bin/env bash
# One would guess: BEIR's EvaluateRetrieval.evaluate(qrels, results, k_values) measures the results as they are.
# What happens: ignore_identical_ids defaults to True, which deletes every document whose id equals the query's id, from the
#   caller's own dictionary, before measuring. It is meant for Quora and ArguAna, where queries are documents; a set that
#   numbers queries and documents from 1 loses right answers and gets a lower figure (here 0.5 for a perfect run). And a
#   query that the run does not hold is left out of the mean instead of counting 0, so half a run can measure 1.0.
# Versions: beir 2.2.0, pytrec-eval-terrier 0.5.11, numpy 2, Python 3.11 (beir without its dependencies: evaluation needs none
#   of its models).
# Source: beir/retrieval/evaluation.py.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
pip pytrec-eval-terrier==0.5.11 'numpy<3' 'tqdm<5'
pip --no-deps beir==2.2.0
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

from beir.retrieval.evaluation import EvaluateRetrieval

print("beir", version("beir"), "pytrec-eval-terrier", version("pytrec-eval-terrier"))
qrels = {"1": {"1": 1}, "2": {"3": 1}}


def ndcg(results, **options):
    return EvaluateRetrieval.evaluate(qrels, results, [1], **options)[0]["NDCG@1"]


run = {"1": {"1": 2.0, "9": 1.0}, "2": {"3": 2.0, "9": 1.0}}
default = ndcg(run)
print("a perfect run, as called:", default, "and afterwards the caller's run is", run)
assert default == 0.5
assert run["1"] == {"9": 1.0}
perfect = {"1": {"1": 2.0, "9": 1.0}, "2": {"3": 2.0, "9": 1.0}}
kept = ndcg(perfect, ignore_identical_ids=False)
half = ndcg({"2": {"3": 2.0}}, ignore_identical_ids=False)
print("with ignore_identical_ids=False:", kept, "and with one of two queries in the run:", half)
assert kept == 1.0
assert half == 1.0
PY
