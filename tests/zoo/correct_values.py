"""Correct toolkits whose attributes are immutable, or are copied although `copy.deepcopy` cannot copy them."""

import ipaddress
import json
import random
from contextvars import ContextVar
from types import MappingProxyType
from typing import TypeVar

import jinja2
import sqlalchemy
from pydantic import HttpUrl

from toolkits import Toolkit, TurnContext, tool

T = TypeVar("T")

_notes = sqlalchemy.Table("notes", sqlalchemy.MetaData(), sqlalchemy.Column("note", sqlalchemy.String))
_templates = jinja2.Environment(loader=jinja2.DictLoader({"greeting": "Hello {{ name }}"}), autoescape=True)


class Values(Toolkit):
    def __init__(self) -> None:
        self.address = HttpUrl("https://example.com/")
        self.network = ipaddress.ip_network("192.0.2.0/24")
        self.kind = T
        self.clean = str.strip
        self.decoder = json.JSONDecoder()
        self.source = random.SystemRandom()
        self.table = _notes

    @tool
    def work(self, text: str) -> str:
        """Use the attributes."""
        query = str(sqlalchemy.insert(self.table))
        return f"{self.clean(text)} {self.address} {self.source.random()} {query} {self.decoder.decode('{}')}"


class TemplateOfATurn(Toolkit):
    def __init__(self) -> None:
        self.template = _templates.get_template("greeting")

    @tool
    async def greet(self, context: TurnContext) -> str:
        """Greet with a template, whose copy belongs to the turn."""
        self.template.globals["name"] = await context.credentials("fake")
        return self.template.render()


class ViewOfATurn(Toolkit):
    def __init__(self) -> None:
        self.options = MappingProxyType({"seen": list[str]()})

    @tool
    def see(self, text: str) -> str:
        """See."""
        self.options["seen"].append(text)
        return str(self.options)


class ContextVariableOnSelf(Toolkit):
    def __init__(self) -> None:
        self.current: ContextVar[str] = ContextVar("current_on_self")

    @tool
    async def work(self, context: TurnContext) -> str:
        """Set a context variable in the task of the turn."""
        self.current.set(await context.credentials("fake"))
        return self.current.get()


CORRECT_VALUES: list[type[Toolkit]] = [Values, TemplateOfATurn, ViewOfATurn, ContextVariableOnSelf]
