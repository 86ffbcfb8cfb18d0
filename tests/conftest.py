from peers.fixtures import *  # noqa: F403 - fixtures
