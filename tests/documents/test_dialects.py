"""A zoo of dialects: for each the title, the headings and what a reader of the rendered page sees."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from rag_search.chunking import chunk_document
from rag_search.documents.formats import format_of
from rag_search.documents.metadata import title_of
from rag_search.records import Chunk, Document
from rag_search.text.passages import body_of
from tests.chunking.counting import count_tokens


def chunks_of(text: str, path: str = "notes/file.md") -> list[Chunk]:
    """Return the chunks of a file with this text."""
    format_ = format_of(path)
    parsed = format_.parse(text)
    document = Document(path, title_of(parsed.title, path=path), text, parsed.metadata, "", "", format_.name)
    chunks = chunk_document(document, count_tokens=count_tokens, parsed=parsed)
    assert "".join(chunk.text for chunk in chunks) == text
    return chunks


def seen(text: str, path: str = "notes/file.md") -> str:
    """Return what a reader sees of a short text, without blank lines."""
    return "\n".join(
        line.strip() for chunk in chunks_of(text, path) for line in body_of(chunk).split("\n") if line.strip()
    )


class Page(NamedTuple):
    """A text, its title and what a reader sees below it."""

    text: str
    title: str
    seen: str
    path: str = "notes/file.md"


PAGES = {
    "footnotes without a blank": Page(
        "# 上限\n\n默认值见脚注[^1]。\n\n[^1]: 最大连接数是一万个。\n[^n]: https://a.example/x\n",
        "上限", "默认值见脚注。\n最大连接数是一万个。\nhttps://a.example/x"),
    "MDX imports": Page(
        "---\ntitle: Kafka consumer guide\n---\nimport Tabs from '@theme/Tabs';\nimport {\n  A,\n\n  B\n} from 'x';\n"
        "\n"
        "# Kafka consumer guide\n\nConsumers share the partitions.\n\nexport const A = () => {\n\n  return <b/>\n}\n\nEnd.\n",
        "Kafka consumer guide", "Consumers share the partitions.\nEnd.", "a/guide.mdx"),
    "MDX expressions": Page(
        "# T\n\nVersion {props.version}, {\"text\"}{' '}{/* note */}stays {{a: 1}.a}.\n", "T",
        "Version , text stays .", "a/b.mdx"),
    "imports of components in Markdown": Page(
        "import Tabs from '@theme/Tabs';\nimport data from 'unused'\n\n<Tabs>\n\nText.\n\n</Tabs>\n",
        "file", "import data from 'unused'\nText."),
    "an import as an example stays": Page(
        "# T\n\n```js\nimport Tabs from 'x'\n```\n\n<Tabs>a</Tabs>\n", "T", "```js\nimport Tabs from 'x'\n```\na"),
    "TOML": Page(
        '+++\ntitle = "Nginx cache guide"\ndate = 2024-03-05\n+++\n\nThe cache.\n\n## Purge\n\nDelete it.\n',
        "Nginx cache guide", "The cache.\nDelete it."),
    "JSON front matter": Page('{\n  "title": "J"\n}\n\nText.\n', "J", "Text."),
    "JSON as text stays": Page("{ braces }\n\nText.\n", "file", "{ braces }\nText."),
    "Hexo without an opening line": Page("title: Post\ndate: 2020-01-01\n---\n\nText.\n", "Post", "Text."),
    "a setext heading is not Hexo": Page("Note: this\n---\n\nText.\n", "Note: this", "Text."),
    "Hexo JSON": Page('"title": "Post",\n"tags": ["a"]\n;;;\n\nText.\n', "Post", "Text."),
    "Pandoc title block": Page("% The Title\n% A; B\n% 2020\n\nText.\n", "The Title", "Text."),
    "Logseq page": Page(
        "title:: My page\ntags:: a, b\n\n- ## Tasks\n  id:: 123-abc\n  - one\n- ## Log\n  - two\n- plain\n",
        "My page", "Tasks\n- one\nLog\n- two\n- plain"),
    "VitePress home page": Page(
        "---\nhero:\n  name: Vite\n  tagline: Fast\nfeatures:\n  - title: Icons\n    details: Many.\n---\n",
        "file", "Vite\nFast\nIcons\nMany."),
    "title with backticks": Page('---\ntitle: "`contents`: Rearrange"\n---\nx\n', "contents: Rearrange", "x"),
    "HTML heading as title": Page(
        '<h1 align="center">Pool Kit</h1>\n\nIntro.\n\n## Install\n\npip\n\n## License\n\nMIT\n',
        "Pool Kit", "Intro.\nInstall\npip\nLicense\nMIT"),
    "a picture as title": Page('<h1><img src="a.svg" alt="Larkspur"></h1>\n\n## Install\n\npip\n', "Larkspur", "pip"),
    "second-level headings are no title": Page(
        "## Contact\n\n- Phone: 555-0114\n\n## Notes\n\nTide.\n", "Mira Okonkwo",
        "Contact\n- Phone: 555-0114\nNotes\nTide.",
        "Vault/People/Mira Okonkwo.md"),
    "a page of a folder": Page("Text.\n", "redis", "Text.", "docs/redis/index.md"),
    "wiki links": Page(
        "See [[Redis Config|the page]], [[Other#Part]], [[A#^b1c2d3|]], ![[Note]] and ![[a.png]] ![[b.png|300]].\n",
        "file", "See the page, Other > Part, A, Note and  ."),
    "tables of TOML stay": Page("`[[bin]]` and [[ -f x ]] stay.\n", "file", "[[bin]] and [[ -f x ]] stay."),
    "Obsidian comments and marks": Page(
        "%% hidden %% ==marked== words ^abc123\n\n%%\n\nblock\n\n%%\n\na == b == c and 50%% of 100%%\n",
        "file", "marked words\na == b == c and 50%% of 100%%"),
    "callouts": Page(
        "> [!note] My title\n> body\n>\n> more\n\n> [!WARNING]\n> care\n\n> [!tip]- Folded **one**\n\n- > quoted\n",
        "file", "My title\nbody\nmore\nWarning\ncare\nFolded one\n- quoted"),
    "components": Page(
        '<Tabs>\n<TabItem value="a" label="Windows">\n\nText.\n\n</TabItem>\n</Tabs>\n\n<Card title="Air-gapped" icon="lock">\n'
        "  Copy it.\n</Card>\n\n<your-name> List<String> Map<K, V>\n",
        "file", "Windows\nText.\nAir-gapped\nCopy it.\n<your-name> List<String> Map<K, V>"),
    "parameters of an API": Page(
        '<ParamField body="retry_backoff_ms" type="integer">\n  How long to wait.\n</ParamField>\n\n'
        "<ResponseField name={'job_id'} onClick={() => run({a: 1})}>\n  Name of the job.\n</ResponseField>\n",
        "api", "retry_backoff_ms\nHow long to wait.\njob_id\nName of the job.", "docs/api.mdx"),
    "Docusaurus admonitions": Page(":::note[Take care]\n\nx **b**\n\n:::\n\n:::tip\n\ny\n\n:::\n", "file",
        "Take care\nx b\ntip\ny"),
    "Quarto callouts": Page(
        '::: {.callout-note title="Keep in mind"}\nbody\n:::\n\n::: {#fig-a layout-ncol=2}\n[span]{.red}\n:::\n',
        "file", "Keep in mind\nbody\nspan"),
    "mkdocstrings": Page("::: fastapi.APIRouter\n", "file", "fastapi.APIRouter"),
    "MkDocs admonitions and tabs": Page(
        '!!! warning "Mind `this`"\n    a [link](x) **bold**\n\n    - item\n\n=== "Linux"\n\n    ```sh\n    apt\n    ```\n\n'
        "??? note\n    n\n\n!!! danger \"\"\n    d\n\nafter\n",
        "file", "Mind this\na link bold\n- item\nLinux\n```sh\napt\n```\nNote\nn\nd\nafter"),
    "Hugo shortcodes": Page(
        '{{< tabs >}}\n{{% note %}}\nkept\n{{% /note %}}\n{{< tab "Mac OS" >}}\n\n'
        '{{< figure src="a.png" title="A map" alt="of it" >}}\n\n{{ value }} stays\n',
        "file", "kept\nMac OS\nA map of it\n{{ value }} stays"),
    "template tags": Page(
        "{% note info %}\ninner\n{% endnote %}\n\nUse {% note %}this{% endnote %} or {% if %}.\n\n{% tab title=\"Linux\" %}\n",
        "file", "inner\nUse this or {% if %}.\nLinux"),
    "attributes": Page(
        '![p](x.png){ width="300" } [a](b){target=_blank}\n\n{: .no_toc }\ntext {#id .c}\n\n{key=value} stays\n',
        "file", "p a\ntext\n{key=value} stays"),
    "MyST roles and labels": Page(
        "(label)=\n## Head\n\n{doc}`x` and {ref}`text <target>` {py:func}`f`\n", "Head", "x and text f"),
    "MyST directives": Page(
        "```{note} Title\n:class: x\nbody **b**\n\n- item\n```\n\n```{warning}\nw\n```\n\n```{code-block} python\n:linenos:\nx=1\n```\n",
        "file", "Title\nbody b\n- item\nWarning\nw\n```{code-block} python\nx=1\n```"),
    "mdBook": Page(
        "{{#include a.rs:2}}\n\n```rust\n# use x;\nfn main() {}\n#[derive(A)]\n```\n", "file",
        "```rust\nfn main() {}\n#[derive(A)]\n```"),
    "Quarto cells": Page("```{python}\n#| label: fig\nx = 1\n# kept\n```\n", "a",
        "```{python}\nx = 1\n# kept\n```", "a.qmd"),
    "lines of other programs": Page(
        '[[_TOC_]]\n\n[TOC]\n\n--8<-- "a.md"\n\n<<< @/x{2}\n\n> [!INCLUDE [x](y)]\n\n::include{file=x}\n\n>>>\nquote\n>>>\n',
        "file", "quote"),
    "Microsoft Learn pictures": Page(':::image type="content" source="x.png" alt-text="A picture of it":::\n', "file", "A picture of it"),
    "icons": Page(":material-account: Name :tada:\n", "file", "Name :tada:"),
    "footnote and badge in a heading": Page(
        "# Avatar.Group <Badge>4.5.0+</Badge>[^1]\n\nx\n\n[^1]: y\n", "Avatar.Group 4.5.0+", "x\ny"),
    "headings without a blank": Page(
        "#部署手册\n\n##环境准备\n\n安装好。\n\n#项目 标签\n", "部署手册", "安装好。\n#项目 标签"),
    "pictures as data": Page(
        f"![curve](data:image/png;base64,{'QUJD' * 2000})\n\n<img alt=\"shelf\" src=\"data:image/png;base64,{'QUJD' * 2000}\">\n\n"
        f"[a]: data:image/png;base64,{'QUJD' * 50}\n\nEnd.\n",
        "file", "curve\nshelf\nEnd."),
    "GitBook": Page(
        '{% embed url="https://a.example/v0%2Fb" %}\n\n{% columns %}\n{% column width="50%" %}\nLeft.\n{% endcolumn %}\n'
        "{% endcolumns %}\n\n{% hint style=\"info\" %}\nMind it.\n{% endhint %}\n", "file", "Left.\nMind it."),
    "Markdown within components": Page(
        "---\ntitle: Setup\n---\n<Steps>\n  <Step title=\"One\">\n    Run **it**:\n    ```sh\n    kiln up\n    ```\n"
        "    - first\n    - *second*\n  </Step>\n  <Card\n    title=\"More\"\n    href=\"/x\"\n  >\n    Text [a](b).\n  </Card>\n"
        "</Steps>\n\n<Note>Kept</Note> here.\n\n<>\nEnd.\n</>\n",
        "Setup", "One\nRun it:\n```sh\nkiln up\n```\n- first\n- second\nMore\nText a.\nKept here.\nEnd.", "docs/setup.mdx"),
    "components that Markdown imports": Page(
        "import Tabs from '@theme/Tabs';\n\n# Tabs\n\n<Tabs>\n  <Item label=\"npm\">\n    ```sh\n    npm i\n    ```\n  </Item>\n</Tabs>\n",
        "Tabs", "npm\n```sh\nnpm i\n```"),
    "code by indent stays code in Markdown": Page("<div>\n\n    *code*\n\n</div>\n", "file", "*code*"),
    "Logseq references": Page(
        "type:: [[Feature]]\n\n## Usage\n\t- Make ((5fbf4fbf-82c5-4d81-ba82-b66726b00000))one of **these**\n"
        "\t\t- {{embed [[Other page]]}}{{embed ((60acdeb9-aa65-492b-8398-d4d65c1631c1))}} and {{value}}\n",
        "Board/Action bar", "- Make one of these\n- Other page and {{value}}", "pages/Board___Action bar.md"),
    "a note with fields is called by its file": Page(
        "---\ntags: [people]\n---\n## Notes\n\nTide.\n", "Mira Okonkwo", "Tide.", "Vault/Mira Okonkwo.md"),
    "escaped file names of wikis": Page("Text.\n", "How to: build", "Text.", "wiki/How to%3A build.md"),
    "formulas": Page(
        "# T\n\n$$\ny = \\sum_{t=0}^\\infty b_t * c_t\n$$\n\nLet $x_{i}*y*z$ be *it*, for $5 *or* $10.\n", "T",
        "$$\ny = \\sum_{t=0}^\\infty b_t * c_t\n$$\nLet $x_{i}*y*z$ be it, for $5 or $10."),
    "MyST cells": Page(
        "# T\n\n+++\n\n```{index} single: X\n```\n\n```{code-cell} ipython3\n---\nmystnb:\n  a: b\n---\nx = 1\n```\n\n"
        "```{toctree}\n:maxdepth: 2\nother\n```\n", "T", "```{code-cell} ipython3\nx = 1\n```"),
    "MyST exercises and options": Page(
        "```{exercise}\n:label: q1\nSolve **it**.\n```\n\n```{prf:theorem} Of pools\n:label: t\nPools *end*.\n```\n\n"
        ":::{tip} New here?\n:class: dropdown\nRead on.\n:::\n",
        "file", "Exercise\nSolve it.\nOf pools\nPools end.\nNew here?\nRead on."),
    "languages of code spans": Page(
        "Set `search: false{:js}` or `{:.no}` in `a{:b c}`.\n", "file", "Set search: false or {:.no} in a{:b c}."),
    "comments of MDX over blank lines": Page(
        "# T\n\n{/*\nhidden\n\nstill hidden\n*/}\n\nText {/* note */}stays.\n", "T", "Text stays.", "a/b.mdx"),
    "addresses in angle brackets": Page(
        "# T\n\nSee <https://a.example/docs/>, (<https://a.example/b>), <me@a.example>, <doc:Closures>, <xref:System.Text?x=1>.\n", "T",
        "See https://a.example/docs/, (https://a.example/b), me@a.example, Closures, System.Text."),
    "bookdown": Page(
        "# (PART) Basics {-}\n\n\\index{pumps!old}\n\\indexc{x()}\n\nChapter \\@ref(pumps) has `r nrow(x)` rows.\n\n\\newpage\n\n"
        "```{r}\nx\n```\n\n## Outline {-}\n\nC:\\newpage and {-} stay.\n", "Basics",
        "Chapter  has  rows.\n```{r}\nx\n```\nC:\\newpage and {-} stay.", "book/basics.Rmd"),
    "Documenter.jl": Page(
        "```@meta\nCurrentModule = A\n```\n\n# [Pools](@id pools)\n\n```@autodocs\nModules = [A]\n```\n\nSee [`open`](@ref).\n\n"
        "```@docs\nA.open\n```\n", "Pools", "See open.\n```@docs\nA.open\n```"),
    "MDC": Page(
        "# Pools\n\n::page-hero\n---\nlinks:\n  - label: hidden\n---\n#title{unwrap=\"p\"}\nFast **pools**\n\n  :::feature{icon=\"i-x\"}\n"
        "    Inner [text]{.red} and :icon{name=\"i-x\"}:abbr[HTML]{title=\"t\"}.\n  :::\n::\n\nAfter a :: b, std::x[1] and 10:30.\n",
        "Pools", "Fast pools\nInner text and HTML.\nAfter a :: b, std::x[1] and 10:30."),
    "calls of MDN": Page(
        "{{APIRef(\"DOM\")}}{{AvailableInWorkers}}\n\nUse {{domxref(\"Element.click()\")}}, {{Glossary(\"JSON\", \"text\")}} or {{htmlelement('a')}}.\n\n"
        "- {{Cssxref(\"width\")}}\n- {{domxref(\"Node\")}} x\n\n```css hidden\np {}\n```\n\n{{Compat}}\n\n{{value}} and {{ url(\"x\") }} stay.\n", "file",
        "Use Element.click(), text or <a>.\n- width\n- Node x\n{{value}} and {{ url(\"x\") }} stay."),
    "names for texts": Page(
        "Use {% data variables.product.prodname_actions %}{% ifversion ghes %} here{% endif %}.\n\n"
        "{% data reusables.x %}\n\nA {% term integration %} {% icon \"mdi:x\" %}.\n", "file",
        "Use actions here.\nx\nA integration ."),
    "Hugo shortcodes over several lines": Page(
        "# T\n\n{{< img\n  src=\"a.png\"\n  alt=\"A park\"\n>}}\n\n> quoted\n", "T", "A park\nquoted"),
    "Writerside titles": Page("[//]: # (title: Get started)\n[//]: # (description: x)\n\nText.\n\n## A\n\nB.\n", "Get started", "Text.\nB."),
    "a table up to the end of its directive": Page(
        ":::{table} Caption\n| a | b |\n|---|---|\n| c | d |\n:::\n\nEnd.\n", "file", "Caption\na | b\nc | d\nEnd."),
    "objects in attributes": Page(
        "# T\n\n<Grid\n  labels={{a: 'b'}}\n  items={[{ title: 'x', images: { dark: { src: y } } }]}\n/>\n\nEnd.\n", "T", "End.", "a/b.mdx"),
    "module code in the first line": Page("export const metadata = {\n  title: 'x'\n}\n\nText.\n", "b", "Text.", "a/b.mdx"),
    "tags in a home page": Page("---\nhero:\n  title: '404'\n  tagline: <strong>Lost.</strong> Go<br>home\n---\n", "file", "404\nLost. Go home"),
    "a footnote after an exclamation mark": Page("Yes![^1] No!\n\n[^1]: Note.\n", "file", "Yes! No!\nNote."),
    "quote lines": Page("> a\n>\n> - b\n>   > c\n>\n> ```\n> > code\n> ```\n", "file", "a\n- b\nc\n```\n> code\n```"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_dialect(name: str) -> None:
    page = PAGES[name]
    assert chunks_of(page.text, page.path)[0].title == page.title
    assert seen(page.text, page.path) == page.seen


LONG = "A sentence that is long enough to keep a section of its own, as a reader would expect it. " * 2


def test_headings_of_html_make_sections() -> None:
    text = (
        f'<h1 align="center">Larkspur</h1>\n\n{LONG}\n\n<h2 id="a">Keys <kbd>k</kbd></h2>\n\n{LONG}\n\n'
        f"<details>\n<summary>Proxy settings</summary>\n\n{LONG}\n\n</details>\n\n"
        f"## FAQ\n\n<details>\n<summary>Q one</summary>\n\n{LONG}\n\n</details>\n"
    )
    chunks = chunks_of(text)
    assert [chunk.heading_path for chunk in chunks] == [(), ("Keys k",), ("Proxy settings",), ("FAQ", "Q one")]
    assert [chunk.line_start for chunk in chunks] == [1, 5, 10, 16]


def test_bullets_with_headings_make_sections() -> None:
    chunks = chunks_of(f"- ## Tasks\n  - {LONG}\n- ## Log\n  - {LONG}\n    - deep\n")
    assert [chunk.heading_path for chunk in chunks] == [("Tasks",), ("Log",)]


BROKEN = {
    "title: Redis: timeouts\ntags: [a]": ({"title": "Redis: timeouts", "tags": ["a"]}, "line 2"),
    "date: 2020-02-01\ntitle: [RFC 12] Signed manifests\nstatus: ok":
        ({"title": "[RFC 12] Signed manifests", "date": "2020-02-01", "status": "ok"}, "line 3"),
    "a: 1\nbad: [1, 2\nlist:\n  - x\n  - y": ({"a": 1, "list": ["x", "y"]}, "line"),
    "title: &t Name\nother: *t\nc: 2": ({"title": "Name", "c": 2}, "line 3"),
    "title: a\ttab: b\n\tx: 1": ({"title": "a\ttab: b"}, "line"),
}  # fmt: skip


@pytest.mark.parametrize("yaml", BROKEN)
def test_broken_front_matter_costs_only_itself(yaml: str) -> None:
    """What can be read is read, and the problem names the line of the file."""
    values, place = BROKEN[yaml]
    parsed = format_of("a.md").parse(f"---\n{yaml}\n---\ntext\n")
    assert {key: parsed.metadata.get(key) for key in values} == values
    assert place in parsed.problem
