"""The HTTP sessions in which files are fetched. The module is imported with the first file: aiohttp takes 9 MB."""

import ipaddress
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=20)  # seconds


def open_session(*, public: bool) -> aiohttp.ClientSession:
    """Open a session that keeps no cookies.

    Args:
        public: whether it connects to public addresses only.
    """
    connector = aiohttp.TCPConnector(resolver=_PublicResolver() if public else None)
    return aiohttp.ClientSession(
        connector=connector, timeout=TIMEOUT, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )


class _PublicResolver(AbstractResolver):
    """Resolves host names to public addresses only, so that no name of a platform leads into the operator's network."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if ipaddress.ip_address(each["host"].partition("%")[0]).is_global]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()
