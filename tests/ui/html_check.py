"""What HTML may contain that was made from text of others: an oracle that knows nothing of how it was made."""

from __future__ import annotations

from html.parser import HTMLParser

TAGS = {"a", "article", "header", "section", "div", "span", "p", "br", "hr", "blockquote", "pre", "code", "mark"}
TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"}
TAGS |= {"b", "i", "s", "em", "strong", "button", "details", "summary"}
VOID = {"br", "hr"}
ATTRIBUTES = {"class", "title", "role", "type", "style", "data-document", "data-first", "data-last", "start"}
ATTRIBUTES |= {"data-copy", "data-question", "data-folder"}
ADDRESSES = ("http://", "https://", "vscode://file/")  # the last is the editor's


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"<{tag}>"
        for name, value in attrs:
            if name == "href":
                assert (value or "").lower().startswith(ADDRESSES), value
            elif name == "style":
                assert (value or "").replace("text-align:", "width:").startswith("width:"), value
                assert "url" not in (value or "")
            else:
                assert name in ATTRIBUTES or (tag == "a" and name in ("target", "rel")), f"<{tag} {name}>"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}>"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("an instruction")


def visible_text(html: str) -> str:
    """The text of `html`. Fails when it holds a tag, an attribute or an address that our pages never use."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return "".join(checker.text)
