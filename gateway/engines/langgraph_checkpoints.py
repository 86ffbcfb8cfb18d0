from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver

from gateway.journal import RunJournal

THREAD = "turn"  # the one thread of each
NUMBER = 0  # in the journal: the latest state alone is kept


class Checkpoints(InMemorySaver):
    """A graph's state after each step, kept in the journal of a turn: a run of the turn that follows goes on there.

    https://docs.langchain.com/oss/python/langgraph/durable-execution

    Args:
        writes: whether what single tasks of a step came to is kept, too. Of our own tools the journal knows it.

    Attributes:
        history: the ids of the messages that went before the turn's own.
    """

    def __init__(self, journal: RunJournal, *, writes: bool) -> None:
        super().__init__()
        self._journal = journal
        self._writes = writes
        self.history: list[str] = []
        self.prompt_id = ""

    def restore(self, text: str) -> bool:
        """Takes up the state of an earlier run of the turn, if there is one; returns whether there is.

        Args:
            text: what was said, if it is more by now than the earlier run was told.
        """
        kept = self._journal.response(NUMBER)
        if kept is None:
            return False
        kind, _, data = kept.partition(":")
        state = self.serde.loads_typed((kind, b64decode(data)))
        self.history, self.prompt_id = list(state["history"]), state["prompt_id"]
        self.storage = defaultdict(lambda: defaultdict(dict))
        for namespace, checkpoints in state["storage"]:
            self.storage[THREAD][namespace] = {key: tuple(value) for key, value in checkpoints}
        self.writes = defaultdict(dict)
        for key, writes in state["writes"]:
            self.writes[tuple(key)] = {tuple(place): tuple(value) for place, value in writes}
        self.blobs = {tuple(key): tuple(value) for key, value in state["blobs"]}
        self._tell(text)
        return True

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        if metadata.get("step", 0) >= 0:  # before that nothing has been done
            await self._keep()
        return saved

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await super().aput_writes(config, writes, task_id, task_path)
        if self._writes:
            await self._keep()

    async def _keep(self) -> None:
        state = {
            "history": self.history,
            "prompt_id": self.prompt_id,
            "storage": [(name, list(checkpoints.items())) for name, checkpoints in self.storage[THREAD].items()],
            "writes": [(key, list(writes.items())) for key, writes in self.writes.items()],
            "blobs": list(self.blobs.items()),
        }
        kind, data = self.serde.dumps_typed(state)
        await self._journal.add_response(NUMBER, f"{kind}:{b64encode(data).decode()}")

    def _tell(self, text: str) -> None:
        for key, typed in self.blobs.items():
            messages = self.serde.loads_typed(typed) if key[2] == "messages" and typed[0] != "empty" else None
            if not isinstance(messages, list):
                continue
            told = [message for message in messages if isinstance(message, HumanMessage)]
            for message in told:
                if message.id == self.prompt_id:
                    message.content = text
            self.blobs[key] = self.serde.dumps_typed(messages)
