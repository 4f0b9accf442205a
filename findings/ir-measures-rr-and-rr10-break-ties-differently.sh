#!/usr/bin/env bash
# One would guess: in one call of ir_measures, RR and RR@10 of a run with three documents are the same number, and RR@1
#   is P@1, since a cutoff that cuts nothing off changes nothing.
# What happens: ir_measures gives each measure to the first provider that supports it. RR goes to trec_eval, which reads
#   scores as 32-bit floats and puts tied documents in descending order of their id; RR@10 goes to its port of the MS MARCO
#   script, which compares 64-bit floats and puts tied documents in ascending order of their id. So the measures of one report rank
#   the same tied documents in opposite orders: the relevant document of three is first for RR@10 and last for RR. Scores
#   that differ by less than a 32-bit float can tell are a tie for P@1, nDCG and RR, and none for RR@10 and RR@1.
#   A tool that writes a run must therefore give scores that still fall strictly after rounding to 32 bits.
# Versions: ir_measures 0.4.3, pytrec-eval-terrier 0.5.11, Python 3.11.
# Source: ir_measures/providers (fallback order in DefaultPipeline), trec_eval's sort by score and document id.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check ir_measures==0.4.3 pytrec-eval-terrier==0.5.11
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

import ir_measures
from ir_measures import RR, P

print("ir_measures", version("ir_measures"), "pytrec-eval-terrier", version("pytrec-eval-terrier"))


def measured(run, relevant, *measures):
    values = ir_measures.calc_aggregate(list(measures), {"q": {relevant: 1}}, {"q": run})
    return {str(measure): round(values[measure], 3) for measure in measures}


tied = {"a": 1.0, "m": 1.0, "z": 1.0}
for relevant in tied:
    print("three tied documents, relevant", relevant, measured(tied, relevant, RR, RR @ 10))
assert measured(tied, "a", RR, RR @ 10) == {"RR": 0.333, "RR@10": 1.0}
assert measured(tied, "m", RR, RR @ 10) == {"RR": 0.5, "RR@10": 0.5}
assert measured(tied, "z", RR, RR @ 10) == {"RR": 1.0, "RR@10": 0.333}

close = {"a": 0.9000000001, "z": 0.9}
print("scores 1e-10 apart, relevant a", measured(close, "a", P @ 1, RR, RR @ 1, RR @ 10))
assert measured(close, "a", P @ 1, RR, RR @ 1, RR @ 10) == {"P@1": 0.0, "RR": 0.5, "RR@1": 1.0, "RR@10": 1.0}
PY
