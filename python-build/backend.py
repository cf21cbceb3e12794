"""Build the wheel and the sdist (PEP 517, PEP 660) with the standard library alone.

pip calls the functions named build_*; `backend.py DIRECTORY` makes both. The same commit gives the same bytes on any
machine: a wheel is a zip file and an sdist a tar file, and what varies in them (order, times, modes, owners) is fixed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# --- made by completions/update.py: programs
COMMANDS = (
    "depmod",
    "insmod",
    "kmod",
    "lsmod",
    "modinfo",
    "modprobe",
    "rmmod",
)
# --- end of what is made
SOURCES = ("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "bin", "completions", "debian", "docs", "etc",
           "initramfs", "man", "packaging.mk", "pymodutils", "pyproject.toml", "python-build")  # fmt: skip
# The oldest time a zip file can hold, unless the one who builds gives another.
EPOCH = max(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), 315532800)

Files = dict[str, tuple[bytes, int]]
"""What an archive is made of: {path in it: (content, mode)}."""


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml, with the version, which only the package itself has."""
    table: dict[str, Any] = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
    code: dict[str, Any] = {}
    exec(ROOT.joinpath("pymodutils/_version.py").read_text(), code)
    return {**table, "version": code["__version__"]}


def stem() -> str:
    """What the names of the files made start with."""
    return f"{project()['name']}-{project()['version']}"


def metadata() -> bytes:
    """The text of METADATA and PKG-INFO."""
    table = project()
    lines = ["Metadata-Version: 2.1", f"Name: {table['name']}", f"Version: {table['version']}"]
    lines += [f"Summary: {table['description']}", f"License: {table['license']['text']}"]
    lines += [f"Requires-Python: {table['requires-python']}"]
    lines += [f"Classifier: {classifier}" for classifier in table["classifiers"]]
    for extra, requirements in table["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for requirement in requirements:
            name, semicolon, marker = requirement.partition(";")
            condition = f"({marker.strip()}) and " if semicolon else ""
            lines.append(f'Requires-Dist: {name}; {condition}extra == "{extra}"')
    lines += ["Description-Content-Type: text/markdown", "", ROOT.joinpath(table["readme"]).read_text()]
    return "\n".join(lines).encode()


def below(name: str) -> Iterator[Path]:
    """The files of a file or directory of the project, without what is made from them."""
    path = ROOT / name
    if path.is_dir() and not path.is_symlink():
        for entry in sorted(path.iterdir()):
            if entry.name != "__pycache__" and not entry.name.startswith("."):
                yield from below(f"{name}/{entry.name}")
    elif path.exists():
        yield path


def package() -> Files:
    """What goes into site-packages."""
    paths = [path for path in below("pymodutils") if path.suffix == ".py" or path.name == "py.typed"]
    return {str(path.relative_to(ROOT)): (path.read_bytes(), 0o644) for path in paths}


def beside() -> Files:
    """What goes elsewhere: the commands and the manual, where `man` looks for the pages of commands in PATH."""
    command = ROOT.joinpath("python-build/command").read_bytes()
    files = {f"{stem()}.data/scripts/{name}": (command, 0o755) for name in COMMANDS}
    for page in below("man"):
        files[f"{stem()}.data/data/share/man/man{page.suffix[1:]}/{page.name}"] = (page.read_bytes(), 0o644)
    return files


def write_wheel(directory: str, files: Files) -> str:
    """Add what every wheel must have, and write it; its name."""
    info = f"{stem()}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: pymodutils\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = files | {
        f"{info}/LICENSE": (ROOT.joinpath("LICENSE").read_bytes(), 0o644),
        f"{info}/METADATA": (metadata(), 0o644),
        f"{info}/WHEEL": (tags.encode(), 0o644),
    }
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, (data, _) in sorted(files.items()))
    files[f"{info}/RECORD"] = (f"{record}{info}/RECORD,,\n".encode(), 0o644)
    name = f"{stem()}-py3-none-any.whl"
    with zipfile.ZipFile(Path(directory, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, (data, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(path, time.gmtime(EPOCH)[:6])
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return name


def digest(data: bytes) -> str:
    """A checksum as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


# --- called by pip


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    """Write the wheel; its name."""
    return write_wheel(wheel_directory, package() | beside())


def build_editable(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    """Write a wheel that leads to this checkout; its name. The commands to use with it are in bin/."""
    return write_wheel(wheel_directory, {f"{project()['name']}.pth": (f"{ROOT}\n".encode(), 0o644)})


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Write the source archive; its name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "PKG-INFO", metadata(), 0o644)
        for path in (path for name in SOURCES for path in below(name)):
            name = str(path.relative_to(ROOT))
            if path.is_symlink():
                add(archive, name, b"", 0o777, os.readlink(path))
            else:
                add(archive, name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
    name = f"{stem()}.tar.gz"
    Path(sdist_directory, name).write_bytes(gzip.compress(content.getvalue(), mtime=EPOCH))
    return name


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int, link: str = "") -> None:
    """Put one file into the source archive."""
    entry = tarfile.TarInfo(f"{stem()}/{name}")
    entry.size, entry.mode, entry.mtime = len(data), mode, EPOCH
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    archive.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for build in (build_wheel, build_sdist):
        print(Path(sys.argv[1], build(sys.argv[1])))
