"""The command `understudy`, with an error that says which file or folder of the operator hides one of our packages.

The module imports none of our packages at its top, because any of them may be hidden: by PYTHONPATH, or by `python -m`,
which searches the working directory first.
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
        if (hiding := _path_that_hides(package)) is None:
            raise
        sys.stderr.write(
            f"understudy: {hiding} hides Understudy's package {package!r}, because Python finds it first: "
            f"rename it, for example to my_{hiding.name}, or remove its folder from PYTHONPATH.\n"
        )
        sys.exit(2)
    run()


def _path_that_hides(package: str) -> Path | None:
    """Return the folder or file that Python loaded instead of one of our packages; `None` if there is none."""
    file = getattr(sys.modules.get(package), "__file__", None)
    if package not in PACKAGES or file is None:
        return None
    loaded = Path(file).parent if Path(file).name == "__init__.py" else Path(file)
    homes = (Path(entry) for entry in sys.path if all(Path(entry, each, "__init__.py").is_file() for each in PACKAGES))
    home = next(homes, None)
    return loaded if home is not None and loaded.parent.resolve() != home.resolve() else None


if __name__ == "__main__":
    main()
