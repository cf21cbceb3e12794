# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe: load and remove modules with all they need (docs/behaviour/1-commands.md and 3-resolution.md).

Here is what its options choose. `options` has them, `load` and `remove` do the work or show it, `execution` carries
plans out, `jobs` does so side by side, `show` prints configuration and symbols, `output` has the results and `reporter`
all wording. Files that only some runs need are imported by those: looking must not pay for acting.
"""

from __future__ import annotations

from ...context import Context
from ...osparts import environ
from ...roots import Roots
from ..options import absolute, require_short
from .options import COMMAND_LINE as COMMAND_LINE
from .options import ENVIRONMENT
from .options import ModprobeOptions as ModprobeOptions
from .output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..console import Console


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Do what the options ask for; 1 if anything failed."""
    options = ModprobeOptions()
    options.by_kernel = list(arguments[:-1]) == ["-q", "--"]  # the form that the kernel uses, and hardly anybody else
    inherited = environ().get(ENVIRONMENT)
    if inherited:
        from .values import split_words

        arguments = [*split_words(inherited), *arguments]
    operands = COMMAND_LINE.read(arguments, console, options)
    if not operands and not options.show_config:
        console.error("missing parameters. See -h.")
        return 1
    roots = _chosen_roots(options, roots or Roots())
    if options.dirname or options.set_version:
        typed = roots.base if options.dirname is None else options.dirname
        require_short(roots.replace(base=typed).modules, console)  # also with -q
    console.level = options.level
    return _run(operands, options, Output(options, console), roots)


def _chosen_roots(options: ModprobeOptions, roots: Roots) -> Roots:
    base = roots.base if options.dirname is None else options.dirname and absolute(options.dirname)
    return roots.replace(base=base, release=options.set_version or roots.release)


def _run(operands: list[str], options: ModprobeOptions, output: Output, roots: Roots) -> int:
    """Do what the options ask for, and return the exit status."""
    context = Context(roots, config=options.config, live=True, on_problem=output.problem)
    if output.explains:
        output.context = context
    _ = context.config  # read first, so that what is wrong with it is reported before anything else
    if (options.show_modversions or options.show_exports) and not options.show_config:
        from .show import show_symbols

        return show_symbols(operands[0], context, options, output)
    if options.show_config:
        from .show import show_config

        return show_config(context, options, output)
    try:
        if options.removes:
            from .remove import remove

            status = remove(operands, context, options, output)
        elif options.all and options.jobs > 1 and not options.only_shows:
            from .jobs import load_side_by_side

            status = load_side_by_side(operands, context, options, output)
        else:
            from .load import load

            status = load(operands, context, options, output)
    finally:
        if options.json:
            output.reporter.write_plans()
    output.finish()
    return status
