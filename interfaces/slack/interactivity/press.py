"""Read presses of buttons and choices in menus: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from gateway.channels import MalformedEventError, check_id
from interfaces.slack.schema import Id
from oauth import Identity
from toolkits import Conversation

BLOCK_ACTIONS = "block_actions"


def _is_id(value: str) -> str:
    check_id("it", value)
    return value


RequiredId = Annotated[str, AfterValidator(_is_id)]


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True)


F = TypeVar("F", bound=_Fields)


class _User(_Fields):
    id: RequiredId
    team_id: Id = None
    name: str | None = None
    username: str | None = None


class _Team(_Fields):
    id: Id = None
    enterprise_id: Id = None


class _Place(_Fields):
    id: Id = None


class _Message(_Fields):
    ts: Id = None
    thread_ts: Id = None
    team: Id = None


class _Option(_Fields):
    value: str


class _Action(_Fields):
    action_id: str
    value: str | None = None
    selected_option: _Option | None = None


class _Named(_Fields):
    action_id: str


class _Pressed(_Fields):
    actions: list[_Named]


class _Payload(_Fields):
    user: _User
    team: _Team | None = None
    enterprise: _Place | None = None
    channel: _Place | None = None
    message: _Message | None = None
    actions: list[_Action]
    response_url: str | None = None
    trigger_id: str | None = None


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A person pressed a button of a message, or chose something in a menu.

    Args:
        kind: the first word of its `action_id`, which says whose button it is: `question` of `question.0`.
        argument: the rest of its `action_id`: `0`.
        value: the `value` of the button, or of the option that was chosen.
        identity: who pressed it.
        name: what Slack calls them.
        conversation: where the message is; `None` if the button is not in a message.
        message: the `ts` of the message, empty if there is none.
        thread: the `ts` of the thread that it is in, empty if it is in none.
        trigger: the `trigger_id` with which a modal can be opened within three seconds, empty if there is none.
        answer_address: where a message to the person can be posted (`response_url`), empty if there is none.
    """

    kind: str
    argument: str
    value: str
    identity: Identity
    name: str
    conversation: Conversation | None
    message: str
    thread: str
    trigger: str
    answer_address: str


def kinds_in(body: Mapping[str, Any]) -> set[str]:
    """Return the first words of the `action_id`s of a `block_actions` payload, which say whose buttons were pressed.

    Raises:
        MalformedEventError: as `presses_in`.
    """
    return {action.action_id.partition(".")[0] for action in _validated(_Pressed, body).actions}


def presses_in(channel: str, body: Mapping[str, Any]) -> Iterator[ButtonPress]:
    """Yield the presses in a `block_actions` payload.

    Args:
        channel: the channel of the gateway.

    Raises:
        MalformedEventError: if a field has another type than Slack documents, or no person is named.
    """
    payload = _validated(_Payload, body)
    tenant, user, message = _tenant(payload), payload.user, payload.message or _Message()
    for action in payload.actions:
        kind, _, argument = action.action_id.partition(".")
        chosen = action.selected_option.value if action.selected_option is not None else None
        yield ButtonPress(
            kind=kind,
            argument=argument,
            value=action.value or chosen or "",
            identity=Identity(channel, _team_of_user(payload, tenant), user.id),
            name=user.name or user.username or user.id,
            conversation=_conversation(channel, payload, tenant),
            message=message.ts or "",
            thread=message.thread_ts or "",
            trigger=payload.trigger_id or "",
            answer_address=payload.response_url or "",
        )


def _validated(model: type[F], body: Mapping[str, Any]) -> F:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise MalformedEventError(f"{'.'.join(map(str, wrong['loc']))} of {BLOCK_ACTIONS}: {wrong['msg']}") from None


async def acknowledge(press: ButtonPress) -> None:
    """Do nothing for the press of a button that opens a page: Slack reports that, too."""


def _tenant(payload: _Payload) -> str:
    """Return the workspace of the app that posted the message, also if somebody of another organization pressed it.

    An organization-wide installation may name no `team` (as Bolt's `extract_team_id` says).
    """
    team, message = payload.team or _Team(), payload.message or _Message()
    tenant = team.id or message.team or payload.user.team_id
    if not tenant:
        raise MalformedEventError(f"{BLOCK_ACTIONS} names no workspace")
    return tenant


def _team_of_user(payload: _Payload, tenant: str) -> str:
    """Return the workspace that the person belongs to, by the same rules as the writer of a message.

    `user.team_id` names the organization of a person whose workspace is part of one. In our own organization that
    person is known by our workspace, as a message names it.
    """
    own = (payload.enterprise and payload.enterprise.id) or (payload.team and payload.team.enterprise_id)
    team = payload.user.team_id
    return tenant if not team or team == own else team


def _conversation(channel: str, payload: _Payload, tenant: str) -> Conversation | None:
    """Return the conversation of the message: see `parse.conversation_of`."""
    place, message = payload.channel and payload.channel.id, payload.message
    if not place or message is None:
        return None
    is_direct = place.startswith("D")
    thread = message.thread_ts or (None if is_direct else message.ts)
    return Conversation(channel, tenant, f"{place}/{thread}" if thread else place, shared=not is_direct)
