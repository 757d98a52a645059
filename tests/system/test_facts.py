"""Facts travel as types: nothing in the package takes a sentence apart again, or compares one with another."""

import ast
from pathlib import Path

import pytest

import pulumi_koreai

PACKAGE = Path(pulumi_koreai.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

READING = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition"),
    *("split", "rsplit", "splitlines", "replace", "find", "index", "count"),
}
# Whose methods make sentences.
RENDERERS = {"PULUMI", "TERRAFORM", "renderer"}
# What speaks of exceptions of others, whose text is all there is of them.
OF_OTHERS = {"api/transport.py", "host/errors.py"}


class Sentences(ast.NodeVisitor):
    """Finds where a sentence is read: an error's text, what a renderer made, a docstring."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self._errors: set[str] = set()
        self._sentences: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = self._errors, self._sentences
        self._errors, self._sentences = set(outer[0]), set(outer[1])
        arguments = [*node.args.args, *node.args.kwonlyargs]
        self._errors |= {one.arg for one in arguments if "Error" in ast.unparse(one.annotation or ast.Constant(""))}
        self.generic_visit(node)
        self._errors, self._sentences = outer

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._errors.add(node.name)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        if self._is_sentence(node.value):
            self._sentences |= {target.id for target in node.targets if isinstance(target, ast.Name)}

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        if isinstance(called, ast.Attribute):
            one_line = called.attr == "split" and not node.args  # takes line breaks out, and knows no word
            read = called.attr in READING and self._is_sentence(called.value) and not one_line
            searched = ast.unparse(called.value) == "re" and any(map(self._is_sentence, node.args))
            documentation = called.attr == "getdoc"
            if read or searched or documentation:
                self._breach(node)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if any(map(self._is_sentence, [node.left, *node.comparators])):
            self._breach(node)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "__doc__":
            self._breach(node)
        self.generic_visit(node)

    def _is_sentence(self, node: ast.expr) -> bool:
        match node:
            case ast.Name():
                return node.id in self._sentences
            case ast.Subscript() | ast.Starred():
                return self._is_sentence(node.value)
            case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]):
                return name in self._errors
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                return name in RENDERERS
            case ast.BinOp():
                return self._is_sentence(node.left) or self._is_sentence(node.right)
            case ast.JoinedStr():
                parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
                return any(map(self._is_sentence, parts))
            case _:
                return False

    def _breach(self, node: ast.AST) -> None:
        self.breaches.append(f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}")


def breaches(source: str) -> list[str]:
    found = Sentences()
    found.visit(ast.parse(source))
    return found.breaches


@pytest.mark.parametrize("module", [module for module in MODULES if module not in OF_OTHERS])
def test_no_sentence_is_read(module: str) -> None:
    assert breaches((PACKAGE / module).read_text(encoding="utf-8")) == []


BAD = {
    "an error's text, line by line": "try: f()\nexcept E as error:\n    x = str(error).splitlines()",
    "an error's text, by its beginning": "def f(error: ConfigError):\n    return str(error).startswith('koreai')",
    "an error's text, by a pattern": "try: f()\nexcept E as error:\n    re.match('koreai', str(error))",
    "what an error says, compared": "try: f()\nexcept E as error:\n    return 'no model' in str(error)",
    "two sentences, compared": "def f(why):\n    lines = PULUMI.impact(m, i)\n    return lines[:1] == why",
    "a sentence, changed": "def f():\n    text = TERRAFORM.note(n)\n    return text.replace('a', 'b')",
    "an error's text, in two": "try: f()\nexcept E as error:\n    a, b = str(error).split(': ')",
    "a docstring": "x = inspect.getdoc(kind)",
    "a class's docstring": "x = kind.__doc__",
}


@pytest.mark.parametrize("source", BAD.values(), ids=BAD)
def test_a_sentence_that_is_read_is_seen(source: str) -> None:
    assert len(breaches(source)) == 1


def test_a_sentence_that_is_shown_is_none() -> None:
    assert breaches("try: f()\nexcept E as error:\n    print(str(error), PULUMI.note(n))") == []
