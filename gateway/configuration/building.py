"""Build the gateway that a YAML file describes."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.agents.agent import Agent
from gateway.agents.routing import Route
from gateway.app.gateway import MAX_CONCURRENT_TURNS, Gateway
from gateway.channels.interface import Interface
from gateway.configuration.arguments import Parameters, per_request
from gateway.configuration.discovery import configured_interfaces, installed_toolkits, load_interface
from gateway.configuration.expansion import expanded, is_open
from gateway.configuration.parsing import note_error, parse, place_of
from gateway.configuration.reading import KEY, Document, Place
from gateway.configuration.schema import AgentConfig, GatewayConfig, MCPServerConfig, ProviderConfig, ToolkitConfig
from gateway.configuration.shadowing import explain
from gateway.settings import GatewaySettings
from oauth import OAuthProvider, SettingError
from oauth.settings import all_errors, each_error, gathered_errors, going_on, setting_of
from toolkits import Toolkit
from toolkits.mcp import MCPServer

T = TypeVar("T")

PARTS = {"agents", "interfaces", "providers", "routes"}  # the keys of a file that are not settings of the gateway


@all_errors()
def load(path: str | Path, **options: Any) -> Gateway:
    """Return the gateway that a file describes.

    Args:
        options: further arguments of `Gateway`, for example `request_values`.

    Raises:
        SettingError: with every mistake in the file, each with its line and column, and everything else that is wrong.
    """
    document, config = parse(Path(path))
    sys.path.insert(0, str(document.path.resolve().parent))  # as `understudy serve FILE.py` does
    builder = _Builder(document, config)
    agents = builder.agents()
    interfaces = builder.interfaces()
    default, routes = builder.routes(agents)
    if default is None or not {place[0] for place in document.unsound if place} <= PARTS:
        with going_on():
            GatewaySettings()
        document.check()  # what the gateway would say without these settings of its own may be wrong
    assert default is not None
    with going_on():
        document.check()
    settings = {
        name: getattr(config, name) for name in ("private_answers", "sign_in_code", "ambiguous_sends", "answer_edits")
    }
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


class _Builder:
    """Makes the parts of a gateway. It notes a mistake for a part that cannot be made, and makes the others."""

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
        interfaces, sound = list[Interface](), list[Interface]()
        for channel, arguments in self._config.interfaces.items():
            place: Place = ("interfaces", channel)
            noted = len(self._document.mistakes)
            made = self._interface(place, channel, arguments or {})
            if made is None:
                continue
            interfaces.append(made)
            if len(self._document.mistakes) > noted:
                continue  # its placeholders may be those of another one
            for conflict in filter(None, map(made.conflict_with, sound)):
                self._document.note((*place, KEY), conflict)
            sound.append(made)
        return interfaces

    def _interface(self, place: Place, channel: str, arguments: Mapping[str, Any]) -> Interface | None:
        """Make an interface. Its name is a part of the channel: `telegram.support` is `Telegram(name="support")`."""
        kind, dot, name = channel.partition(".")
        cls = self._try(place, partial(load_interface, kind))
        if cls is None:
            return None
        if "name" in arguments:
            self._document.note(
                (*place, "name", KEY), f"The name is a part of the channel: write {kind}.{arguments['name']} instead."
            )
            return None
        if dot and "name" not in Parameters(cls).names:
            self._document.note((*place, KEY), f"The channel {kind} takes no name: there can be only one of it.")
            return None
        made: Interface | None = self._make(place, cls, {**arguments, "name": name} if dot else arguments)
        return made

    def routes(self, agents: Mapping[str, Agent | None]) -> tuple[Agent | None, list[Route]]:
        sound = self._document.is_sound(("routes",))
        if not self._config.routes:
            leads = self._leads()
            if len(leads) > 1 and sound:
                self._document.note(
                    ("agents",),
                    f"There are {len(leads)} agents that no other agent asks: "
                    "say under routes which of them answers which messages.",
                )
            return (agents[leads[0]] if leads else None), []
        default, routes = None, dict[tuple[str | None, ...], Route]()
        for index, each in enumerate(self._config.routes):
            place = self._document.written(("routes", index))
            if not self._is_named("agents", each.agent):
                self._document.note((*place, "agent"), self._no_agent(each.agent))
            agent = agents.get(each.agent) or _NOBODY
            route = self._try(place, partial(Route, agent, each.channel, each.workspace, each.command))
            if route is None:
                continue
            if not any(route.key):
                default = agent
            if not self._document.is_sound(place):
                continue
            if route.key in routes:
                self._document.note(
                    place, "Another route matches the same messages: remove one, as only one agent can answer."
                )
            routes[route.key] = route
        if default is None and sound:
            self._document.note(("routes",), "No route matches all other messages: add one that has only an agent.")
        if default is _NOBODY:
            default = None
        return default, [route for key, route in routes.items() if any(key) and route.agent is not _NOBODY]

    def _leads(self) -> list[str]:
        """Return the names of the agents that no other agent asks."""
        configs = self._config.agents
        asked = {name for config in configs.values() for name in (*config.members, config.summarizer)}
        return [name for name in configs if name not in asked]

    def _agent(self, name: str, place: Place) -> Agent | None:
        if name in self._agents:
            return self._agents[name]
        config = self._config.agents.get(name)
        if config is None:
            if not self._is_named("agents", name):
                self._document.note(place, self._no_agent(name))
            return None
        if name in self._making:
            self._document.note(
                place,
                f"The agent {name!r} would ask itself, through {', '.join(self._making)}: "
                "remove one of them from the members.",
            )
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
            "transcriber": config.transcriber,
            "prompts": config.prompts,
        }
        if isinstance(native, Agent):
            if more := [key for key in config.model_fields_set if key != "use"]:
                self._document.note(
                    (*place, sorted(more)[0]),
                    f"{config.use} is an Agent that is made in Python: set this there, and remove it here.",
                )
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
            from oauth.oauth2 import OAuth2Provider  # imported here, because few files need it

            return self._make(place, OAuth2Provider, {"name": name, "label": name.capitalize(), **arguments})
        cls = self._try((*place, "use"), partial(_imported, _INCLUDED.get(config.use, config.use)))
        return self._make(place, cls, arguments) if cls is not None else None

    def _make(self, place: Place, cls: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Make an object of a class. Arguments that are unknown, missing or of another type are noted as mistakes."""
        parameters = Parameters(cls)
        unknown, missing = parameters.unknown(arguments), parameters.missing(arguments)
        for name in unknown:
            known = ", ".join(parameters.names) or "none"
            self._document.note((*place, name, KEY), f"{cls.__name__} takes no argument {name!r}, only: {known}.")
        if missing and not unknown:  # otherwise it is most likely one of those, misspelled
            self._document.note(place, f"{cls.__name__} needs {', '.join(missing)}: add what is missing.")
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
                note_error(self._document, each, (*place, *place_of(each["loc"])))

    def _is_named(self, section: str, name: Any) -> bool:
        """Return whether a section has an entry with this name, even one with mistakes in it."""
        named = [(section, each) for each in getattr(self._config, section)]
        return (section, name) in [*named, *self._document.left_out] or (section,) in self._document.left_out

    def _no_agent(self, name: str) -> str:
        named = [*self._config.agents, *(place[1] for place in self._document.left_out if place[0] == "agents")]
        return f"There is no agent {name!r}, only: {', '.join(map(str, named))}."

    def _try(self, place: Place, make: Callable[[], T]) -> T | None:
        """Return what a function makes, with placeholders for settings, or `None`. What is wrong is noted."""
        made: T | None = None
        wrong: list[Exception] = []
        try:
            with gathered_errors() as errors:
                made = make()
            wrong += errors
        except (ImportError, TypeError, ValueError) as error:
            wrong += [*errors, error]
        for each in each_error(wrong):
            cause = each.__cause__ if isinstance(each.__cause__, ImportError) else each
            sentence = explain(cause, self._document.path.parent) or str(each)
            self._document.note(place, sentence, setting=setting_of(each))
        return made


class _ConfiguredAgent(Agent):
    """An agent whose instructions may contain names that a request fills in."""

    def _copy(self) -> "_ConfiguredAgent":
        copy = super()._copy()
        copy.instructions = expanded(copy.instructions)
        return copy


# The providers that need no entry in a file.
_INCLUDED = {"google": "oauth.google:GoogleAuth", "github": "oauth.github:GitHub"}
_PROVIDERS = {name: ProviderConfig(use=name) for name in _INCLUDED}

_NOBODY: Any = object()  # in the place of an agent that could not be made


def _toolkit_class(use: str) -> type[Toolkit]:
    installed = installed_toolkits()
    if ":" not in use and use not in installed:
        raise SettingError(
            f"There is no toolkit {use!r}, only {', '.join(installed)}; or give the path of a class: "
            "package.module:Name."
        )
    found = installed[use].load() if use in installed else _imported(use)
    if not (inspect.isclass(found) and issubclass(found, Toolkit)):
        raise SettingError(f"{use} is not a Toolkit class: give the path of a subclass of toolkits.Toolkit.")
    return found


def _imported(path: str) -> Any:
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SettingError(f"{path} cannot be imported: {error}.") from error
    if not name or not hasattr(module, name):
        raise SettingError(
            f"The module {module_name} has no {name!r}: correct the name."
            if name
            else f"{path!r} is not of the form package.module:Name."
        )
    return getattr(module, name)
