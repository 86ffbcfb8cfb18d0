"""Tools: their schemas, their names and where they run."""

from __future__ import annotations

import threading
from typing import Literal

import pytest
from pydantic import BaseModel

from gateway import Agent, SettingError
from toolkits import Function, Toolkit, TurnContext, tool


class Place(BaseModel):
    city: str
    zip_code: int | None = None


class Weather(Toolkit):
    def __init__(self) -> None:
        self.asked: list[str] = []

    @tool
    def forecast(self, city: str, context: TurnContext, days: int = 3, unit: Literal["C", "F"] = "C") -> str:
        """Forecast the weather.

        Args:
            city: where.
            days: how many days.
        """
        self.asked.append(city)
        return f"{city} {days} {unit} {context} {threading.current_thread() is threading.main_thread()}"

    @tool
    async def where(self, place: Place) -> str:
        """Where it is.

        Parameters
        ----------
        place : Place
            The place.
        """
        return f"{place.city} {threading.current_thread() is threading.main_thread()}"

    @tool(name="other_name", description="What it is for.")
    def renamed(self, note: str = "x") -> str:
        return note

    @tool
    def sphinx(self, size: float) -> float:
        """Measures.

        :param size: how large.
        """
        return size

    def not_a_tool(self) -> None: ...


class MoreWeather(Weather):
    @tool
    def more(self) -> str:
        """More."""
        return "more"


def function(name: str) -> Function:
    return Weather().functions[name]


def test_the_tools_are_the_decorated_methods_inherited_ones_included() -> None:
    assert set(Weather().functions) == {"forecast", "where", "other_name", "sphinx"}
    assert set(MoreWeather().functions) == {"forecast", "where", "other_name", "sphinx", "more"}


def test_the_schema_comes_from_hints_and_docstring_and_hides_the_context() -> None:
    schema = function("forecast").parameters
    assert set(schema["properties"]) == {"city", "days", "unit"}
    assert schema["required"] == ["city"]
    assert schema["properties"]["city"] == {"type": "string", "description": "where."}
    assert schema["properties"]["days"]["default"] == 3
    assert schema["properties"]["unit"]["enum"] == ["C", "F"]
    assert function("forecast").description == "Forecast the weather."


@pytest.mark.parametrize(
    ("name", "parameter", "described"), [("sphinx", "size", "how large."), ("forecast", "city", "where.")]
)
def test_docstrings_of_other_styles_are_read(name: str, parameter: str, described: str) -> None:
    assert function(name).parameters["properties"][parameter]["description"] == described


def test_name_and_description_can_be_given() -> None:
    assert function("other_name").description == "What it is for."


async def test_a_sync_tool_runs_in_a_thread_and_gets_the_context() -> None:
    toolkit = Weather()
    answer = await toolkit.functions["forecast"].call({"city": "Ulm"}, "CONTEXT")  # type: ignore[arg-type]
    assert answer == "Ulm 3 C CONTEXT False"
    assert toolkit.asked == ["Ulm"]


async def test_an_async_tool_runs_on_the_loop() -> None:
    assert await function("where").call({"place": Place(city="Ulm")}, "CONTEXT") == "Ulm True"  # type: ignore[arg-type]


def test_a_tool_with_nameless_parameters_is_refused() -> None:
    class Wrong(Toolkit):
        @tool
        def anything(self, *args: str) -> None:
            """Take anything."""

    with pytest.raises(TypeError, match="named parameters only"):
        Agent(model="test", toolkits=[Wrong()]).check()


def test_two_tools_of_one_name_are_refused() -> None:
    class Also(Toolkit):
        @tool
        def forecast(self) -> str:
            """Another."""
            return ""

    with pytest.raises(SettingError, match="two tools called 'forecast', of Weather and Also"):
        Agent(model="test", toolkits=[Weather(), Also()]).check()


def test_two_members_of_one_name_are_refused() -> None:
    members = [Agent(model="test", name="Mail helper"), Agent(model="test", name="mail-helper")]
    with pytest.raises(SettingError, match="two tools called 'ask_mail_helper'"):
        Agent(model="test", members=members).check()
