"""Hooks of MkDocs, which make the site of files that people also read in the repository.

The pages of the site are those of docs/, and every other file to which a page links: markdown as a page, anything else
as a page with its text. Links between them lead to the pages of the site.

https://www.mkdocs.org/user-guide/configuration/#hooks
"""

import posixpath
import re
from pathlib import Path

import typer
from markdown import Extension, Markdown
from markdown.blockprocessors import build_block_parser
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from gateway.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS = "docs/"
HOME = "README.md"  # the first page of the site

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")
NAME_OF_PAGE = re.compile(r"\bdocs/([\w-]+\.md)\b")
#: A page with the text of a file, which the search of the site leaves out.
CODE_PAGE = "---\nsearch: {{exclude: true}}\n---\n\n# {}\n\n``` {}\n{}```\n"
FENCE = re.compile(r" *(`{3,})")
ITEM = re.compile(r" *(?:-|\d+\.) ")
SUBCOMMANDS = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n")
#: What a browser loads when it opens a page. A link that a person follows is none of it.
FOREIGN = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s>]*"
    r"|<link\b(?![^>]*\brel=[\"']?canonical)[^>]*\bhref=[\"']?(?:https?:)?//[^\s>]*"
)


class Indentation(Extension):
    """Let nested lists be indented as in CommonMark, by two spaces or more, and not only by four."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # the name is Python-Markdown's
        md.tab_length = 2
        md.parser = build_block_parser(md)  # the parts of the parser keep the length with which they are made


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.markdown_extensions.insert(0, Indentation())  # before others add parts to the parser
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside of docs/ to which pages link, and those to which these link."""
    waiting = [HOME, *(DOCS + file.src_uri for file in files.documentation_pages())]
    known = set(waiting)
    files.append(File.generated(config, page_of(HOME), abs_src_path=str(ROOT / HOME)))
    while waiting:
        page = waiting.pop()
        for target in linked(page, (ROOT / page).read_text()) - known:
            known.add(target)
            if target.startswith(DOCS):
                continue
            if target.endswith(".md"):
                waiting.append(target)
                files.append(File.generated(config, page_of(target), abs_src_path=str(ROOT / target)))
            else:
                text = CODE_PAGE.format(Path(target).name, Path(target).suffix[1:], (ROOT / target).read_text())
                files.append(File.generated(config, page_of(target), content=text, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to the pages of the site, and add the commands to the page about them."""
    uri = page.file.src_uri
    path = HOME if uri == page_of(HOME) else uri if (ROOT / uri).is_file() else DOCS + uri

    def rewrite(link: re.Match[str]) -> str:
        if not (ROOT / (target := resolve(path, link[0]))).is_file():
            return link[0]
        return posixpath.relpath(page_of(target), posixpath.dirname(uri) or ".")

    markdown = separate_items(LINK.sub(rewrite, markdown))
    return f"{markdown}\n{commands()}" if uri == "commands.md" else markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the names of pages in docstrings, like docs/flows.md, lead to these pages."""

    def link(name: re.Match[str]) -> str:
        file = files.get_file_from_path(name[1])
        return name[0] if file is None else f'<a href="{file.url_relative_to(page.file)}">{name[0]}</a>'

    return NAME_OF_PAGE.sub(link, html) if page.file.src_uri.startswith("api") else html


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Check that a browser loads nothing from another host: pages work offline, and tell nobody who reads them."""
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from another host: {found[0]}")
    return output


def separate_items(markdown: str) -> str:
    """Add a blank line before each item of a list that follows a paragraph, as Python-Markdown needs it."""
    lines: list[str] = []
    fence, is_apart = "", False  # whether a blank line came after the last item
    for line in markdown.splitlines():
        if mark := FENCE.match(line):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        elif not fence and ITEM.match(line):
            if is_apart and lines[-1]:
                lines.append("")
            is_apart = False
        is_apart = is_apart or not line
        lines.append(line)
    return "\n".join(lines)


def linked(path: str, markdown: str) -> set[str]:
    """Return the files of the repository to which a file links."""
    return {target for link in LINK.findall(markdown) if (ROOT / (target := resolve(path, link))).is_file()}


def resolve(path: str, link: str) -> str:
    """Return the path in the repository to which a link in a file leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def page_of(path: str) -> str:
    """Return the file of the site that shows a file of the repository."""
    if path == HOME:
        return "index.md"
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return path if path.endswith(".md") else f"{path}.md"


def commands() -> str:
    """Return what `--help` of each command says, as markdown."""
    command = typer.main.get_group(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="understudy", indent=1)
    text = SUBCOMMANDS.sub("", text)  # each has a section of its own, and its description is cut off here
    return text.replace("```console\n$ ", "``` text\n")
