"""The command `understudy`. It says so if a folder or file of the operator's hides one of our packages.

It imports nothing of ours before that, since any of ours may be hidden: by PYTHONPATH, or by `python -m`, which looks
in the working directory first.
"""

import sys
from pathlib import Path

PACKAGES = ("gateway", "interfaces", "oauth", "toolkits")


def main() -> None:
    """Run the command line."""
    try:
        from gateway.cli.main import main as run
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if (hiding := _hiding(package)) is None:
            raise
        sys.stderr.write(
            f"understudy: {hiding} hides Understudy's package {package!r}, as Python finds it first: "
            f"rename yours, for example to my_{hiding.name}, or take its folder out of PYTHONPATH.\n"
        )
        sys.exit(2)
    run()


def _hiding(package: str) -> Path | None:
    """Return the folder or file that was loaded in the place of one of our packages."""
    file = getattr(sys.modules.get(package), "__file__", None)
    if package not in PACKAGES or file is None:
        return None
    loaded = Path(file).parent if Path(file).name == "__init__.py" else Path(file)
    homes = (Path(entry) for entry in sys.path if all(Path(entry, each, "__init__.py").is_file() for each in PACKAGES))
    home = next(homes, None)
    return loaded if home is not None and loaded.parent.resolve() != home.resolve() else None


if __name__ == "__main__":
    main()
