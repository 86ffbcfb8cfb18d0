"""Resume an interrupted turn: the journal of the turn stores the state of the graph."""

import logging
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph._internal._serde import build_serde_allowlist
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START

from gateway.attachments.prompt import Prompt
from gateway.engines.langgraph.history import to_content
from gateway.runs.journal import EngineJournal

THREAD = "turn"  # the id of the only thread of a turn
NUMBER = 0  # in the journal: each state replaces the one before

log = logging.getLogger(__name__)


class _Serializer(JsonPlusSerializer):
    """Reads only plain data, LangGraph's own safe types, and the classes that a graph's state declares.

    By default, LangGraph imports and calls whatever a stored state names, so that anybody who can write to the database
    could run code. It also reads an old JSON format, which can construct other objects; this class refuses it.

    Args:
        graph: the native graph of the agent, if it has one.
    """

    def __init__(self, graph: Any | None) -> None:
        super().__init__(allowed_msgpack_modules=_declared_types(graph) if graph is not None else None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        if data[0] == "json":
            raise NotImplementedError(
                "a stored LangGraph state is in the JSON format, which is not read because reading it can run code"
            )
        with _refusals_logged():
            return super().loads_typed(data)


_declared: WeakKeyDictionary[Any, list[tuple[str, ...]]] = WeakKeyDictionary()  # by graph


def _declared_types(graph: Any) -> list[tuple[str, ...]]:
    """Return the module and the name of each class that a graph and its sub-graphs declare in their states."""
    if graph in _declared:
        return _declared[graph]
    inner = [sub_graph for _, sub_graph in graph.get_subgraphs(recurse=True)]
    found = set[tuple[str, ...]]()
    for each in (graph, *inner):
        schemas = list(getattr(getattr(each, "builder", None), "schemas", ()))
        found |= build_serde_allowlist(schemas=schemas, channels=each.channels)
    _declared[graph] = sorted(found)
    return _declared[graph]


@contextmanager
def _refusals_logged() -> Iterator[None]:
    """Log each class in a stored state that is not allowed. Its fields are read as plain data."""

    def log_refusal(event: SerdeEvent) -> None:
        if event["kind"] in ("msgpack_blocked", "msgpack_method_blocked"):
            log.warning(
                "a stored LangGraph state names %s.%s, which its graph does not declare: it is read as plain data. "
                "If the class belongs to the graph, declare it in the graph's state.",
                event["module"],
                event["name"],
            )

    unregister = register_serde_event_listener(log_refusal)
    try:
        yield
    finally:
        unregister()


class Checkpoints(InMemorySaver):
    """A checkpointer that stores a graph's latest state in the journal of the turn, so that the next run can resume.

    https://docs.langchain.com/oss/python/langgraph/durable-execution

    Args:
        graph: the agent's native graph, if it has one. For a native graph, the classes that it declares are read, and
            the results of the single tasks of a step are stored, too. For other agents, the journal has the results.

    Attributes:
        history: the ids of the messages before the turn's own message.
        prompt: the turn's own message. It is stored without its files, which are large and can be fetched again.
        prompt_id: the id of the turn's own message.
    """

    def __init__(self, journal: EngineJournal, graph: Any | None) -> None:
        super().__init__(serde=_Serializer(graph))
        self._journal = journal
        self._keeps_tasks = graph is not None
        self.history: list[str] = []
        self.prompt = Prompt("")
        self.prompt_id = ""

    def restore(self, prompt: Prompt) -> bool:
        """Restore the state of an earlier run of the turn, and return whether there is one.

        Args:
            prompt: the current prompt. It replaces the prompt of the earlier run, because more messages may have joined
                the turn, and because files are not stored.
        """
        recorded = self._journal.response(NUMBER)
        if recorded is None:
            return False
        kind, _, data = recorded.partition(":")
        state = self.serde.loads_typed((kind, b64decode(data)))
        self.history, self.prompt_id = list(state["history"]), state["prompt_id"]
        self.storage = defaultdict(lambda: defaultdict(dict))
        for namespace, checkpoints in state["storage"]:
            self.storage[THREAD][namespace] = {key: tuple(value) for key, value in checkpoints}
        self.writes = defaultdict(dict)
        for key, writes in state["writes"]:
            self.writes[tuple(key)] = {tuple(place): tuple(value) for place, value in writes}
        self.blobs = {tuple(key): tuple(value) for key, value in state["blobs"]}
        self.writes, self.blobs = self._with_prompt(to_content(prompt))
        return True

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        if metadata.get("step", 0) >= 0:  # before the first step there is nothing to resume
            await self._keep()
        return saved

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await super().aput_writes(config, writes, task_id, task_path)
        if self._keeps_tasks:
            await self._keep()

    async def _keep(self) -> None:
        writes, blobs = (self.writes, self.blobs) if self.prompt.is_text else self._with_prompt(self.prompt.text)
        state = {
            "history": self.history,
            "prompt_id": self.prompt_id,
            "storage": [(name, list(checkpoints.items())) for name, checkpoints in self.storage[THREAD].items()],
            "writes": [(key, list(of_key.items())) for key, of_key in writes.items()],
            "blobs": list(blobs.items()),
        }
        kind, data = self.serde.dumps_typed(state)
        await self._journal.add_response(NUMBER, f"{kind}:{b64encode(data).decode()}")

    def _with_prompt(self, content: Any) -> tuple[Any, Any]:
        """Return the writes and the values of all channels, with new content for the turn's own message."""
        writes: Any = defaultdict(dict)
        for key, of_key in self.writes.items():
            for place, (task, channel, typed, path) in of_key.items():
                writes[key][place] = (task, channel, self._replaced(channel, typed, content), path)
        blobs = {key: self._replaced(key[2], typed, content) for key, typed in self.blobs.items()}
        return writes, blobs

    def _replaced(self, channel: str, typed: tuple[str, bytes], content: Any) -> tuple[str, bytes]:
        """Return a stored value of a channel, with new content for the turn's own message if the value contains it."""
        if channel not in ("messages", START) or typed[0] == "empty":
            return typed
        value = self.serde.loads_typed(typed)
        messages = value.get("messages") if isinstance(value, dict) else value
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, HumanMessage) and message.id == self.prompt_id:
                message.content = content
        return self.serde.dumps_typed(value)
