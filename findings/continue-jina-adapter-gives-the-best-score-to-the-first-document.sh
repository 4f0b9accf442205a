#!/usr/bin/env bash
# The Jina adapter of Continue gives the scores of a rerank to the wrong documents.
#
# One would guess: @continuedev/openai-adapters returns one shape for all its providers, a list of {index, relevance_score},
#   in which `index` is the place of the document in the request, as in the replies of Cohere, Jina and Voyage that it reads.
# What happens: the adapter for Cohere passes `index` on. The one for Jina throws it away and numbers the scores by their
#   place in the reply, which Jina sorts best first. So document 0 always gets the best score, document 1 the second best,
#   whatever they say: asking it to rerank changes nothing but the numbers, and a caller that sorts by them keeps its order.
#   The same reply read through the two adapters gives two rankings. The adapters for OpenAI, vLLM and others return the
#   reply as it is, so there are three forms for one question.
# Versions: @continuedev/openai-adapters 1.37.0, Node.js of the machine (seen with 20).
# Source: dist/apis/Jina.js (data.results.map((result) => result.relevance_score)) and dist/util.js (rerank numbers them).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund @continuedev/openai-adapters@1.37.0
cat > try.mjs <<'JS'
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { constructLlmApi } from "@continuedev/openai-adapters";

// The reply that the documentation of Jina shows: best first, `index` names the document. Document 2 is the answer.
const results = [{ index: 2, relevance_score: 0.9 }, { index: 0, relevance_score: 0.2 }, { index: 1, relevance_score: 0.1 }];
const server = createServer((request, response) => {
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ model: "any", usage: { total_tokens: 1 }, results }));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const apiBase = `http://127.0.0.1:${server.address().port}/v1/`;
const documents = ["a cat", "a dog", "the answer"];

async function ranked(provider) {
  const api = constructLlmApi({ provider, apiKey: "none", apiBase });
  const reply = await api.rerank({ model: "any", query: "which?", documents });
  const rows = reply.data ?? reply.results;
  return { form: Object.keys(reply).sort().join(" "), scores: Object.fromEntries(rows.map((row) => [row.index, row.relevance_score])) };
}

const version = JSON.parse(readFileSync("node_modules/@continuedev/openai-adapters/package.json")).version;
console.log("@continuedev/openai-adapters", version, "Node.js", process.version);
const found = {};
for (const provider of ["cohere", "jina", "openai"]) {
  found[provider] = await ranked(provider);
  console.log(provider, JSON.stringify(found[provider]));
}
server.close();

const same = (scores, wanted) => JSON.stringify(scores) === JSON.stringify(wanted);
if (!same(found.cohere.scores, { 0: 0.2, 1: 0.1, 2: 0.9 })) throw new Error("cohere changed");
if (!same(found.openai.scores, { 0: 0.2, 1: 0.1, 2: 0.9 })) throw new Error("openai changed");
if (!same(found.jina.scores, { 0: 0.9, 1: 0.2, 2: 0.1 })) throw new Error("jina changed");
if (found.cohere.form === found.openai.form) throw new Error("the forms are one now");
process.exit(0);
JS
node try.mjs
