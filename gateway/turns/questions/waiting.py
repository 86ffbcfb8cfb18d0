"""List the questions that wait for a person."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, and_, or_, select

from gateway.channels.presenter import Presenter
from gateway.channels.question import QuestionCard
from gateway.outbox.rendering import rendered_at_once
from gateway.storage.database import Database
from gateway.storage.tables import QuestionKind, QuestionStatus, is_any, questions
from gateway.turns.questions.question import choices_of
from gateway.turns.questions.sentences import CARD_OF_LONG_TEXT, REST_IS_ELSEWHERE, asked
from oauth import Identity
from oauth.store.tables import is_of

MOST_LISTED = 50


class WaitingQuestions:
    """Lists the questions that a person was asked and may decide now.

    Args:
        presenters: by channel.
        approvers: the people who may decide everybody's approvals.
    """

    def __init__(
        self, database: Database, presenters: Mapping[str, Presenter], approvers: Collection[Identity]
    ) -> None:
        self._database = database
        self._presenters = presenters
        self._approvers = approvers

    async def of(self, identity: Identity) -> list[QuestionCard]:
        """Return the cards of the questions that wait for a person, oldest first.

        The card of a question that is too long for one message has no choices. Questions that can only be answered in
        their own place, like whether to post an answer there, are left out.
        """
        theirs = is_of(questions, identity)
        if identity in self._approvers:
            theirs = or_(theirs, is_any(questions.c.kind, QuestionKind.APPROVAL))
        is_open = and_(is_any(questions.c.status, QuestionStatus.ASKED), questions.c.until > datetime.now(UTC))
        found = (
            select(questions)
            .where(theirs, is_open, questions.c.place_key.is_not(None))
            .order_by(questions.c.asked_at, questions.c.id)
            .limit(MOST_LISTED)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        return [self._card(row, identity) for row in rows]

    def _card(self, row: Row[Any], identity: Identity) -> QuestionCard:
        is_own = Identity(row.channel, row.tenant, row.user_id) == identity
        presenter = self._presenters[identity.channel]
        text, *rest = rendered_at_once(presenter, asked(row, of_other=not is_own)) or [CARD_OF_LONG_TEXT]
        if rest:
            more = "\n\n".join((text, *presenter.parts(REST_IS_ELSEWHERE)))
            return QuestionCard(row.id, more, [], row.until)
        return QuestionCard(row.id, text, choices_of(row), row.until)
