"""What every op says about itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from ..graph import Array, Graph, Node, Tensor
from ._interval import Interval
from .tensors import Shape, flat, image_rows

if TYPE_CHECKING:
    from numpy.random import Generator

ROWS, LEAN = "rows", "lean"  # purposes of kernels: see Op.purpose

MOST_ROWS = 1 << 15  # of an output that may overlap an input


def internal(default: Any) -> Any:
    """A field of Attrs that passes set; no file format has it."""
    return dataclasses.field(default=default, metadata={"internal": True})


@dataclass(frozen=True, eq=False)
class Call:
    """A node with its tensors at hand."""

    node: Node
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    # Once planned: steps that its kernel computes at a time whose outputs lie one behind the other.
    stretches: tuple[int, ...] = ()

    @classmethod
    def of(cls, graph: Graph, node: Node) -> Call:
        inputs = tuple(None if n is None else graph[n] for n in node.inputs)
        return cls(node, inputs, tuple(graph[n] for n in node.outputs))

    @property
    def attrs(self) -> Any:
        return self.node.attrs

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.input(0)

    @property
    def y(self) -> Tensor:
        """The first output."""
        return self.outputs[0]

    def input(self, index: int) -> Tensor:
        tensor = self.inputs[index]
        assert tensor is not None
        return tensor

    def optional(self, index: int) -> Tensor | None:
        return self.inputs[index] if index < len(self.inputs) else None


Rule = Callable[[Any, Call], str | None]


def rule(check: Rule) -> Rule:
    """Mark a method as a rule: its docstring is the error text, its result what was found instead."""
    check.is_rule = True  # type: ignore[attr-defined]
    return check


class Op:
    """One operator. Subclasses live one to a file, are found by themselves, and are never instantiated twice.

    An op with `Params` has a kernel `tin_<name>` in firmware/core/ops/<name>.c. An op without is
    lowered to others, folded into constants, or a mere view, before code is written.
    """

    name: ClassVar[str]
    onnx: ClassVar[tuple[str, ...]] = ()
    # The newest version of TensorFlow Lite's whose additions show where rules look: types, shapes, known options.
    max_version: ClassVar[int] = 1
    arity: ClassVar[tuple[int, int]] = (1, 1)  # least and greatest number of inputs
    Attrs: ClassVar[Any] = None  # a frozen dataclass, or None
    Params: ClassVar[type | None] = None
    runtime_arity: ClassVar[int | None] = 1  # inputs read through a view of rows; None: any number
    needs_options: ClassVar[bool] = True  # whether a file must carry the options that Attrs lists
    view: ClassVar[bool] = False  # the output is the first input's bytes under another shape
    internal: ClassVar[bool] = False  # made by passes; no file format has it
    lowered: ClassVar[str] = ""  # what becomes of an op that has no kernel and is no view

    #: Kernels for special instruction sets are subclasses in tools/tinsmith/arch/<arch>/ that say otherwise here.
    arch: ClassVar[str] = ""
    #: What a form of a kernel is for that the planner asks for: inputs that come row by row, or little scratch.
    purpose: ClassVar[str] = ""
    #: Pixels that a call should compute at least where layers run row by row, so that what it costs beside them hardly
    #: matters; a row has some in any case.
    pixels: ClassVar[int] = 1
    pace: ClassVar[float] = 1.0  # how many times as long as the usual form it takes, roughly, on large layers
    variant: ClassVar[str] = ""  # what a form of its own C function adds to the names of function and file
    extra_sources: ClassVar[tuple[str, ...]] = ()  # beside `source`, relative to firmware/core
    #: Parts of the kernel that a build may leave out if no call uses them: name -> what it is for.
    parts: ClassVar[Mapping[str, str]] = {}
    #: Those that are needed as soon as an input is a ring of rows. None: all of them.
    ring_parts: ClassVar[frozenset[str] | None] = None

    @property
    def kernel(self) -> str:
        """The C function."""
        return "_".join(filter(None, ("tin", self.name.lower(), self.arch, self.variant)))

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel's source files, relative to firmware/core."""
        folder = f"arch/{self.arch}" if self.arch else "ops"
        name = "_".join(filter(None, (self.name.lower(), self.variant)))
        return (f"{folder}/{name}.c", *self.extra_sources)

    def part_macro(self, part: str) -> str:
        """The C macro that is 0 where a part is left out."""
        return f"{self.kernel}_{part}".upper()

    def used_parts(self, call: Call, thrifty: bool) -> frozenset[str]:
        """Those of `parts` that the call needs. `thrifty`: without those that gain a few per cent of time at most."""
        return frozenset(self.parts)

    def suits(self, call: Call) -> bool:
        """Whether this kernel computes the call; a kernel for everything always does."""
        return True

    # -- what is right -----------------------------------------------------------------------------

    @classmethod
    @cache
    def rules(cls) -> list[tuple[str, str]]:
        """(method name, text) of every rule, those of base classes first."""
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                if getattr(member, "is_rule", False):
                    found[name] = " ".join((getattr(cls, name).__doc__ or "").split())
        return list(found.items())

    def broken_rule(self, call: Call) -> str | None:
        """The first rule that the call breaks, with the value found, or None."""
        for name, text in self.rules():
            found = getattr(self, name)(call)
            if found is not None:
                return f"{text} Found: {found}."
        return None

    @rule
    def arity_matches(self, call: Call) -> str | None:
        """The number of inputs must be one that the operator defines, and only trailing ones may be absent."""
        low, high = self.arity
        count = len(call.inputs)
        # Where any number is allowed, inputs form a list, and none of them is optional.
        needed = high if high - low > 1 else low
        absent = [i for i, t in enumerate(call.inputs) if t is None and i < needed]
        if low <= count <= high and not absent and len(call.outputs) == 1:
            return None
        return f"{count} inputs{f', input {absent[0]} absent' if absent else ''}, {len(call.outputs)} outputs"

    def output_shape(self, call: Call) -> Shape:
        """The shape that the output must have."""
        return call.x.shape

    def reference(self, call: Call, inputs: list[Array | None]) -> Array:
        """The output, computed in numpy exactly as TensorFlow Lite Micro does."""
        raise NotImplementedError(self.name)

    def examples(self, rng: Generator) -> Iterator[Graph]:
        """Random graphs of this op for the parity tests, without end."""
        raise NotImplementedError(self.name)

    # -- what is known beforehand --------------------------------------------------------------------

    def interval(self, call: Call, inputs: Sequence[Interval | None]) -> Interval | None:
        """Bounds on every channel of the output, given bounds on the inputs; None: nothing is known.

        They must hold for all inputs within their bounds, or shrinking breaks models.
        """
        return Interval.whole(call.y)

    def channel_sources(self, call: Call, index: int) -> Array | None:
        """For each output channel, the channel of input `index` that it is made of, or -1 where it takes none.

        A promise that a channel depends on no others, and that the op stays the same if channels are left out of
        input and output alike. Input channels that are nobody's source are needed. None: no such promise.
        """
        return None

    def fitted_attrs(self, call: Call) -> Any:
        """The attributes, made to fit tensors that have lost channels."""
        return call.attrs

    # -- what it costs -----------------------------------------------------------------------------

    def macs(self, call: Call) -> int:
        return 0

    def effort(self, call: Call) -> int:
        """Roughly the instructions of the portable kernel. Only shares matter: see `ops.choose`."""
        return 7 * (self.macs(call) or flat(call.y))

    def scratch_bytes(self, call: Call) -> int:
        return 0

    def state_bytes(self, call: Call) -> int:
        """Bytes that the kernel keeps from its first step to its last: sums that are not yet complete."""
        return 0

    # -- how it runs -------------------------------------------------------------------------------

    @property
    def needs_scratch(self) -> bool:
        """Whether the kernel has a scratch buffer, for some shapes at least."""
        return type(self).scratch_bytes is not Op.scratch_bytes

    @property
    def needs_state(self) -> bool:
        return type(self).state_bytes is not Op.state_bytes

    def params(self, call: Call) -> Any:
        """The kernel's parameters, an instance of `Params`."""
        raise NotImplementedError(self.name)

    def runtime_inputs(self, call: Call) -> tuple[int, ...]:
        """Indices of the inputs that the kernel reads through a view of rows."""
        return (0,)

    def rows(self, call: Call, tensor: Tensor) -> tuple[int, int]:
        """(row count, bytes a row) of an input or the output, as the kernel sees it."""
        return image_rows(tensor)

    def step_count(self, call: Call) -> int:
        """In how many steps the kernel runs. A step computes an output row, if nothing else is said."""
        return self.rows(call, call.y)[0]

    def rows_done(self, call: Call, steps: int) -> int:
        """How many output rows are complete after that many steps."""
        return steps

    def first_input_row(self, call: Call, index: int, row: int) -> int | None:
        """The lowest row of input `index` still needed when step `row` (an output row) is computed; None: all."""
        return None

    def last_input_row(self, call: Call, index: int, row: int) -> int:
        """The highest row of input `index` that step `row` (an output row) needs; below the lowest if it needs none."""
        last = self.rows(call, call.input(index))[0] - 1
        return last if self.first_input_row(call, index, row) is None else min(row, last)

    def in_place(self, call: Call, index: int) -> bool:
        """Whether the output may lie exactly on input `index` although `separation` forbids it: for kernels that
        keep what they still need apart. It holds for one call over all rows only."""
        return False

    def separation(self, call: Call, index: int) -> int | None:
        """Bytes by which input `index` must begin above the output for the two to overlap safely.

        Rows are written in rising order and a row's input may be read until the whole row is
        written, so output row r must end before the first input row that it or a later row needs.
        None: they must not overlap at all. (Compare "diagonal memory optimisation", Blacker et al. 2020.)
        """
        out_rows, out_bytes = self.rows(call, call.y)
        _, in_bytes = self.rows(call, call.input(index))
        if out_rows > MOST_ROWS:  # to look at every row of a freak would take minutes
            return None
        needed = [self.first_input_row(call, index, r) for r in range(out_rows)]
        if any(row is None for row in needed):
            return None
        return max((r + 1) * out_bytes - (row or 0) * in_bytes for r, row in enumerate(needed))
