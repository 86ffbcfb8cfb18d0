"""Measure how long hostile markdown takes to render."""

from collections.abc import Callable

from bench.harness.measure import Row, side_by_side
from interfaces.chatkit.format import to_markdown
from interfaces.slack.format import MrkdwnRenderer
from interfaces.telegram.format import HtmlRenderer
from interfaces.web.format import to_html
from interfaces.whatsapp.format import WhatsAppRenderer

LENGTH = 50_000  # characters

#: Each piece is repeated up to `LENGTH`, which makes a text that is costly to parse or to render.
PIECES = {
    "words": "word ",
    "lines": "a\n",
    "paragraphs": "a\n\n",
    "headings": "# a\n",
    "items of a list": "- a\n",
    "quoted lines": ">>>> a\n",
    "bold words": "**a** ",
    "marks without an end": "**a _b ~~c ",
    "open brackets": "[",
    "images without an end": "![",
    "links": "[a](https://a.test) ",
    "addresses": "<https://a.test> ",
    "code": "`a` ",
    "lines of code": "    x\n",
    "cells": "|a|b|\n|-|-|\n|x|y|\n\n",
    "definitions": "[a]: <b\n",
}
RENDERERS: dict[str, Callable[[str], object]] = {
    "Slack": MrkdwnRenderer().render,
    "Telegram": HtmlRenderer().render,
    "WhatsApp": WhatsAppRenderer().render,
    "the web chat": to_html,
    "ChatKit": to_markdown,
}


def measure_rendering() -> list[Row]:
    """Compare, for each channel, markdown that is costly to render with plain words of the same length."""
    rows: list[Row] = []
    for channel, render in RENDERERS.items():
        texts = {kind: (piece * LENGTH)[:LENGTH] for kind, piece in PIECES.items()}
        contenders = {
            f"{LENGTH} characters of {kind} for {channel}": lambda text=text, render=render: render(text)
            for kind, text in texts.items()
        }
        first, *others = side_by_side(contenders, calls=1)
        rows += [first, max(others, key=lambda row: row.value)]
    return rows
