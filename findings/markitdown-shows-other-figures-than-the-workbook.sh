#!/usr/bin/env bash
# One would guess: the Markdown that markitdown makes of an .xlsx file has the values of the cells, perhaps without their
#   formats: text stays text, whole numbers stay whole, and an empty cell is empty.
# What happens: each sheet goes through pandas, which guesses a type for each column and takes words for missing values.
#   A cell with the text NA (Namibia's code), "None", "null" or "n/a" becomes NaN, and so does an empty one; beside it
#   3 reads 3.0 and True reads 1.0. Part numbers that are texts, "1e5" and "007", become 100000.0 and 7.0. One small
#   value in a column makes all of it scientific with seven digits, so that 123456789.12 reads 1.234568e+08. An index or
#   a language model is given wrong amounts and codes, and nothing says so. A .csv file with the same rows keeps them.
# Versions: markitdown 0.1.9, pandas 3.1.1, openpyxl 3.1.5, Python 3.11. We read no workbooks.
# Source: markitdown/converters/_xlsx_converter.py (read_excel, then to_html), pandas' default na_values.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    'markitdown[xlsx]==0.1.9' pandas==3.1.1 openpyxl==3.1.5
cd "$work" && "$work/venv/bin/python" - <<'PY'
import csv
from importlib.metadata import version

from markitdown import MarkItDown
from openpyxl import Workbook, load_workbook

print("markitdown", version("markitdown"), "pandas", version("pandas"), "openpyxl", version("openpyxl"))
ROWS = [
    ["code", "part", "count", "in use", "amount", "note"],
    ["NA", "1e5", 3, True, 123456789.12, "None"],
    ["US", "007", None, None, 0.001, "n/a"],
    ["007", "12", 12, False, 5, "null"],
]
book = Workbook()
for row in ROWS:
    book.active.append(row)
book.save("book.xlsx")
assert [list(row) for row in load_workbook("book.xlsx").active.values] == ROWS
with open("book.csv", "w", newline="") as file:
    csv.writer(file).writerows(ROWS)


def table(path):
    text = MarkItDown().convert(path).text_content
    lines = [line for line in text.split("\n") if line.startswith("|") and "---" not in line]
    print(f"{path}:", *lines, sep="\n  ")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


_, *rows = table("book.xlsx")
assert [row[0] for row in rows] == ["NaN", "US", "007"]
assert [row[2] for row in rows] == ["3.0", "NaN", "12.0"]
assert [row[1] for row in rows] == ["100000.0", "7.0", "12.0"]
assert rows[0][3] == "1.0" and rows[1][3] == "NaN"
assert rows[0][4] == "1.234568e+08"
assert [row[5] for row in rows] == ["NaN", "NaN", "NaN"]
_, *plain = table("book.csv")
assert plain[0] == ["NA", "1e5", "3", "True", "123456789.12", "None"]
PY
