# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod verify on Debian's kernels: no problem in 8,000 modules, and one flipped bit found; readers agree on all."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pymodutils import Context, Roots, verify
from pymodutils.depmod.render import FILES
from pymodutils.formats.elf_linkage import Linkage, read_general_linkage, read_image_linkage
from pymodutils.formats.kernelexports import read_kernel_exports, read_symvers
from pymodutils.formats.source import BytesSource
from tests.support import assets

MODULES = {"6.1": 4023, "6.12": 4230}
ALGORITHMS = {"6.1": "RSA", "6.12": "ECDSA"}


@pytest.fixture(params=list(assets.KERNELS))
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def roots_of(kernel: str, compression: str = "none") -> Roots:
    return Roots(base=str(assets.module_tree(kernel, compression)), release=assets.release(kernel))


def image_of(kernel: str) -> Path:
    return assets.linux(kernel) / f"boot/vmlinuz-{assets.release(kernel)}"


def test_all_of_debians_modules_load(kernel: str) -> None:
    """Symbols and keys from the kernel's image as Debian ships it, compressed; indexes from kmod 34.2's depmod."""
    report = verify(Context(roots_of(kernel)), keys=image_of(kernel), symbols=image_of(kernel))
    assert [(module.path, module.problems) for module in report.modules if not module.ok] == []
    assert Counter(module.signature.state for module in report.modules) == {"good": len(report.modules)}
    assert len(report.modules) >= MODULES[kernel] - 100
    assert report.errors == () and report.notes == ()
    assert report.indexes == dict.fromkeys(FILES, "current")


def test_a_flipped_bit_and_a_missing_module(kernel: str, tmp_path: Path) -> None:
    roots = roots_of(kernel)
    release = assets.release(kernel)
    copy = tmp_path / "lib/modules" / release
    shutil.copytree(roots.modules, copy, copy_function=lambda source, target: Path(target).symlink_to(source))
    flipped = next(copy.glob("kernel/drivers/block/loop.ko"))
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 4
    flipped.unlink()
    flipped.write_bytes(data)
    next(copy.glob("kernel/net/sctp/sctp.ko")).unlink()
    report = verify(
        Context(Roots(base=str(tmp_path), release=release)), keys=image_of(kernel), symbols=image_of(kernel)
    )
    found = {Path(module.path).name: {problem.code for problem in module.problems} for module in report.modules}
    problems = {name: codes for name, codes in found.items() if codes}
    assert problems.pop("loop.ko") == {"bad-signature"}
    assert problems.pop("sctp_diag.ko") == {"unknown-symbol"}
    assert set(map(frozenset, problems.values())) <= {frozenset({"unknown-symbol"})}
    assert report.wrong_indexes.keys() >= {"modules.dep", "modules.dep.bin", "modules.symbols"}


def test_a_module_for_another_kernel() -> None:
    """A module of 6.12 for 6.1: another vermagic, other versions of symbols, and a key that is not known."""
    other = Path(roots_of("6.12").modules, "kernel/drivers/block/loop.ko")
    report = verify(Context(roots_of("6.1")), [other], keys=image_of("6.1"), symbols=image_of("6.1"))
    (module,) = report.modules
    codes = [problem.code for problem in module.problems]
    assert set(codes) >= {"symbol-version", "unknown-key"}
    assert "module_layout" in module.crc_mismatch
    assert module.signature.state == "unknown key"


def test_the_image_tells_what_module_symvers_tells(kernel: str) -> None:
    symvers = read_symvers((assets.headers(kernel) / "Module.symvers").read_bytes())
    assert len(symvers) > 10_000
    assert read_kernel_exports(BytesSource(assets.vmlinux(kernel).read_bytes())) == symvers


def test_both_readers_agree_on_all_modules(kernel: str) -> None:
    def row(item: Linkage) -> tuple[object, ...]:
        return item.origin, item.infos, sorted(item.needs), item.weak, item.unused, sorted(item.offers)

    unusual = 0
    for path in sorted(Path(roots_of(kernel).modules).rglob("*.ko")):
        data = path.read_bytes()
        short = read_image_linkage(data)
        unusual += short is None
        if short is not None:
            assert row(short) == row(read_general_linkage(BytesSource(data))[0]), path
    assert unusual < 5


def test_indexes_of_kmod_30(tmp_path: Path) -> None:
    """Its binary indexes have another order of nodes, and there is no modules.weakdep."""
    kmod = shutil.which("kmod")
    version = subprocess.run([kmod or "false", "--version"], capture_output=True, text=True).stdout.split()
    if version[2:3] != ["30"]:
        pytest.skip("the machine's kmod is not 30")
    release = assets.release("6.1")
    copy = tmp_path / "lib/modules" / release
    ignored = shutil.ignore_patterns(*FILES, "build", "source")
    shutil.copytree(roots_of("6.1").modules, copy, copy_function=lambda source, target: Path(target).symlink_to(source),
                    ignore=ignored)  # fmt: skip
    (tmp_path / "depmod").symlink_to(str(kmod))
    subprocess.run([tmp_path / "depmod", "-b", tmp_path, release], check=True)
    report = verify(Context(Roots(base=str(tmp_path), release=release)), keys="none", symbols=image_of("6.1"))
    assert report.is_clean and report.indexes["modules.weakdep"] == "missing"
