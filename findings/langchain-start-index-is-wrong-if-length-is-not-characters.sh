#!/usr/bin/env bash
# One would guess: with add_start_index=True, text[start : start + len(piece)] of each piece is the piece, whatever
#   length_function says (tokens of a model, words), since the splitter knows where it cut.
# What happens: the splitter does not know. It searches the text for the piece, from the start of the piece before plus
#   its length in characters minus chunk_overlap, which is in the units of length_function. An overlap of four words is
#   longer than four characters, so the search begins behind the true place: start_index is -1, or the next place that
#   reads the same, thousands of characters further down. After a -1 it begins near the top again, so later pieces get
#   places of the first occurrence. No error; a link to the passage shows another one. Splitters made by
#   from_huggingface_tokenizer and from_tiktoken_encoder are of this kind. With the length in characters it is right.
# Versions: langchain-text-splitters 1.1.3, Python 3.11. Our peers' benchmark uses characters and no start_index.
# Source: langchain_text_splitters/base.py, TextSplitter.create_documents (text.find from offset).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check langchain-text-splitters==1.1.3
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

from langchain_text_splitters import RecursiveCharacterTextSplitter

print("langchain-text-splitters", version("langchain-text-splitters"))
PARTS = ["Stop the service, copy the data folder, start the service again.", "Then look into the log for errors."]
TEXT = "\n".join(f"Step {number}. " + " ".join(PARTS) for number in range(1, 13))


def words(text):
    return len(text.split())


def pieces(length, **options):
    splitter = RecursiveCharacterTextSplitter(
        length_function=length, add_start_index=True, separators=[" "], keep_separator=False, **options
    )
    made = [(each.page_content, each.metadata["start_index"]) for each in splitter.create_documents([TEXT])]
    place, found = 0, []
    for text, said in made:  # each piece begins behind the one before: the true place, searched without a guess
        place = TEXT.index(text, place)
        found.append((said, place))
        place += 1
    return found


by_words = pieces(words, chunk_size=11, chunk_overlap=4)
by_characters = pieces(len, chunk_size=66, chunk_overlap=24)
for name, found in (("words", by_words), ("characters", by_characters)):
    none = sum(said == -1 for said, _ in found)
    wrong = sum(said not in (-1, place) for said, place in found)
    print(f"length in {name}: {len(found)} pieces, {none} with -1, {wrong} with the place of another text, e.g.",
          next(((said, place) for said, place in found if said not in (-1, place)), None))
    if name == "words":
        assert none > 0 and wrong > 0 and none + wrong > len(found) / 2
    else:
        assert none == wrong == 0
PY
