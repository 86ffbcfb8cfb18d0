"""A gateway of what a file says."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.agent import Agent
from gateway.configuration.expansion import OpenText, expanded, is_open
from gateway.configuration.reading import KEY, Document, Place, read
from gateway.configuration.schema import AgentConfig, GatewayConfig, MCPServerConfig, ProviderConfig, ToolkitConfig
from gateway.gateway import MAX_CONCURRENT_TURNS, Gateway
from gateway.interface import Interface
from gateway.loader import configured_interfaces, load_interface
from gateway.routing import Route
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
    """What a file says, where it fits the schema.

    Raises:
        SettingError: with all that does not, each with its line and column.
    """
    document = read(path)
    _check_open(document, document.value, ())
    try:
        config = GatewayConfig.model_validate(document.value if document.value is not None else {})
    except ValidationError as error:
        for each in error.errors(include_url=False):
            place = tuple(part for part in each["loc"] if not _is_of_pydantic(part))
            at = (*place, KEY) if each["type"] == "extra_forbidden" else place
            document.note(at, _told(each["type"], each["msg"], place))
        document.check()
        raise AssertionError from error
    document.check()
    return document, config


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
            made = self._try(("interfaces",), configured_interfaces)
            return made or []
        interfaces = []
        for name, arguments in self._config.interfaces.items():
            place: Place = ("interfaces", name)
            cls = self._try(place, partial(load_interface, name))
            made = self._make(place, cls, arguments or {}) if cls is not None else None
            interfaces += [made] if made is not None else []
        return interfaces

    def routes(self, agents: Mapping[str, Agent | None]) -> tuple[Agent | None, list[Route]]:
        if not self._config.routes:
            leads = self._leads()
            if len(leads) > 1:
                self._document.note(
                    ("agents",), f"There are {len(leads)} agents that nobody asks: say under routes which answers what."
                )
            return (agents[leads[0]] if leads else None), []
        default, routes = None, dict[tuple[str | None, ...], Route]()
        for index, each in enumerate(self._config.routes):
            place: Place = ("routes", index)
            if each.agent not in agents:
                self._document.note((*place, "agent"), f"There is no agent {each.agent!r}.")
            agent = agents.get(each.agent) or _NOBODY
            route = self._try(place, partial(Route, agent, each.channel, each.workspace, each.command))
            if route is None:
                continue
            if route.key in routes:
                self._document.note(place, "Another route is for the same: two agents cannot both answer.")
            routes[route.key] = route
            if not any(route.key):
                default = agent
        if default is None:
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
        members = [self._agent(member, (*place, "members", i)) for i, member in enumerate(config.members)]
        summarizer = self._agent(config.summarizer, (*place, "summarizer")) if config.summarizer else None
        toolkits = [self._toolkit(each, (*place, "toolkits", i)) for i, each in enumerate(config.toolkits)]
        servers = [self._server(each, (*place, "mcp_servers", i)) for i, each in enumerate(config.mcp_servers)]
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
        """An object of a class; notes arguments that it does not take."""
        parameters = dict(inspect.signature(cls.__init__).parameters)
        parameters.pop("self", None)
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        unknown = [name for name in arguments if name not in parameters and not takes_any]
        for name in unknown:
            known = ", ".join(parameters) or "none"
            self._document.note((*place, name, KEY), f"{cls.__name__} takes no argument {name!r}, only: {known}.")
        if unknown:
            return None
        return self._try(place, lambda: _per_request(cls, arguments) if is_open(arguments) else cls(**arguments))

    def _try(self, place: Place, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except (SettingError, CloneError, ImportError, TypeError, ValueError) as error:
            self._document.note(place, str(error))
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


def _per_request(cls: Any, arguments: Mapping[str, Any]) -> Any:
    """A toolkit that is made anew for each copy, with the values of its request in its arguments."""

    def clone(self: Toolkit) -> Toolkit:
        made = type(self)(**expanded(arguments))
        for name in self._clone_shared_attrs:
            if name in self.__dict__:
                object.__setattr__(made, name, self.__dict__[name])
        return made

    if not issubclass(cls, Toolkit):
        raise SettingError(f"{cls.__name__} is no toolkit, so its arguments cannot depend on the request.")
    configured: Any = type(cls)(cls.__name__, (cls,), {"clone": clone, "__module__": cls.__module__})
    return configured(**expanded(arguments))


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


def _is_of_pydantic(part: object) -> bool:
    return isinstance(part, str) and (part.startswith(("function-", "list[", "dict[")) or part in ("str", KEY))


def _told(kind: str, message: str, place: Place) -> str:
    name = place[-1] if place else "the file"
    if kind == "extra_forbidden":
        return f"{name!r} is not known here."
    if kind == "missing":
        return f"{name!r} is missing here."
    return f"{name}: {message}."
