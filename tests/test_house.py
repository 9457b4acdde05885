"""The rules of the house, read from the source tree: sizes, mirrored tests, private names."""

import ast
import importlib.util
import io
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "skcascade", ROOT / "tests"

if not (PACKAGE / "__init__.py").exists():
    pytest.skip("The package is installed without its tree.", allow_module_level=True)

MODULES = sorted(PACKAGE.rglob("*.py"))

FILE_LINES = 320
FILE_LINES_OF = {"skcascade/cascade/_cascade.py": 420}
TEST_FILE_LINES = 500
FUNCTION_LINES = 40
#: A module of more lines needs a test file of its name.
UNTESTED_LINES = 60

#: Public in spite of their underscore.
NAMEDTUPLE = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}
#: Attributes of scikit-learn's gradient boosting and of skorch, without a public name.
OF_OTHER_PACKAGES = {"_get_predict_nonlinearity", "_predictors"}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@cache
def text_of(path):
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path):
    return ast.parse(text_of(path))


def n_lines(path):
    return len(text_of(path).splitlines())


def check_none(found):
    """Fail with one line for each thing that was found."""
    assert not found, "\n".join(["", *map(str, found)])


# Sizes -------------------------------------------------------------------------------


def test_no_file_of_the_package_is_too_long():
    sizes = {name_of(path): n_lines(path) for path in MODULES}
    check_none([(n, size) for n, size in sizes.items() if size > FILE_LINES_OF.get(n, FILE_LINES)])


def test_no_test_file_is_too_long():
    sizes = {name_of(path): n_lines(path) for path in sorted(TESTS.rglob("*.py"))}
    check_none([(name, size) for name, size in sizes.items() if size > TEST_FILE_LINES])


def lines_of_code(source):
    """Lines of code of every function in `source`, as {(name, line): number}.

    Signature, docstrings, comments, blank lines and plain statements do not count.
    """
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.string.strip() and token.type != tokenize.COMMENT:
            code |= set(range(token.start[0], token.end[0] + 1))
    sizes = {}
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = code & lines_under(function.body)
            for node in ast.walk(function):
                if is_docstring_or_plain(node):
                    lines -= lines_under([node])
            sizes[function.name, function.lineno] = len(lines)
    return sizes


def lines_under(statements):
    return set(range(statements[0].lineno, statements[-1].end_lineno + 1))


def is_docstring_or_plain(node):
    """A string on its own, or names that are assigned to names or returned."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=targets, value=value):
            return all(is_plain(part) for part in [*targets, value])
        case ast.AnnAssign(target=target, value=value):
            return value is None or (is_plain(target) and is_plain(value))
        case ast.Return(value=value):
            return value is None or is_plain(value)
    return False


def is_plain(node):
    """A name, an attribute of a name, a constant, or a tuple of these."""
    match node:
        case ast.Name() | ast.Constant() | ast.Attribute(value=ast.Name()):
            return True
        case ast.Tuple(elts=parts):
            return all(is_plain(part) for part in parts)
    return False


def test_no_function_is_too_long():
    long = [
        f"{name_of(path)}:{line} {name}: {size} lines"
        for path in MODULES
        for (name, line), size in lines_of_code(text_of(path)).items()
        if size > FUNCTION_LINES
    ]
    check_none(long)


def test_lines_of_code_leave_out_signature_docstring_comments_and_plain_statements():
    source = '''
def function(
    a,
    b=(1, 2),
):
    """Docstring

    of three lines.
    """
    # A comment.
    first, second = a, b

    if a:
        text = """two
        lines"""
        return text
    return sum(
        b
    )
'''
    assert lines_of_code(source) == {("function", 2): 4}
    plain = "class A:\n def __init__(self, a, b):\n  self.a = a\n  self.a, self.b = a, None\n"
    assert lines_of_code(plain) == {("__init__", 2): 0}


# Tests mirror the rooms ----------------------------------------------------------------


def test_every_module_has_a_test_file_of_its_name():
    missing = []
    for path in MODULES:
        test = TESTS / path.relative_to(PACKAGE).with_name(f"test_{path.stem.lstrip('_')}.py")
        if n_lines(path) > UNTESTED_LINES and not path.stem.startswith("__") and not test.exists():
            missing.append(f"{name_of(path)} -> {name_of(test)}")
    check_none(missing)


def test_every_module_and_room_has_a_docstring():
    check_none([name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))])


# Private names -------------------------------------------------------------------------


def is_private(name):
    public = NAMEDTUPLE | OF_OTHER_PACKAGES
    return name.startswith("_") and not name.startswith("__") and name not in public


def private_reads(tree):
    """Lines and private names that a module uses of objects which are not its own.

    Its own are `self`, `cls`, `super()`, modules that it imports, and the private names that
    its classes define.
    """
    modules = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    own = own_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                continue
            case ast.Attribute(value=ast.Name(id=name)) if name in modules:
                continue
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                yield node.lineno, name
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr" | "delattr"),
                args=[ast.Name(id=base), ast.Constant(value=str(name)), *_],
            ) if is_private(name) and name not in own and base not in ("self", "cls"):
                yield node.lineno, name


def own_names(tree):
    """Private names that the classes of a module define: methods, class and `self` attributes."""
    own = set()
    for owner in ast.walk(tree):
        if not isinstance(owner, ast.ClassDef):
            continue
        for statement in owner.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                own |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        for node in ast.walk(owner):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    own.add(name)
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    own.add(name)
    return own


def test_only_the_cascade_reads_private_attributes():
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in MODULES
        if PACKAGE / "cascade" not in path.parents
        for line, name in private_reads(tree_of(path))
    ]
    check_none(found)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("cascade._tuning", ["_tuning"]),
        ("self._tuning; cls._a; super()._b; x.__class__; walk._replace()", []),
        ("import numpy as np\nnp._core", []),
        ("getattr(cascade, '_tuning', None)", ["_tuning"]),
        ("a.b._c", ["_c"]),
        ("class A:\n def f(self, other):\n  self._x = 1\n  return other._x, other._y", ["_y"]),
        ("def _walk(): pass\ncascade._walk", ["_walk"]),
        ("class A:\n _a = 1\n def _b(self, c): return c._a, c._b, c._d", ["_d"]),
    ],
)
def test_private_reads(source, found):
    assert [name for _, name in private_reads(ast.parse(source))] == found


def private_imports(tree):
    """Private names of scikit-learn that a module imports."""
    for node in ast.walk(tree):
        names = [alias.name for alias in getattr(node, "names", ())]
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names] if not node.level else []
        elif not isinstance(node, ast.Import):
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "sklearn" and any(part.startswith("_") for part in rest):
                yield node.lineno, name


def test_private_names_of_sklearn_are_imported_in_one_place():
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in MODULES
        if path != PACKAGE / "utils" / "_sklearn.py"
        for line, name in private_imports(tree_of(path))
    ]
    check_none(found)


# Words ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def words():
    path = ROOT / ".ci" / "words.py"
    if not path.exists():
        pytest.skip("No source tree.")
    spec = importlib.util.spec_from_file_location("words", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the dearest; turn_dial(x)", ["dearest", "dial"]),  # words: ok
        ("rows that go\n    # on", ["go # on"]),  # words: ok
        ("Normalised neighbours", ["neighbour", "Normalised"]),  # words: ok
        ("radial, leave-one-out, leave it, leaves X as it is, held-out, precise", []),
    ],
)
def test_words(words, text, found):
    assert sorted(word for _, word, _ in words.uses(text)) == sorted(found)


def test_a_line_may_be_exempt(words):
    assert list(words.uses("dear  # words: ok")) == []
