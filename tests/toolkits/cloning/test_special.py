"""Copies of read-only views, schemas and templates."""

import types

import jinja2
import sqlalchemy

from gateway import Agent
from toolkits import Toolkit

notes = sqlalchemy.Table("notes", sqlalchemy.MetaData(), sqlalchemy.Column("note", sqlalchemy.String))
templates = jinja2.Environment(
    loader=jinja2.DictLoader({"greeting": "Hello {{ name|upper }}{% block end %}!{% endblock %}"}), autoescape=True
)


def test_a_template_is_the_same_after_a_check_and_a_clone_of_a_clone_has_its_own_values() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.view = types.MappingProxyType({"a": [1]})

    template = Holder()
    before = {name: repr(value) for name, value in vars(template).items()}
    Agent(model="test", toolkits=[template]).check()
    first = template.clone()
    first.clone().view["a"].append(2)
    assert first.view == template.view == {"a": [1]}
    assert {name: repr(value) for name, value in vars(template).items()} == before


def test_a_cloned_read_only_view_shows_the_cloned_mapping() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.names = {"a": [1]}
            self.view = types.MappingProxyType(self.names)

    template = Holder()
    clone = template.clone()
    clone.names["a"].append(2)
    assert clone.view["a"] == [1, 2]
    assert template.view["a"] == [1]


def test_a_schema_is_shared_and_not_copied() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.tables = [notes]

    assert Holder().clone().tables[0] is notes


def test_a_template_of_a_clone_renders_and_has_its_own_environment() -> None:
    class Holder(Toolkit):
        def __init__(self) -> None:
            self.environment = templates
            self.template = templates.get_template("greeting")

    clone = Holder().clone()
    clone.environment.filters["upper"] = str.lower
    clone.environment.globals["name"] = "Ada"
    assert clone.template.render() == "Hello ada!"
    assert templates.get_template("greeting").render() == "Hello !"
