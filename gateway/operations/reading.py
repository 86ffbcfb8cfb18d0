"""Record in the audit that an operator read what a person wrote."""

from collections.abc import Iterable
from datetime import UTC, datetime

from gateway.operations.suspension import OPERATOR
from gateway.runs.events import ToolOutcome
from gateway.turns.audit import Audit, AuditRecord
from oauth import Identity


def reading(command: str, person: Identity, conversation: str, reference: str = "") -> AuditRecord:
    """Return the record of an operator who read what a person wrote or was told.

    Args:
        command: what the operator ran, which the record has in the place of a tool.
        person: with an empty user id if the person is not known.
        conversation: the id of the conversation.
        reference: the reference of the message; empty for a whole conversation.
    """
    return AuditRecord(
        datetime.now(UTC),
        channel=person.channel,
        tenant=person.tenant,
        user_id=person.user_id,
        account=None,
        tool=command,
        conversation=conversation,
        outcome=ToolOutcome.OK,
        duration_ms=0,
        reference=reference,
        decided_by=OPERATOR,
    )


async def record_reading(audit: Audit, command: str, read: Iterable[tuple[Identity, str]]) -> None:
    """Record that an operator read what people wrote: once for each person and conversation.

    Args:
        command: what the operator ran.
        read: the people, and the ids of the conversations.
    """
    for person, conversation in dict.fromkeys(read):
        await audit.add(reading(command, person, conversation))
