#!/usr/bin/env bash
# One would guess: "BM25" of Orama, with its parameters k and b, ranks as BM25 does: a document with all four words of a
#   question is above a short one with two of them, and a word that comes four times counts more than one that comes
#   once.
# What happens: the term frequency that goes into the formula is the count divided by the length of the document. BM25
#   divides by the length already, so length is punished twice, and tf is far below 1, where the formula is meant for 1
#   and more. A document of seven words with all four ranks below one of two words with two. And the tokenizer drops
#   repetitions (allowDuplicates is false), so four times "redis" is once. Repetitions allowed,
#   the order is the same; relevance {b: 0} puts the document with all four first, but the length still counts, by tf.
# Versions: @orama/orama 3.1.18, minisearch 7.2.0 and lunr 2.3.9 for comparison, Node.js of the machine (seen with 20).
# Source: @orama/orama dist/esm/components/index.js (tf = tokenFrequency / tokens.length), algorithms.js (BM25).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund @orama/orama@3.1.18 minisearch@7.2.0 lunr@2.3.9
cat > try.mjs <<'JS'
import { readFileSync } from "node:fs";
import { create, insert, search } from "@orama/orama";
import lunr from "lunr";
import MiniSearch from "minisearch";

const TEXTS = ["redis timeout error", "redis pool", "connection timeout inside some pool near redis", "disk error", "queue"];
const QUESTION = "redis pool timeout connection";

function textbook(k = 1.2, b = 0.75) {
  const documents = TEXTS.map((text) => text.split(" "));
  const mean = documents.flat().length / documents.length;
  return documents.map((words) => QUESTION.split(" ").reduce((sum, word) => {
    const tf = words.filter((each) => each === word).length;
    const df = documents.filter((each) => each.includes(word)).length;
    const idf = Math.log(1 + (documents.length - df + 0.5) / (df + 0.5));
    return sum + (idf * tf * (k + 1)) / (tf + k * (1 - b + (b * words.length) / mean));
  }, 0));
}

const order = (scores) => Object.keys(scores).filter((key) => scores[key] > 0).sort((x, y) => scores[y] - scores[x]).join(" ");

async function orama(texts, question, options = {}, tokenizer = {}) {
  const index = create({ schema: { text: "string" }, components: { tokenizer: { language: "english", ...tokenizer } } });
  texts.forEach((text, key) => insert(index, { id: String(key), text }));
  const { hits } = await search(index, { term: question, ...options });
  return Object.fromEntries(hits.map((hit) => [hit.id, hit.score]));
}

function others() {
  const mini = new MiniSearch({ fields: ["text"] });
  mini.addAll(TEXTS.map((text, id) => ({ id, text })));
  const index = lunr(function () {
    this.ref("id");
    this.field("text");
    TEXTS.forEach((text, id) => this.add({ id, text }));
  });
  const places = (hits, key) => hits.map((hit) => hit[key]).join(" ");
  return { minisearch: places(mini.search(QUESTION), "id"), lunr: places(index.search(QUESTION), "ref") };
}

const version = JSON.parse(readFileSync("node_modules/@orama/orama/package.json")).version;
console.log("@orama/orama", version, "Node.js", process.version, "| question:", QUESTION);
const found = {
  textbook: order(textbook()), ...others(),
  orama: order(await orama(TEXTS, QUESTION)),
  "orama, repetitions": order(await orama(TEXTS, QUESTION, {}, { allowDuplicates: true })),
  "orama, b = 0": order(await orama(TEXTS, QUESTION, { relevance: { k: 1.2, b: 0, d: 0.5 } })),
};
TEXTS.forEach((text, key) => console.log(`  ${key}: ${text}`));
for (const [name, places] of Object.entries(found)) console.log(`${name}: ${places}`);
const repeated = await orama(["redis redis redis redis", "redis", "other words"], "redis");
console.log("scores of four times and once the word:", repeated[0], repeated[1]);

for (const name of ["textbook", "minisearch", "lunr", "orama, b = 0"]) if (found[name][0] !== "2") throw new Error(`${name}: ${found[name]}`);
if (found.orama[0] !== "1" || found["orama, repetitions"][0] !== "1") throw new Error("Orama's order changed");
if (repeated[0] !== repeated[1]) throw new Error("repetitions count now");
JS
node try.mjs
