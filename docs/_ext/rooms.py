"""The table of docs/architecture.rst: what each room of the package holds, counted in the tree.

`.. rooms::` has one line for each folder of `skcascade` and for each module next to them, in
the order of the layers in `pyproject.toml`. A room is described by the first line of its docstring.
"""

import ast
import re
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "skcascade"


def layers():
    """Names of the rooms from the highest layer to the lowest, as the import contracts say."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def files_of(name):
    """Files of a room, the one that describes it first; none if it is not there yet."""
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) or list(PACKAGE.glob(f"{name}.py"))


def room(name):
    """Name, first line of the docstring, number of files and of lines, of one room."""
    texts = [path.read_text(encoding="utf-8") for path in files_of(name)]
    what = (ast.get_docstring(ast.parse(texts[0])) or "").partition("\n")[0]
    lines = sum(len(text.splitlines()) for text in texts)
    return name, re.sub(r":\w+:`~?(?:\w+\.)*", "`", what), len(texts), lines


def table():
    """Rows of the table: a heading, every room that is there, and the sum."""
    names = ["__init__", *(name for layer in layers() for name in layer)]
    rooms = [room(name) for name in names if files_of(name)]
    files, lines = (sum(column) for column in list(zip(*rooms))[2:])
    counted = sum(1 for _ in PACKAGE.rglob("*.py"))
    if files != counted:
        raise ValueError(f"The layers of pyproject.toml name {files} of {counted} files.")
    return [
        ("room", "what it holds", "files", "lines"),
        *((f"``{name}``", what, count, f"{size:,}") for name, what, count, size in rooms),
        ("together", "", files, f"{lines:,}"),
    ]


class Rooms(Directive):
    """The table as a csv-table."""

    def run(self):
        """Parse the rows; a change of any module makes the page anew."""
        lines = [".. csv-table::", "   :header-rows: 1", "   :widths: 14 66 8 12", ""]
        for row in table():
            cells = (str(cell).replace('"', '""') for cell in row)
            lines.append("   " + ",".join(f'"{cell}"' for cell in cells))
        self.state.document.settings.record_dependencies.add(*map(str, PACKAGE.rglob("*.py")))
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, source=__file__), self.content_offset, node)
        return node.children


def setup(app):
    """Register the directive."""
    app.add_directive("rooms", Rooms)
    return {"parallel_read_safe": True}
