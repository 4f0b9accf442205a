"""List the elements of HTML. Only a known tag is taken for a tag: `<your-name>` in prose is text."""

from __future__ import annotations

_INLINE = """
a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike strong sub
sup time tt u var wbr
"""
_BLOCK = """
address article aside audio base blockquote body br button canvas caption center col colgroup dd details dialog div dl
dt embed fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input legend li
link main map menu meta meter nav noscript object ol optgroup option output p param picture pre progress rp rt ruby
script section select slot source style summary svg table tbody td template textarea tfoot th thead title tr track ul
video
"""
INLINE_TAGS = frozenset(_INLINE.split())
BLOCK_TAGS = frozenset(_BLOCK.split())
