"""Publish and subscribe within one process."""

from gateway.pubsub.pubsub import MAX_PENDING, PubSub


async def test_a_stop_tells_subscribers_that_no_more_messages_will_come() -> None:
    pubsub = PubSub()
    with await pubsub.subscribe("a") as queue:
        await pubsub.publish("a", "one")
        await pubsub.publish("b", "of another topic")
        await pubsub.stop()
        assert [queue.get_nowait(), queue.get_nowait()] == ["one", None]
        assert queue.empty()
    await pubsub.publish("a", "to nobody")


async def test_a_subscriber_that_falls_behind_loses_the_oldest_messages() -> None:
    pubsub = PubSub()
    with await pubsub.subscribe("a") as queue:
        for number in range(MAX_PENDING + 2):
            await pubsub.publish("a", str(number))
        assert queue.qsize() == MAX_PENDING
        assert queue.get_nowait() == "2"
