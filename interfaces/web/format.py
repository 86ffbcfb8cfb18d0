from markdown_it import MarkdownIt

# What a model writes is not trusted: HTML in it is shown as text, and addresses are http, https or mailto alone.
_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def to_html(markdown: str) -> str:
    return str(_parser.render(markdown))
