"""Documents that try to be more than text."""

from __future__ import annotations

EVIL = "evil.example"
TITLE = "<script>window.ran='title'</script><img src=x onerror=window.ran='title'>"
BODY = f"""# Heading <img src=x onerror="window.ran='heading'"> "quotes' `code`

zebra <script>window.ran='script'</script> <img src="http://{EVIL}/a.png" onerror="window.ran='img'">
<svg onload="window.ran='svg'"></svg> <iframe src="http://{EVIL}/frame"></iframe> <base href="http://{EVIL}/">
<style>@import url(http://{EVIL}/a.css); body {{ display: none }}</style> <link rel=stylesheet href=//{EVIL}/b.css>
<form action="http://{EVIL}/"><input autofocus onfocus="window.ran='focus'"></form> <meta http-equiv=refresh content=0>

zebra ![pixel](http://{EVIL}/pixel.png) ![data](data:image/svg+xml,<svg/onload=window.ran='data'>) ![x][ref]
[run](javascript:window.ran='link') [run](JaVaScRiPt:window.ran='link') [data](data:text/html,<script>alert(1)</script>)
[quoted](http://{EVIL}/"onmouseover=window.ran='over') <http://{EVIL}/auto> [x](vbscript:x)
[local](../x.md) [y](//{EVIL})

zebra ${{window.ran='template'}} `${{window.ran='tick'}}` {{{{window.ran='handlebars'}}}}
{{{{#with "s" as |string|}}}}x{{{{/with}}}}
zebra \x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://{EVIL}\x1b\\\\link\x1b]8;;\x1b\\\\
\u202egnp.exe\u202c \u2028 \x9b2J

```html" onmouseover="window.ran='fence'
zebra </code></pre><script>window.ran='fence'</script>
```

| zebra <b onclick="window.ran='cell'">cell</b> | ${{1}} |
|:-:|---|
| </td></table><img src=x onerror=window.ran='table'> | x |

- zebra </li></ul></div></article><img src=x onerror="window.ran='list'">

<!-- zebra --><script>window.ran='comment'</script>

[ref]: http://{EVIL}/ref.png
"""
DOCUMENT = f"---\ntitle: {TITLE!r}\nkey: \"<img src=x onerror=window.ran='meta'>\"\n---\n{BODY}"
NAME = "zebra\" onmouseover=\"window.ran='path' <img src=x onerror=window.ran=1>.md"
PASSAGES = BODY
