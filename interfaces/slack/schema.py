"""Check the fields of Slack's events that the channel reads: https://docs.slack.dev/apis/events-api

A signed event may still have a shape that nobody foresaw, so it is checked before anything reads it.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from gateway.channels import MalformedEventError, check_id


def _is_id(value: str) -> str:
    if value:  # an empty id counts as none
        check_id("it", value)
    return value


Id = Annotated[str, AfterValidator(_is_id)] | None


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True)


class _Typed(_Fields):
    type: str | None = None


class _File(_Fields):
    """https://docs.slack.dev/reference/objects/file-object"""

    id: str | None = None
    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    subtype: str | None = None
    size: int | None = None
    mode: str | None = None
    is_external: bool | None = None
    permalink: str | None = None
    url_private: str | None = None
    url_private_download: str | None = None


class _Share(_Fields):
    """A forwarded message: https://docs.slack.dev/reference/messaging/attachments"""

    is_share: bool | None = None
    files: list[_File] | None = None


class _Tokens(_Fields):
    bot: list[str] | None = None


class _Installed(_Fields):
    """An event about where the app is installed: app_uninstalled, tokens_revoked, team_access_…"""

    tokens: _Tokens | None = None
    team_ids: list[Annotated[str, AfterValidator(_is_id)]] | None = None


class _Written(_Fields):
    """https://docs.slack.dev/reference/events/message and …/app_mention"""

    subtype: str | None = None
    channel: Id = None
    channel_type: str | None = None
    user: Id = None
    ts: Id = None
    thread_ts: Id = None
    team: Id = None
    user_team: Id = None
    source_team: Id = None
    text: str | None = None
    files: list[_File] | None = None
    attachments: list[_Share] | None = None


class _Edited(_Fields):
    user: Id = None


class _Version(_Written):
    edited: _Edited | None = None


class _Message(_Written):
    """A new, edited or deleted message: …/message/message_changed and …/message/message_deleted"""

    message: _Version | None = None
    previous_message: _Written | None = None
    deleted_ts: Id = None


class _Item(_Typed):
    channel: Id = None
    channel_type: str | None = None
    ts: Id = None


class _Reaction(_Fields):
    """https://docs.slack.dev/reference/events/reaction_added and …/reaction_removed"""

    user: Id = None
    reaction: str | None = None
    item: _Item | None = None


class _Opened(_Fields):
    """https://docs.slack.dev/reference/events/app_home_opened"""

    user: Id = None
    channel: Id = None
    tab: str | None = None


class _ChannelMoved(_Fields):
    """https://docs.slack.dev/reference/events/channel_id_changed"""

    old_channel_id: Id = None
    new_channel_id: Id = None


class _SessionStopped(_Fields):
    """https://docs.slack.dev/reference/events/agent_session_stopped"""

    user: Id = None
    channel: Id = None
    thread_ts: Id = None


class _EnterpriseUser(_Fields):
    enterprise_id: Id = None
    teams: list[Annotated[str, AfterValidator(_is_id)]] | None = None


class _User(_Fields):
    """https://docs.slack.dev/reference/objects/user-object"""

    id: Id = None
    team_id: Id = None
    deleted: bool | None = None
    enterprise_user: _EnterpriseUser | None = None


class _UserChange(_Fields):
    """https://docs.slack.dev/reference/events/user_change"""

    user: _User | None = None


class _Authorization(_Fields):
    team_id: Id = None
    enterprise_id: Id = None
    user_id: Id = None
    is_bot: bool | None = None
    is_enterprise_install: bool | None = None


class _Envelope(_Fields):
    event_id: Id = None
    team_id: Id = None
    enterprise_id: Id = None
    context_team_id: Id = None
    context_enterprise_id: Id = None
    is_ext_shared_channel: bool | None = None
    is_enterprise_install: bool | None = None
    authorizations: list[_Authorization] | None = None
    event: _Typed


# Events of other types are not read.
_EVENTS: Mapping[str | None, type[_Fields]] = {
    "app_mention": _Message,
    "message": _Message,
    "reaction_added": _Reaction,
    "reaction_removed": _Reaction,
    "app_home_opened": _Opened,
    "agent_session_stopped": _SessionStopped,
    "channel_id_changed": _ChannelMoved,
    "user_change": _UserChange,
    "app_uninstalled": _Installed,
    "tokens_revoked": _Installed,
    "team_access_granted": _Installed,
    "team_access_revoked": _Installed,
}


def check_event(body: Mapping[str, Any]) -> None:
    """Check the fields of an event callback that the channel reads.

    Raises:
        MalformedEventError: if a field has another type than Slack documents.
    """
    try:
        kind = _Envelope.model_validate(body).event.type
        if kind in _EVENTS:
            _EVENTS[kind].model_validate(body["event"])
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise MalformedEventError(f"{where} of a Slack event: {wrong['msg']}") from None
