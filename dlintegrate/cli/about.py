"""``dlintegrate pretrained`` and ``dlintegrate info``: what is there."""

import json


def add_to(commands):
    """Add both commands."""
    pretrained = commands.add_parser(
        "pretrained",
        help="list the fitted integrators that come with the package, or show the card of one",
        description="List the fitted integrators that come with the package; with NAME, show "
        "its card: what it was trained on, how good it is, and how it was made.",
    )
    pretrained.add_argument("name", nargs="?", metavar="NAME")
    pretrained.add_argument("--json", action="store_true", help="as JSON")
    pretrained.set_defaults(run=_pretrained)
    info = commands.add_parser(
        "info",
        help="print what a bug report needs",
        description="Print the versions of the package and of what it uses, Python, the "
        "platform, cores and torch devices.",
    )
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=_info)


def _pretrained(arguments):
    from ..datasets import describe_pretrained, list_pretrained

    names = list_pretrained() if arguments.name is None else [arguments.name]
    cards = {name: describe_pretrained(name) for name in names}
    if arguments.json:
        print(json.dumps(cards if arguments.name is None else cards[arguments.name], indent=2))
    elif arguments.name is None:
        width = max(map(len, cards))
        for name, card in cards.items():
            print(f"{name:{width}}  {card['system']}")
    else:
        print("\n".join(_lines(cards[arguments.name])))


def _info(arguments):
    from ..environment import describe_environment

    report = describe_environment()
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_lines(report)))


def _lines(tree, indent=""):
    """A nested dict as indented lines."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            shown = f"{shown:.4g}" if isinstance(shown, float) else shown
            yield f"{indent}{key}: {shown}"
