"""A toolkit that keeps notes."""

import sqlite3
from contextlib import closing
from pathlib import Path

from toolkits import Identity, Toolkit, TurnContext, tool


class Notes(Toolkit):
    """Notes that each person keeps for themselves.

    One file holds the notes of all people. Every statement names the person of the turn, who comes from the context
    and never from the model.
    """

    private = True

    def __init__(self, path: Path) -> None:
        self._path = path

    @tool(label="Saving a note")
    def save_note(self, context: TurnContext, text: str) -> str:
        """Save a note for the user: something to remember, store, keep or write down, like a fact or a secret.

        Args:
            text: what to remember, in the user's words.
        """
        with closing(self._open()) as database, database:
            database.execute("INSERT INTO notes VALUES (?, ?, ?, ?)", (*_owner(context.identity), text))
        return f"Saved: {text}"

    @tool(label="Looking through your notes", read_only=True)
    def list_notes(self, context: TurnContext) -> list[str]:
        """List the user's notes: what they saved or told you to remember, what there is to recall or show."""
        with closing(self._open()) as database:
            rows = database.execute(
                "SELECT text FROM notes WHERE channel = ? AND tenant = ? AND user_id = ?", _owner(context.identity)
            )
            return [text for (text,) in rows]

    @tool(label="Deleting your notes")
    def delete_notes(self, context: TurnContext) -> str:
        """Delete all of the user's notes: forget, clear or remove them."""
        with closing(self._open()) as database, database:
            deleted = database.execute(
                "DELETE FROM notes WHERE channel = ? AND tenant = ? AND user_id = ?", _owner(context.identity)
            )
            return f"Deleted {deleted.rowcount} notes."

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=10)
        database.execute("CREATE TABLE IF NOT EXISTS notes (channel TEXT, tenant TEXT, user_id TEXT, text TEXT)")
        return database


def _owner(identity: Identity) -> tuple[str, str, str]:
    return identity.channel, identity.tenant, identity.user_id
