"""A gateway of what a file says."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.agents.agent import Agent
from gateway.agents.routing import Route
from gateway.app.gateway import MAX_CONCURRENT_TURNS, Gateway
from gateway.channels.discovery import configured_interfaces, load_interface
from gateway.channels.interface import Interface
from gateway.configuration.arguments import Parameters, per_request
from gateway.configuration.expansion import OpenText, expanded, is_open
from gateway.configuration.reading import KEY, Document, Place, read
from gateway.configuration.schema import AgentConfig, GatewayConfig, MCPServerConfig, ProviderConfig, ToolkitConfig
from gateway.configuration.shadowing import explain
from oauth import OAuthProvider, SettingError
from oauth.oauth2 import OAuth2Provider
from toolkits import CloneError, Toolkit
from toolkits.mcp import MCPServer

T = TypeVar("T")

TOOLKITS = "understudy.toolkits"
"""The group of entry points that name toolkits."""


def load(path: str | Path, **options: Any) -> Gateway:
    """The gateway that a file describes.

    Args:
        options: more arguments of `Gateway`, like `request_values`.

    Raises:
        SettingError: with all that is wrong in it, each with its line and column.
    """
    document, config = parse(Path(path))
    sys.path.insert(0, str(document.path.resolve().parent))  # as `understudy serve FILE.py` does
    builder = _Builder(document, config)
    agents = builder.agents()
    interfaces = builder.interfaces()
    default, routes = builder.routes(agents)
    document.check()
    assert default is not None
    settings = {name: getattr(config, name) for name in ("private_answers", "sign_in_code", "ambiguous_sends")}
    settings |= config.limits.model_dump(exclude={"max_concurrent_turns"})
    settings |= {"session_tokens": config.sessions.tokens, "session_idle_hours": config.sessions.idle_hours}
    private_answers = settings.pop("private_answers")
    return Gateway(
        default,
        interfaces,
        config.database,
        base_url=config.base_url,
        secret_key=config.secret_key,
        routes=routes,
        private_answers=private_answers,
        audit_content=config.audit_content,
        max_concurrent_turns=config.limits.max_concurrent_turns or MAX_CONCURRENT_TURNS,
        settings={name: value for name, value in settings.items() if value is not None},
        **options,
    )


def parse(path: Path) -> tuple[Document, GatewayConfig]:
    """What a file says. What does not fit the schema is noted in the document, and left out.

    Raises:
        SettingError: with all that is wrong, if there is nothing else.
    """
    document = read(path)
    _check_open(document, document.value, ())
    while True:
        try:
            return document, GatewayConfig.model_validate(document.value if document.value is not None else {})
        except ValidationError as error:
            found = [(each, document.written(_place(each["loc"]))) for each in error.errors(include_url=False)]
        left_out = len(document.left_out)
        for each, place in found:
            if not left_out:  # what is wrong afterwards is so because of what was left out
                _note(document, each, place)
            document.leave_out(place[:-1] if each["type"] == "missing" else place)
        if len(document.left_out) == left_out:
            document.check()


class _Builder:
    """Makes what a file names; notes what cannot be made, and goes on."""

    def __init__(self, document: Document, config: GatewayConfig) -> None:
        self._document = document
        self._config = config
        self._agents: dict[str, Agent | None] = {}
        self._providers: dict[str, OAuthProvider | None] = {}
        self._making: list[str] = []

    def agents(self) -> dict[str, Agent | None]:
        for name in self._config.agents:
            self._agent(name, ("agents", name))
        return self._agents

    def interfaces(self) -> list[Interface]:
        if not self._config.interfaces:
            is_left_out = not self._document.is_sound(("interfaces",))
            return [] if is_left_out else self._try(("interfaces",), configured_interfaces) or []
        interfaces = []
        for name, arguments in self._config.interfaces.items():
            place: Place = ("interfaces", name)
            cls = self._try(place, partial(load_interface, name))
            made = self._make(place, cls, arguments or {}) if cls is not None else None
            interfaces += [made] if made is not None else []
        return interfaces

    def routes(self, agents: Mapping[str, Agent | None]) -> tuple[Agent | None, list[Route]]:
        sound = self._document.is_sound(("routes",))
        if not self._config.routes:
            leads = self._leads()
            if len(leads) > 1 and sound:
                self._document.note(
                    ("agents",), f"There are {len(leads)} agents that nobody asks: say under routes which answers what."
                )
            return (agents[leads[0]] if leads else None), []
        default, routes = None, dict[tuple[str | None, ...], Route]()
        for index, each in enumerate(self._config.routes):
            place = self._document.written(("routes", index))
            if not self._is_named("agents", each.agent):
                self._document.note((*place, "agent"), f"There is no agent {each.agent!r}.")
            agent = agents.get(each.agent) or _NOBODY
            route = self._try(place, partial(Route, agent, each.channel, each.workspace, each.command))
            if route is None:
                continue
            if not any(route.key):
                default = agent
            if not self._document.is_sound(place):
                continue
            if route.key in routes:
                self._document.note(place, "Another route is for the same: two agents cannot both answer.")
            routes[route.key] = route
        if default is None and sound:
            self._document.note(("routes",), "No route is for all the rest: add one with nothing but its agent.")
        return default, [route for key, route in routes.items() if any(key)]

    def _leads(self) -> list[str]:
        """The agents that no other one asks."""
        configs = self._config.agents
        asked = {name for config in configs.values() for name in (*config.members, config.summarizer)}
        return [name for name in configs if name not in asked]

    def _agent(self, name: str, place: Place) -> Agent | None:
        if name in self._agents:
            return self._agents[name]
        config = self._config.agents.get(name)
        if config is None:
            if not self._is_named("agents", name):
                self._document.note(place, f"There is no agent {name!r}.")
            return None
        if name in self._making:
            self._document.note(place, f"The agent {name!r} asks itself, by way of {', '.join(self._making)}.")
            return None
        self._making.append(name)
        self._agents[name] = self._make_agent(name, config)
        self._making.remove(name)
        return self._agents[name]

    def _make_agent(self, name: str, config: AgentConfig) -> Agent | None:
        place: Place = ("agents", name)
        at = self._document.written
        members = [self._agent(member, at((*place, "members", i))) for i, member in enumerate(config.members)]
        summarizer = self._agent(config.summarizer, (*place, "summarizer")) if config.summarizer else None
        toolkits = [self._toolkit(each, at((*place, "toolkits", i))) for i, each in enumerate(config.toolkits)]
        servers = [self._server(each, at((*place, "mcp_servers", i))) for i, each in enumerate(config.mcp_servers)]
        native = self._try((*place, "use"), lambda: _imported(config.use or "")) if config.use else None
        if config.use and native is None:
            return None
        given: dict[str, Any] = {
            "model": config.model,
            "engine": config.engine,
            "instructions": config.instructions,
            "description": config.description,
            "members": [member for member in members if member is not None],
            "toolkits": [toolkit for toolkit in toolkits if toolkit is not None],
            "mcp_servers": [server for server in servers if server is not None],
            "when_busy": config.when_busy,
            "summarizer": summarizer,
        }
        if isinstance(native, Agent):
            if more := [key for key in config.model_fields_set if key != "use"]:
                self._document.note((*place, sorted(more)[0]), f"{config.use} is an Agent, which says that itself.")
            return native
        if not self._document.is_sound(place):
            return None
        return self._try(place, lambda: _ConfiguredAgent(native, name=name, **given))

    def _toolkit(self, config: ToolkitConfig, place: Place) -> Toolkit | None:
        cls = self._try((*place, "use"), lambda: _toolkit_class(config.use))
        given = dict(config.model_extra or {})
        if "auth" in given:
            given["auth"] = self._provider(given["auth"], (*place, "auth"))
            if given["auth"] is None:
                return None
        return self._make(place, cls, given) if cls is not None else None

    def _server(self, config: MCPServerConfig, place: Place) -> MCPServer | None:
        given = config.model_dump(exclude={"server", "auth"})
        if config.auth is not None:
            given["auth"] = self._provider(config.auth, (*place, "auth"))
            if given["auth"] is None:
                return None
        return self._try(place, lambda: MCPServer(config.server, **given))

    def _provider(self, name: Any, place: Place) -> OAuthProvider | None:
        configs = {**_PROVIDERS, **self._config.providers}
        if not isinstance(name, str) or name not in configs:
            known = ", ".join(sorted(configs))
            if not self._is_named("providers", name):
                self._document.note(place, f"There is no provider {name!r}, only: {known}.")
            return None
        if name not in self._providers:
            self._providers[name] = self._make_provider(name, configs[name])
        return self._providers[name]

    def _make_provider(self, name: str, config: ProviderConfig) -> Any:
        place: Place = ("providers", name)
        arguments = config.model_extra or {}
        if config.use is None:
            return self._make(place, OAuth2Provider, {"name": name, "label": name.capitalize(), **arguments})
        cls = self._try((*place, "use"), partial(_imported, _INCLUDED.get(config.use, config.use)))
        return self._make(place, cls, arguments) if cls is not None else None

    def _make(self, place: Place, cls: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """An object of a class; notes arguments that it does not take, or not so."""
        parameters = Parameters(cls)
        unknown, missing = parameters.unknown(arguments), parameters.missing(arguments)
        for name in unknown:
            known = ", ".join(parameters.names) or "none"
            self._document.note((*place, name, KEY), f"{cls.__name__} takes no argument {name!r}, only: {known}.")
        if missing and not unknown:  # else it is one of those, most likely
            self._document.note(place, f"{cls.__name__} needs {', '.join(missing)}.")
        given = {name: self._converted((*place, name), parameters, value) for name, value in arguments.items()}
        if not self._document.is_sound(place):
            return None
        return self._try(place, lambda: per_request(cls, parameters, given) if is_open(given) else cls(**given))

    def _converted(self, place: Place, parameters: Parameters, value: Any) -> Any:
        if is_open(value) or not self._document.is_sound(place):
            return value
        try:
            return parameters.converted(str(place[-1]), value)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                _note(self._document, each, (*place, *_place(each["loc"])))

    def _is_named(self, section: str, name: Any) -> bool:
        """Whether there is something of this name, though it be wrong."""
        named = [(section, each) for each in getattr(self._config, section)]
        return (section, name) in [*named, *self._document.left_out] or (section,) in self._document.left_out

    def _try(self, place: Place, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except (SettingError, CloneError, ImportError, TypeError, ValueError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
            self._document.note(place, explain(cause, self._document.path.parent) or str(error))
            return None


class _ConfiguredAgent(Agent):
    """An agent whose instructions may name values of the request."""

    def _copy(self) -> "_ConfiguredAgent":
        copy = super()._copy()
        copy.instructions = expanded(copy.instructions)
        return copy


# Where the providers are that come with us.
_INCLUDED = {"google": "oauth.google:GoogleAuth", "github": "oauth.github:GitHub"}
_PROVIDERS = {name: ProviderConfig(use=name) for name in _INCLUDED}

_NOBODY: Any = object()  # in the place of an agent that could not be made


def _toolkit_class(use: str) -> type[Toolkit]:
    installed = {found.name: found for found in entry_points(group=TOOLKITS)}
    if ":" not in use and use not in installed:
        raise SettingError(
            f"There is no toolkit {use!r}, only {', '.join(sorted(installed))}; or say where one is: "
            "package.module:Name."
        )
    found = installed[use].load() if use in installed else _imported(use)
    if not (inspect.isclass(found) and issubclass(found, Toolkit)):
        raise SettingError(f"{use} is no class of toolkits.")
    return found


def _imported(path: str) -> Any:
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SettingError(f"{path} cannot be imported: {error}.") from error
    if not name or not hasattr(module, name):
        raise SettingError(f"{module_name} has no {name!r}." if name else f"{path!r} is not like package.module:Name.")
    return getattr(module, name)


def _check_open(document: Document, value: Any, place: Place) -> None:
    """Notes names of the request where they cannot stand."""
    if isinstance(value, OpenText):
        in_agent = len(place) > 2 and place[0] == "agents"
        if not (in_agent and (place[2] == "toolkits" or place[2:] == ("instructions",))) or place[-1] == "use":
            names = ", ".join(f"${{{name}}}" for name in value.names)
            document.note(place, f"{names} is known in a request alone: only a toolkit and instructions can have it.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_open(document, item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_open(document, item, (*place, index))


def _place(found: tuple[int | str, ...]) -> Place:
    """A place, without what pydantic adds of the types that it tried."""
    return tuple(
        part
        for part in found
        if isinstance(part, int) or not (part.startswith(("function-", "list[", "dict[")) or part in ("str", KEY))
    )


def _note(document: Document, error: ErrorDetails, place: Place) -> None:
    kind, (*_, name) = error["type"], ("the file", *document.near(place))
    if kind == "extra_forbidden":
        document.note((*place, KEY), f"{place[-1]!r} is not known here.")
    elif kind == "missing":
        document.note(place, f"{place[-1]!r} is missing here.")
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        document.note(place, f"{name}: Input should be keys with values, like `key: value`.")
    elif kind == "string_type" and not isinstance(error["input"], (dict, list, NoneType)):
        document.note(place, f"{name}: Input should be a valid string: put it in quotes.")
    else:
        document.note(place, f"{name}: {error['msg']}.")
