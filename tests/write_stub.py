"""Write dlintegrate/__init__.pyi, from which type checkers and editors know the lazy names.

Run it after a change of the public names: ``python tests/write_stub.py``.
"""

from pathlib import Path

import dlintegrate

STUB = Path(dlintegrate.__file__).with_suffix(".pyi")


def stub_text():
    """The text of the stub: every public name, from the module that defines it."""
    modules = "".join(f"from . import {name} as {name}\n" for name in sorted(dlintegrate._MODULES))
    names = "".join(
        f"from .{module} import {name} as {name}\n"
        for name, module in sorted(dlintegrate._PUBLIC.items(), key=lambda item: item[::-1])
    )
    return (
        "# The public names for type checkers; written by tests/write_stub.py.\n\n"
        f"{modules}{names}\n__version__: str\n__all__: list[str]\n"
    )


if __name__ == "__main__":
    STUB.write_text(stub_text())
