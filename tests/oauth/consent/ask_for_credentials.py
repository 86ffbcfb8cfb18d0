"""A program that asks for a person's credentials many times at once, after a line on its standard input.

Usage: ask_for_credentials.py DATABASE_URL SECRET_KEY GOOGLE_URL TIMES
"""

import asyncio
import sys

from gateway.storage.connect import connect
from oauth import Identity, Keyring, OAuthCoordinator
from oauth.google import GoogleAuth


async def main(database_url: str, key: str, google_url: str, times: int) -> None:
    database = connect(database_url)
    await database.open()
    coordinator = OAuthCoordinator(database, Keyring.parse(key), "https://bot.test")
    coordinator.register(GoogleAuth("peers.apps.googleusercontent.com", "GOCSPX-peers", google_url), ())
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    person = Identity("stage", "T1", "alice")
    granted = await asyncio.gather(*(coordinator.credentials(person, "google", ()) for _ in range(times)))
    print(*{each.credentials.token for each in granted}, flush=True)
    await database.close()


asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
