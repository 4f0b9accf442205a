#!/usr/bin/env bash
# Train the encoder and the reader on a lent GPU, in one call of at most 30 minutes.
#
#   training/gpu.sh MIXTURE LISTS START OUT [STEPS [READER_STEPS [DEVICE]]]
#
# MIXTURE is the file of mixture.py, LISTS that of lists.py, START an export such as docs-e5.npz: with this folder they are
# all that has to travel.
# Writes to OUT the mean of three runs in float16 and the reader, cut into parts of 15 MB because larger files do not come
# back (`cat weights.pt.* > weights.pt` joins them), and one log. The sets that choose the blend with START stay at home.
set -euo pipefail

mixture=$(realpath "$1") lists=$(realpath "$2") start=$(realpath "$3") out=$4
steps=${5:-600} reader_steps=${6:-2500} device=${7:-cuda}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(realpath "$out")
work=${WORK:-$(mktemp -d)}
cd "$(dirname "$0")"

for seed in 1 2 3; do
    "$python" finetune.py --mixture "$mixture" --start "$start" --device "$device" --run "$work/run-$seed" \
        --set "seed=$seed" "steps=$steps" "decay_steps=$((steps / 4))" "save_every=$steps"
done
"$python" average.py "$work"/run-[123]/step-"$steps".pt --half --out "$work/weights.pt"
split -b 15M "$work/weights.pt" "$out/weights.pt."
"$python" reader.py --lists "$lists" --start "$start" --device "$device" --run "$work/reader" --steps "$reader_steps"
"$python" average.py "$work/reader/step-$reader_steps.pt" --half --out "$work/reader.pt"
split -b 15M "$work/reader.pt" "$out/reader.pt."
tail -n +1 "$work"/*/log.jsonl >"$out/logs.txt"
