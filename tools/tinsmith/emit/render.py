"""The jinja2 environment, and how C is spelled."""

from __future__ import annotations

import re
import textwrap
from functools import cache
from typing import Any

import jinja2
import numpy as np

from ..graph import Array

C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}
RESERVED = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "main tin"
)  # words of C, and names that a model's prefix would collide with
STANDARD_TYPES = re.compile(
    r"u?int(_least|_fast)?(8|16|32|64)|u?int(ptr|max)|s?size|ptrdiff|wchar|wint|wctype|wctrans|mbstate|max_align|"
    r"l?l?div|imaxdiv|time|clock|fpos|fenv|fexcept|sig_atomic|off|pid"
)  # with _t behind them: a model's own type is called NAME_t


@cache
def environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("tinsmith.emit"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["wrap_comment"] = wrap_comment
    return env


def render(template: str, **values: Any) -> str:
    return environment().get_template(template).render(**values)


def wrap_comment(text: str, width: int) -> str:
    """Text for a C comment, later lines begun with ` * `."""
    return "\n * ".join(textwrap.wrap(safe_comment(" ".join(text.split())), width))


def safe_comment(text: str) -> str:
    """Text that cannot end a comment, break a line or carry control characters: names come from files."""
    printable = "".join(c if c.isprintable() and ord(c) < 127 else "?" for c in text).replace("\\", "/")
    single = re.sub(r"\?{2,}", "?", printable)  # two would begin a trigraph
    return single.replace("*/", "* /").replace("/*", "/ *")


def c_string(text: str) -> str:
    """A C string literal; quotes, backslashes and trigraphs cannot break out of it."""
    return '"' + safe_comment(text).replace('"', "'") + '"'


def identifier(text: str) -> str:
    """A C identifier from any text."""
    name = re.sub(r"[^0-9a-zA-Z]+", "_", text).strip("_").lower() or "model"
    taken = name in RESERVED.split() or name.startswith("tin_") or STANDARD_TYPES.fullmatch(name)
    return f"model_{name}" if taken or name[0].isdigit() else name


def c_float(value: float) -> str:
    """The shortest C literal that reads back as the same float32."""
    text = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    return f"{text}f"


def c_values(data: Array, width: int = 110) -> str:
    """The elements of an array as indented lines."""
    flat = data.reshape(-1)
    words = [c_float(v) for v in flat] if data.dtype.kind == "f" else [c_integer(int(v)) for v in flat]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > width:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])


def c_integer(value: int) -> str:
    """INT32_MIN has no literal of its own in C."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)
