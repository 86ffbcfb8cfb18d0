"""Read a YAML file as values, each with its place in the file."""

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

import yaml

from gateway.configuration.expansion import REQUEST_NAMES, Reference, fill, in_key, mistakes
from oauth.errors import SettingError, WrongSetting
from oauth.settings import PLACEHOLDER, SeveralSettingsError, uses_placeholders

Place = tuple[str | int, ...]
"""The place of a value: keys and indexes, from the top."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a file, with its line and column, both from 1.

    Args:
        setting: the setting that is wrong, if the mistake is about one.
    """

    line: int
    column: int
    sentence: str
    setting: WrongSetting | None = None


@dataclass
class Document:
    """The content of a file, and the mistakes that were found in it.

    Args:
        marks: the line and column of each value, by its place; those of a key are under that place and `KEY`.
        expanded: the places of values that contain values from the environment.
        unsound: the places of values with a mistake.
        left_out: those of these places that were removed from `value`.
    """

    path: Path
    value: Any = None
    marks: dict[Place, tuple[int, int]] = field(default_factory=dict)
    expanded: set[Place] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)
    unsound: set[Place] = field(default_factory=set)
    left_out: set[Place] = field(default_factory=set)

    def note(
        self,
        place: Sequence[str | int],
        sentence: str,
        mark: tuple[int, int] | None = None,
        setting: WrongSetting | None = None,
    ) -> None:
        """Note a mistake at a place, or at the value around it if the file has nothing there.

        Args:
            mark: the line and column of the mistake, if it is not at the beginning of the value.
            setting: the setting that is wrong, if the mistake is about one. The value is sound then, as it is made with
                a placeholder.
        """
        if setting is None:
            self.unsound.add(tuple(place))
        at = mark or self.marks.get(self.near(place), (1, 1))
        self.mistakes.append(Mistake(*at, " ".join(sentence.split()), setting))

    def near(self, place: Sequence[str | int]) -> Place:
        """Return the place, or the innermost place around it that the file has."""
        near = tuple(place)
        while near and near not in self.marks:
            near = near[:-1]
        return near

    def is_sound(self, place: Place) -> bool:
        """Return whether there is no mistake at a place or inside it."""
        return not any(each[: len(place)] == place for each in self.unsound)

    def leave_out(self, place: Place) -> None:
        """Remove the value at a place, if there is one."""
        around = self.value
        *outer, last = self._kept(place) or (None,)
        with suppress(LookupError, TypeError):
            for part in outer:
                around = around[part]
            del around[last]
            self.left_out.add(place)

    def written(self, place: Place) -> Place:
        """Return the place in the file of the value that is now at a place in `value`."""
        found: Place = ()
        for part in place:
            if isinstance(part, int):
                kept = (number for number in count() if (*found, number) not in self.left_out)
                part = next(islice(kept, part, None))
            found = (*found, part)
        return found

    def _kept(self, place: Place) -> Place:
        """Return the place in `value` of the value that is at a place in the file."""
        return tuple(
            part - sum((*place[:depth], number) in self.left_out for number in range(part))
            if isinstance(part, int)
            else part
            for depth, part in enumerate(place)
        )

    def check(self) -> None:
        """Check that no mistakes were noted.

        Raises:
            SettingError: with every mistake, in the order of the file.
        """
        if not self.mistakes:
            return
        found = sorted(dict.fromkeys(self.mistakes), key=lambda mistake: (mistake.line, mistake.column))
        errors = [
            SettingError(f"{self.path}:{each.line}:{each.column}: {each.sentence}", each.setting) for each in found
        ]
        raise errors[0] if len(errors) == 1 else SeveralSettingsError("mistakes", errors)


KEY = "<key>"


def read(path: Path) -> Document:
    """Read a file and expand `${NAME}` from the environment. Names that only a request has stay open.

    Raises:
        SettingError: if the file cannot be read, or is not YAML.
    """
    try:
        source = path.read_text(encoding="utf-8")
        node = yaml.compose(source, Loader=yaml.SafeLoader)
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingError(f"{path} is not encoded in UTF-8: save it in that encoding.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise SettingError(f"{path}{where}: this is not YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise SettingError(f"{path}: this is not YAML: {error}.") from None
    document = Document(path)
    reader = _Reader(document, source, {*REQUEST_NAMES, *_declared(node)})
    try:
        document.value = reader.value(node, ()) if node is not None else None
    except RecursionError:
        raise SettingError(f"{path}: an alias in it refers to something that contains the alias.") from None
    return document


class _Reader:
    def __init__(self, document: Document, source: str, open_names: Collection[str]) -> None:
        self._document = document
        self._source = source
        self._open_names = open_names
        self._construct: Callable[[yaml.Node], Any] = yaml.SafeLoader("").construct_object

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._document.marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:str":
            return self._text(node, place)
        try:
            return self._construct(node)
        except (yaml.YAMLError, ValueError):
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            self._document.note(place, f"{node.value!r} is not a valid {kind}: correct it, or put a string in quotes.")
            return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*place, key)
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if sentence := in_key(key):
                self._document.note((*here, KEY), sentence, mark)
            if key in values:
                self._document.note((*here, KEY), f"{key!r} is there twice: remove one.", mark)
                continue
            self._document.marks[(*here, KEY)] = mark
            values[key] = self.value(value_node, here)
        return values

    def _text(self, node: yaml.Node, place: Place) -> str:
        def value_of(reference: Reference) -> str | None:
            if reference.name in self._open_names:
                return None
            value = os.environ.get(reference.name, reference.default)
            if value is None and uses_placeholders():
                return PLACEHOLDER
            if value is None:
                mark = self._mark(node, reference.start)
                self._document.unsound.add(place)  # it has no placeholder
                self._document.note(
                    place, _UNKNOWN.format(f"${{{reference.name}"), mark, setting=WrongSetting(reference.name)
                )
                return ""
            if reference.name in os.environ:
                self._document.expanded.add(place)
            return value

        for start, sentence in mistakes(node.value):
            self._document.note(place, sentence, self._mark(node, start))
        return fill(node.value, value_of)

    def _mark(self, node: yaml.Node, start: int) -> tuple[int, int]:
        """Return the line and column of the `${` at an index of a node's text, which may differ from the source."""
        index = node.start_mark.index
        for _ in range(node.value.count("${", 0, start) + 1):
            index = max(index, self._source.find("${", index) + 1)
        before = self._source[: max(index - 1, 0)]
        return before.count("\n") + 1, len(before) - before.rfind("\n")


_UNKNOWN = (
    "{0}}} is not set in the environment, has no default ({0}:default}}) and is not a name that requests have: "
    "set it, or declare it under request_context if a host application adds it to requests."
)


def _declared(node: yaml.Node | None) -> list[str]:
    """Return the names that, according to the file, a host application adds to requests."""
    if not isinstance(node, yaml.MappingNode):
        return []
    for key, value in node.value:
        if key.value == "request_context" and isinstance(value, yaml.SequenceNode):
            return [str(item.value) for item in value.value]
    return []
