"""Lay out the page with Gradio: a search over the index and a sandbox for the reranker.

Document text reaches the page as the value of a `gr.HTML` with the default template "${value}". With a `{{...}}` in the
template Gradio would run the content of a value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from rag_search.server.service import Service
from rag_search.server.ui import handlers
from rag_search.server.ui.results import error_html, head_html, hint_html

STYLE = Path(__file__).with_name("page.css")
RERANK_HINT = "Every passage gets a score between 0 and 1; the best is first."
EXAMPLE_QUERY = "如何解决Redis连接超时"
EXAMPLE_PASSAGES = """Redis 是内存数据库，常用作缓存和消息队列。

When Redis connections time out, look at the pool first: raise maxTotal and set maxWaitMillis.

连接 MySQL 超时，先检查 wait_timeout 和防火墙。

Redis 连接超时多半是连接池耗尽：把 maxTotal 调大，maxWaitMillis 设为 300。

Run pg_dump every night and copy the dump to object storage."""

_OPEN_ON_CLICK = """
const type = (field, text) => {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, text);
  field.dispatchEvent(new Event('input', {bubbles: true}));
};
const question = () => document.querySelector('.ask textarea, .ask input');
const copy = async text => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');  // over http from another machine there is no clipboard
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
};
const typePath = (folder, tries) => setTimeout(() => {  // Gradio may empty a field that it has just shown
  const field = document.querySelector('.paths textarea, .paths input');
  if (field && field.value !== folder) type(field, folder);
  if (tries) typePath(folder, tries - 1); else question().focus();
}, 50);
element.addEventListener('click', event => {
  const action = event.target.closest('[data-copy], [data-question], [data-folder]');
  if (action && action.dataset.copy) {
    copy(action.dataset.copy).then(() => {
      action.textContent = 'copied';
      setTimeout(() => { action.textContent = 'copy path'; }, 1500);
    });
  } else if (action && action.dataset.question) {
    type(question(), action.dataset.question);
    setTimeout(() => document.querySelector('.ask button').click(), 50);
  } else if (action) {
    const filters = document.querySelector('.filters > button');
    if (!filters.classList.contains('open')) filters.click();
    typePath(action.dataset.folder + '/', 6);
  }
  const button = event.target.closest('[data-document]');
  if (!button) return;
  element.querySelectorAll('.opened').forEach(hit => hit.classList.remove('opened'));
  button.closest('li').classList.add('opened');
  trigger('click', {...button.dataset});
});
"""
_SHOW_PASSAGE = """
const narrow = matchMedia('(max-width: 900px)');
element.addEventListener('click', event => {
  if (!event.target.closest('.close')) return;
  props.value = '';
  const hit = document.querySelector('.hits .opened');
  if (hit) hit.querySelector('.title').focus({preventScroll: true});
  if (hit && narrow.matches) hit.scrollIntoView({block: 'center'});
});
watch('value', () => {
  const shown = element.querySelector('.doc');
  if (!shown) return;
  const found = element.querySelector('.found');
  const top = found ? found.getBoundingClientRect().top - shown.getBoundingClientRect().top + shown.scrollTop : 0;
  shown.scrollTo({top: top - shown.querySelector('header').offsetHeight});
  if (narrow.matches) element.scrollIntoView({block: 'start'});
});
"""
# The question is in the fragment of the address, which can be kept and sent to others and is never sent to a server:
# Gradio repeats the query string in the path of every request. `?q=` is what earlier versions wrote.
_READ_ADDRESS = """() => {
  if (!window.readsFragment) addEventListener('hashchange', () => location.reload());
  window.readsFragment = true;
  const given = name => new URLSearchParams(name).get('q');
  return given(location.hash.slice(1)) ?? given(location.search) ?? '';
}"""
_WRITE_ADDRESS = """(question) => {
  const address = new URL(location);
  address.searchParams.delete('q');
  address.hash = question.trim() ? new URLSearchParams({q: question}) : '';
  history.replaceState(null, '', address);
}"""
_QUIET: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
_WAITING: dict[str, Any] = {**_QUIET, "show_progress": "minimal"}


def make_page(service: Service) -> gr.Blocks:
    """Return the page with its two tabs."""
    page = gr.Blocks(title="ragsearch", analytics_enabled=False, fill_width=True)
    with page:
        head = gr.HTML(head_html(""), js_on_load=None, **_output("top"))
        with gr.Tabs():
            with gr.Tab("Search"):
                _search_tab(service, page)
            with gr.Tab("Rerank"):
                _rerank_tab(service)

        async def show_head() -> str:
            return await handlers.html_or_error(handlers.head(service))

        page.load(show_head, None, head, **_QUIET)
    return page


def make_theme() -> gr.themes.Base:
    """Return the theme. Its fonts come from Gradio's files or the user's machine, never from another host."""
    chinese = ("PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei")
    plex, plex_mono = (gr.themes.LocalFont(name, weights=(400, 700)) for name in ("IBM Plex Sans", "IBM Plex Mono"))
    theme = gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        font=[plex, "system-ui", *chinese, "sans-serif"],
        font_mono=[plex_mono, "ui-monospace", *chinese, "monospace"],
    )
    return theme.set(
        block_border_width="0px",
        block_padding="0px",
        block_label_text_size="*text_sm",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_large_text_size="*text_md",
        button_large_text_weight="700",
        button_large_radius="*radius_md",
        button_large_padding="10px 18px",
        input_background_fill="*background_fill_primary",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_600",
        input_radius="*radius_md",
        input_text_size="*text_md",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
    )


def _search_tab(service: Service, page: gr.Blocks) -> None:
    with gr.Row(elem_classes="ask"):
        query = _text("Question", "What do you want to know?", show_label=False, autofocus=True, scale=5)
        go = gr.Button("Search", variant="primary", scale=0, min_width=110)
    with gr.Accordion("Instruction and filters", open=False, elem_classes="filters"):
        with gr.Row():
            instruction = _text("Instruction", "for engines that follow one", scale=3)
            top_k = gr.Number(service.live_searcher.config.settings.search.top_k, label="Results", scale=1)
        with gr.Row():
            paths = _text("Paths, one per line", "docs/guide/*.md", lines=2, elem_classes="paths")
            where = _text("Front matter, one per line", "category=api", lines=2)
            since = gr.DateTime(label="Updated since", include_time=False, type="string", elem_classes="since")
    with gr.Row(elem_classes="answer"):
        hits = gr.HTML(hint_html(""), js_on_load=_OPEN_ON_CLICK, **_output("results"))
        shown = gr.HTML("", js_on_load=_SHOW_PASSAGE, **_output("preview"))

    async def search(*typed: Any) -> tuple[str, str]:
        return await handlers.html_or_error(handlers.search(service, *typed)), ""

    async def start(*typed: Any) -> tuple[str, str]:
        if str(typed[0]).strip():
            return await search(*typed)
        return await handlers.html_or_error(handlers.start(service)), ""

    async def open_document(event: gr.EventData) -> str:
        return await handlers.html_or_error(handlers.document(service, event._data))

    form = [query, instruction, top_k, paths, where, since]
    request = gr.on([go.click, query.submit], search, form, [hits, shown], **_WAITING)
    request.failure(None, None, hits, js=_no_answer_script(service), **_QUIET)
    gr.on([go.click, query.submit], None, query, None, js=_WRITE_ADDRESS, **_QUIET)
    page.load(None, None, query, js=_READ_ADDRESS, **_QUIET).then(start, form, [hits, shown], **_QUIET)
    hits.click(open_document, None, shown, **_QUIET)


def _rerank_tab(service: Service) -> None:
    with gr.Row(elem_classes="sandbox"):
        with gr.Column(scale=2, min_width=300):
            query = _text("Query", "[instruction] question")
            passages = _text("Passages, blank lines between them", "", lines=14, max_lines=28, autoscroll=False)
            with gr.Row():
                example = gr.Button("Example", scale=1, min_width=90)
                go = gr.Button("Run", variant="primary", scale=2, min_width=90)
        with gr.Column(scale=3, min_width=300):
            ranked = gr.HTML(hint_html(RERANK_HINT), js_on_load=None, **_output("results"))

    async def rerank(raw: str, text: str) -> str:
        return await handlers.html_or_error(handlers.rerank(service, raw, text))

    request = gr.on([go.click, query.submit], rerank, [query, passages], ranked, **_WAITING)
    request.failure(None, None, ranked, js=_no_answer_script(service), **_QUIET)
    example.click(lambda: (EXAMPLE_QUERY, EXAMPLE_PASSAGES), None, [query, passages], **_QUIET)


def _text(label: str, placeholder: str, **options: Any) -> gr.Textbox:
    return gr.Textbox("", label=label, placeholder=placeholder, **options)


def _no_answer_script(service: Service) -> str:
    """Return JavaScript for a request that did not reach a handler."""
    limit = service.settings.max_body_mb
    remedy = f"It may have stopped; this page loads again when it is back. Or the text is longer than {limit:g} MiB."
    html = error_html("no answer from the server.", remedy)
    return f"() => {json.dumps(html)}"


def _output(kind: str) -> dict[str, Any]:
    return {"apply_default_css": False, "elem_classes": kind}
