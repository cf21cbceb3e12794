# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod lint: mistakes in the rules about modules."""

from __future__ import annotations

from ..diagnosis.lint import LINT_RULES
from ..diagnosis.lint import lint as find
from ..diagnosis.lint.sources import Finding, Sources
from ..errors import Error, MissingTreeError
from ..formats.cmdline import parse_boot_rules
from ..names import encode
from ..state.config import FROM_TREE, config_places
from ..state.configdirs import unread_files
from ..state.files import inside, read_file
from ..state.initramfs import read_image
from ..state.modulesload import read_modules_load
from .report import AUTO, NO_IMAGE, Report, as_diagnostic, for_same_system, head, is_unread, unlisted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..observer import Observer


class LintReport(Report):
    """What is wrong in the rules about modules, by file and line."""

    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing but notes."""
        return not any(finding.counts for finding in self.findings)


def lint_rules() -> dict[str, str]:
    """Return the names of all lint rules, and what each finds."""
    return {rule.name: rule.text for rule in LINT_RULES}


def lint(context: Context, *, initrd: str = AUTO, observer: Observer | None = None) -> LintReport:
    """Return the mistakes in the rules about modules: modprobe.d, modules-load.d, and the kernel command line.

    `initrd` is the initial file system to compare with: a path, `auto` or `none`. With configuration files of the
    caller's choice it does not matter. `observer` hears of progress. Without a module directory, or with an index
    missing or damaged, most mistakes cannot be seen, and the report has an error that says so.
    """
    command_line = context.live.text("cmdline")
    at_boot = read_modules_load(context.roots, command_line)
    config = context.config
    errors = [problem for problem in (*config.problems, *at_boot.problems) if is_unread(problem)]
    places = config_places(context.roots, context.config_paths)
    texts = dict(config.chosen_texts)
    for file in config.files:
        if file not in texts and file.rpartition("/")[2] not in FROM_TREE:
            try:
                texts[file] = read_file(inside(context.roots.config_root, file))
            except Error:  # reported when its rules were read
                continue
    if not context.exists:
        text = "no module directory: only such mistakes are found as can be seen without modules"
        errors.append(as_diagnostic(MissingTreeError(text, path=context.tree.directory)))
    image = None
    if initrd != NO_IMAGE and not context.config_paths:
        image = read_image(context.roots, None if initrd == AUTO else initrd, observer)
    if image and image.renewal:
        image = image.replace(renewal=for_same_system(context, image.renewal))
    if image and image.problem:
        errors.append(as_diagnostic(Error(image.problem, path=image.path)))
    sources = Sources(
        context.tolerant_system,
        root=context.roots.config_root,
        rules=config.rules,
        problems=config.problems,
        texts=texts,
        unread=tuple(unread_files([*places, *context.roots.config_dirs("modules-load.d")])),
        load_lines=at_boot.lines,
        boot_rules=tuple(parse_boot_rules(encode(command_line or ""), f"{context.roots.proc}/cmdline")),
        image=image,
    )
    findings = find(sources)
    errors += unlisted(sources.system.tree)
    return LintReport(**head("lint", context, errors), findings=tuple(findings))
