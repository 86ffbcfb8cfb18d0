"""Render markdown as the text of a platform: it is parsed to a tree, and each channel renders the tree."""

from interfaces.markdown.marks import MarkRenderer
from interfaces.markdown.renderer import Renderer

__all__ = ["MarkRenderer", "Renderer"]
