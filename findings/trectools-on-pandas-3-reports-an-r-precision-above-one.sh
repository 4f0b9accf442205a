#!/usr/bin/env bash
# One would guess: R-precision is a share, at most 1; a query that the run does not answer counts nothing; and a
#   package whose version is pinned gives the same figure next year.
# What happens: trectools takes any pandas, and since pandas 3 a function given to groupby(...).apply no longer sees the
#   grouping column. get_rprec then joins results and judgments by document alone, over all queries: here d1, found for
#   two queries and right for two, counts four times, and a query that is in the judgments only gets a score. The mean
#   is 2.17 where it is 0.67 with pandas 2; MAP and others are right with both, so nothing stands out. (And get_bpref is
#   0 with either pandas where no document is judged wrong, as in most sets with BEIR's layout: it divides 0 by 0, and
#   trec_eval has 0.83.)
# Versions: trectools 0.0.50, pandas 3.1.1 and 2.3.3, pytrec-eval-terrier 0.5.11, Python 3.11.
# Source: trectools/trec_eval.py (get_rprec, get_bpref); the notes of pandas 3.0 on include_groups.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "$@"; }
cat > "$work/measure.py" <<'PY'
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
import pytrec_eval
from trectools import TrecEval, TrecQrel, TrecRun

folder, expected = Path(sys.argv[1]), float(sys.argv[2])
RUN = {"1": {"d1": 5.0, "d2": 4.0, "d3": 3.0, "d4": 2.0, "d5": 1.0}, "2": {"d1": 5.0, "d2": 4.0, "d3": 3.0}}
QRELS = {"1": {"d2": 2, "d4": 1, "d9": 1}, "2": {"d1": 1}, "3": {"d1": 1}}
lines = [f"{q} Q0 {d} {rank} {row[d]} tag" for q, row in RUN.items() for rank, d in enumerate(row, 1)]
(folder / "run").write_text("\n".join(lines) + "\n")
(folder / "qrels").write_text("".join(f"{q} 0 {d} {grade}\n" for q, row in QRELS.items() for d, grade in row.items()))
judged = TrecEval(TrecRun(str(folder / "run")), TrecQrel(str(folder / "qrels")))
found = {"Rprec": judged.get_rprec(), "map": judged.get_map(), "bpref": judged.get_bpref()}
oracle = pytrec_eval.RelevanceEvaluator(QRELS, set(found)).evaluate(RUN).values()
true = {name: sum(each[name] for each in oracle) / len(oracle) for name in found}
print("trectools", version("trectools"), "pandas", version("pandas"))
for name, value in found.items():
    print(f"  {name:5} {value:.3f}; trec_eval {true[name]:.3f}")
print("  R-precision of each query:", judged.get_rprec(per_query=True)["RPrec@1000"].to_dict())
assert abs(found["Rprec"] - expected) < 1e-6 and abs(true["Rprec"] - 2 / 3) < 1e-6
assert abs(found["map"] - true["map"]) < 1e-6
assert found["bpref"] == 0 and abs(true["bpref"] - 5 / 6) < 1e-6
PY
pip pytrec-eval-terrier==0.5.11 numpy==2.4.6 pandas==3.1.1 trectools==0.0.50
"$work/venv/bin/python" "$work/measure.py" "$work" 2.166666667
pip pandas==2.3.3
"$work/venv/bin/python" "$work/measure.py" "$work" 0.666666667
