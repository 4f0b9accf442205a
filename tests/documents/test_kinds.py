"""Kinds of file besides Markdown: title, headings, lines, and what a reader sees."""

from __future__ import annotations

import json

import pytest

from rag_search.documents.formats import DecodingError, format_of
from tests.documents.test_dialects import chunks_of, seen

LONG = "A sentence that is long enough to keep a section of its own, as a reader would expect it. " * 2

RST = f"""\
=====
Pools
=====

:author: Me
:date: 2024-01-02

Intro with :ref:`a link <target>`, ``code`` and :func:`~a.b.c`, `ext <http://x>`_, **bold**.
{LONG}

.. _label:

Section *one*
-------------

.. note:: Take care of
   this thing.

   More.

.. code-block:: python
   :linenos:

   x = *1*

Then::

   literal **text**

.. toctree::
   :maxdepth: 2

   hidden-page

- one
- two

======= =====
A       B
======= =====
x       y
======= =====

.. image:: x.png
   :alt: A diagram

.. versionadded:: 3.2
   The thing.

.. function:: foo(a, b)

   Does foo. [1]_

.. comment here
   hidden

.. [1] The footnote.

Sub
~~~

{LONG}
"""
RST_SECTION = """\
Note: Take care of
this thing.
More.
x = *1*
Then:
literal **text**
- one
- two
A       B
x       y
A diagram
New in version 3.2
The thing.
foo(a, b)
Does foo.
The footnote."""


def test_restructured_text() -> None:
    chunks = chunks_of(RST, "docs/pools.rst")
    assert [chunk.heading_path for chunk in chunks] == [(), ("Section one",), ("Section one", "Sub")]
    assert [(chunk.title, chunk.line_start) for chunk in chunks] == [("Pools", 1), ("Pools", 13), ("Pools", 59)]
    assert "Intro with a link, code and a.b.c, ext, bold." in chunks[0].passage
    assert "author" not in chunks[0].passage
    body = "\n".join(line.strip() for line in chunks[1].passage.split("\n")[2:] if line.strip())
    assert body == RST_SECTION
    assert format_of("a.rst").parse(RST).metadata == {"author": "Me", "date": "2024-01-02"}


@pytest.mark.parametrize("top", [".. _label:\n\n", ".. A licence\n   in two lines\n\n", ".. contents::\n\n"])
def test_fields_below_a_label_are_metadata(top: str) -> None:
    """Labels and comments may stand above the title and the fields, as docutils has it; text may not."""
    page = f"{top}Title\n=====\n\n:Date: 2020-05-06\n:Author: Me\n\nText.\n"
    assert format_of("a.rst").parse(page).metadata == {"date": "2020-05-06", "author": "Me"}
    assert seen(page, "a.rst") == "Text."
    assert format_of("a.rst").parse(f"Title\n=====\n\nText.\n\n{top}:Date: 2020-05-06\n").metadata == {}


def test_headings_agree_with_docutils() -> None:
    """The titles of sections are those that docutils finds, in styles with and without overline."""
    core = pytest.importorskip("docutils.core")
    nodes = pytest.importorskip("docutils.nodes")
    text = "Top\n===\n\na\n\n######\nBoxed\n######\n\nb\n\nOne\n---\n\nc\n\nTwo\n---\n\nd\n\n====\n\ne\n\n"
    text += "标题\n----\n\nf\n"
    tree = core.publish_doctree(text, settings_overrides={"report_level": 5})
    titles = [title.astext() for title in tree.findall(nodes.title)]
    headings = [block.content for block in format_of("a.rst").parse(text).blocks if block.kind == "heading"]
    assert headings == titles


def test_targets_of_restructured_text() -> None:
    text = "See :doc:`/quickstart` and :doc:`the guide </guide>`.\n\n__ https://a.example\n"
    assert seen(text, "a.rst") == "See quickstart and the guide."


ADOC = f"""\
= Doc Title
Me <me@a.example>
v1.0, 2020
:keywords: a, b

Intro *bold* and `code`, link:x.html[here], https://a.example[site], <<ref,Ref>>.
{LONG}

== Section

[source,java]
----
int x; // *no*
----

.Block title
|===
|a |b
|===

* item
** nested
+
more

// hidden
image::x.png[A picture]
"""


def test_asciidoc() -> None:
    chunks = chunks_of(ADOC, "docs/a.adoc")
    assert [(chunk.title, chunk.heading_path, chunk.line_start) for chunk in chunks] == [
        ("Doc Title", (), 1),
        ("Doc Title", ("Section",), 9),
    ]
    assert "\nIntro bold and code, here, site, Ref.\n" in chunks[0].passage
    assert seen(ADOC, "a.adoc").split("\n")[2:] == [
        "int x; // *no*", "Block title", "|a |b", "* item", "** nested", "more", "A picture",
    ]  # fmt: skip
    assert format_of("a.adoc").parse(ADOC).metadata == {"keywords": "a, b"}


ADOC_SEEN = {
    "= Doc {product}\n:product: Kiln\n:about: All of {product}.\n\n{about} See {url-x}/a[the book], {other}.\n":
        "All of Kiln. See the book, {other}.",
    "xref:how-to:build.adoc[], xref:a.adoc#x.part-b[], xref:a.adoc[the `page`], link:x.html[Text,window=_blank]\n":
        "build, x.part-b, the page, Text",
    "javadoc:org.x.Foo[], javadoc:org.x.Bar[format=annotation], configprop:kiln.heat[], https://a.example[]\n":
        "org.x.Foo, org.x.Bar, kiln.heat, https://a.example",
    "https://a.example[Atom^], link:x.html[docs^,role=y] and {url-x}[FX^].\n": "Atom, docs and FX.",
    "Fragments::\nText std::foo[1], ``<mark>`` and \"`words`\".\n":
        "Fragments\nText std::foo[1], <mark> and \"words\".",
    "include-code::Foo[]\n\n[cols=2]\n|===\n^| a\n5+^| b\na| c\n|===\n": "| a\n| b\n| c",
    "|===\n|depth +\n(d)\na|image::tick.png[]\na|image::no.png[Not so]\nIn C+ +.\n|===\n":
        "|depth\n(d)\n|\n|Not so\nIn C+ +.",
}  # fmt: skip


@pytest.mark.parametrize("text", ADOC_SEEN)
def test_macros_and_attributes_of_asciidoc(text: str) -> None:
    assert seen(text, "kiln.adoc") == ADOC_SEEN[text]


def test_attributes_in_a_title_of_asciidoc() -> None:
    text = f"= Doc {{product}}\n:product: Kiln\n\n{LONG}\n\n== Heat the {{product}}\n\n{LONG}\n"
    chunks = chunks_of(text, "a.adoc")
    assert [(chunk.title, chunk.heading_path) for chunk in chunks] == [
        ("Doc Kiln", ()),
        ("Doc Kiln", ("Heat the Kiln",)),
    ]


ORG = f"""\
#+TITLE: Org title
#+DATE: 2024-03-01

Intro /it/ =verb= [[http://x][text]] a/b/c. {LONG}

* TODO Head *one*                                        :tag:
:PROPERTIES:
:ID: x
:END:

- a
- b

#+BEGIN_SRC python :results output
x = *1*
#+END_SRC

** Sub
| a | b |
|---+---|
| 1 | 2 |
# hidden
{LONG}
"""


def test_org() -> None:
    chunks = chunks_of(ORG, "docs/a.org")
    assert [(chunk.title, chunk.heading_path, chunk.line_start) for chunk in chunks] == [
        ("Org title", (), 1),
        ("Org title", ("TODO Head one",), 6),
        ("Org title", ("TODO Head one", "Sub"), 18),
    ]
    assert "Intro it verb text a/b/c." in chunks[0].passage
    assert chunks[1].passage.endswith("- a\n- b\n\n```python\nx = *1*\n```")
    assert "| a | b |\n| 1 | 2 |\nA sentence" in chunks[2].passage.replace("\n\n", "\n")


def test_state_of_a_task_is_not_in_its_name() -> None:
    """Priorities and counters of Org headlines are in no heading path."""
    assert chunks_of("#+TITLE: Test of [[https://a.example][issue 4]]\n\nx\n", "a.org")[0].title == "Test of issue 4"
    text = f"#+TITLE: T\n* TODO [#A] Paint [1/2]\n{LONG}\n* Fire [50%] the kiln\n{LONG}\n"
    assert [chunk.heading_path for chunk in chunks_of(text, "a.org")] == [("TODO Paint",), ("Fire the kiln",)]


@pytest.mark.parametrize("revision", ["v1.0, 2020-05-06", "v2, 2020-05-06: Second", "2020-05-06", "1.5, 2020-05-06"])
def test_the_revision_of_asciidoc_has_a_date(revision: str) -> None:
    parsed = format_of("a.adoc").parse(f"= Title\nMe <me@a.example>\n{revision}\n\nText.\n")
    assert parsed.metadata == {"revdate": "2020-05-06"}


HTML = f"""\
<!DOCTYPE html>
<html><head><title>Page &mdash; Site</title>
<meta name="description" content="About &amp; more">
<meta name="keywords" content="a, b">
<style>p {{}}</style></head>
<body>
<nav><ul><li>Home</li></ul></nav>
<main>
<h1>Main <em>title</em><a class="headerlink" href="#x">¶</a></h1>
<p>First paragraph
goes on. {LONG}</p>
<h2 id="a">Second</h2>
<ul>
<li>one</li>
<li>two &lt;b&gt;</li>
</ul>
<pre><code>x &lt; 1
y</code></pre>
<table><tr><td>a</td><td>b</td></tr></table>
<script>var x = "<p>no</p>";</script>
<!-- hidden <p> -->
<img src="x" alt="Alt text">
</main>
<footer>foot</footer>
</body></html>
"""


def test_templates_of_html_pages() -> None:
    """Front matter, tags and comments of Jinja, Liquid and Go are hidden; values and code stay."""
    page = (
        "---\ntitle: Team\nlayout: page\n---\n{%- comment -%}no{% endcomment %}\n{# no #}<p>Hi {{ name }},\n"
        "{% if x %}there{% endif %}</p>{{- /* no */ -}}<pre>{% for %}</pre>\n"
    )
    assert seen(page, "a.html") == "Hi {{ name }},\nthere  {% for %}"
    assert chunks_of(page, "a.html")[0].title == "Team"


def test_html() -> None:
    chunks = chunks_of(HTML, "docs/a.html")
    assert [(chunk.title, chunk.heading_path) for chunk in chunks] == [("Main title", ()), ("Main title", ("Second",))]
    assert chunks[1].line_start == 12
    assert "First paragraph\ngoes on. A sentence" in chunks[0].passage
    assert "Site" not in chunks[0].passage and "Home" not in chunks[0].passage
    lines = [" ".join(line.split()) for line in chunks[1].passage.split("\n")[2:] if line.strip()]
    assert lines == ["- one", "- two <b>", "x < 1", "y", "a b", "Alt text"]
    assert format_of("a.html").parse(HTML).metadata == {"description": "About & more", "keywords": ["a", "b"]}


def test_the_only_heading_of_a_part_of_a_page_is_its_title() -> None:
    assert chunks_of("<h4>Dragging</h4>\n<p>text</p>\n", "dragging-20.html")[0].title == "Dragging"
    assert chunks_of("<h4>One</h4>\n<h4>Two</h4>\n<p>text</p>\n", "dragging-20.html")[0].title == "dragging-20"


def test_html_in_one_line_is_broken_at_its_blocks() -> None:
    """A page written by a program has sections nevertheless."""
    page = "<html><body><h1>T</h1>" + f"<h2>A</h2><p>{LONG}</p><h2>B</h2><p>{LONG}</p>" * 10 + "</body></html>"
    text = format_of("a.html").decode(page.encode())
    assert {chunk.heading_path for chunk in chunks_of(text, "a.html")} == {("A",), ("B",)}
    assert "".join(text.split("\n")) == page


def test_long_lines_of_html_keep_the_numbers_of_lines() -> None:
    """Neither navigation in one line, as mdBook writes it, nor a long paragraph moves the lines below it."""
    contents = "".join(f'<ol><li><a href="{i}.html">Chapter {i}</a></li></ol>' for i in range(100))
    shown = f"<main>\n<h1>T</h1>\n  <p>{'word ' * 500}</p>\n<h2>A</h2><p>{LONG}</p>\n</main>\n"
    page = f"<html><body>\n<nav>\n<ul>{contents}</ul>\n</nav>\n{shown}<div>{contents}</div></body></html>\n"
    assert format_of("a.html").decode(page.encode()) == page
    section = next(chunk for chunk in chunks_of(page, "a.html") if chunk.heading_path == ("A",))
    assert section.line_start == 8


def notebook(*cells: dict[str, object], **more: object) -> bytes:
    return json.dumps({"cells": cells, "metadata": {}, **more}).encode()


def test_notebook() -> None:
    """Outputs are left out, code is fenced in the language of the kernel."""
    content = notebook(
        {"cell_type": "markdown", "source": ["# Fit\n", "Read it."]},
        {"cell_type": "code", "source": "x = 1\n```", "outputs": [{"text": "secret"}]},
        {"cell_type": "raw", "source": "raw"},
        {"cell_type": "code", "source": []},
        metadata={"language_info": {"name": "julia"}},
    )
    text = format_of("a.ipynb").decode(content)
    assert text == "# Fit\nRead it.\n\n````julia\nx = 1\n```\n````\n"
    assert chunks_of(text, "a.ipynb")[0].title == "Fit"


@pytest.mark.parametrize(("level", "marks"), [(2, "##"), (10**18, "######"), (-1, "#")])
def test_a_heading_cell_has_a_level_of_markdown(level: int, marks: str) -> None:
    """One number in a file of a hundred bytes does not take gigabytes."""
    content = notebook({"cell_type": "heading", "level": level, "source": "Fit"})
    assert format_of("a.ipynb").decode(content) == f"{marks} Fit\n"


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"cells": [1]}', b"{" * 5000])
def test_what_is_not_a_notebook_is_told(content: bytes) -> None:
    with pytest.raises(DecodingError):
        format_of("a.ipynb").decode(content)
