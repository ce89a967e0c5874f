#!/usr/bin/env python3
"""The rules of the house that a compiler decides, by syntax-only compilation, two at a time.

compile_check.py headers BUILD_DIR    every public header stands alone, under g++ and clang++-14; the C interface also as C
compile_check.py clang BUILD_DIR      every source of src/ that does not include Halide is clean under clang++-14 -Wall -Wextra -Wshadow
    [PART PARTS]                      only one of so many parts of the files

What passed once is remembered in BUILD_DIR/house by the hash of everything of this tree that it includes, and of the command.
Exit status 77 with `[SKIP] reason` where there is no clang++-14.
"""
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from source_tree import SourceTree

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wno-missing-field-initializers", "-Werror", "-fsyntax-only"]
CLANG = "clang++-14"
CXX20 = ["-x", "c++", "-std=c++20"]


def header_checks(tree):
    """(file, command) of every header and compiler."""
    compilers = [["g++", *CXX20]] + ([[CLANG, *CXX20]] if shutil.which(CLANG) else [])
    for path in (p for p in tree.cxx("include") if p.suffix == ".h"):
        plain_c = 'extern "C"' in tree.text(path) and "namespace" not in tree.code(path)
        for compiler in compilers + ([["gcc", "-x", "c", "-std=c99", "-pedantic"]] if plain_c else []):
            # Compiled through -include, or the header would be a main file and its #pragma once a warning.
            yield path, [*compiler, *WARNINGS, "-I", str(tree.root / "include"), "-include", str(tree.root / path), os.devnull]


def compiled_sources(build):
    """(source, command) of the build; a unity file stands for the sources that it includes, each of which must compile alone."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["file"])
        if source.parent.name != "Unity":
            yield source, entry["command"]
            continue
        for included in re.findall(r'#include "(.*)"', source.read_text()):
            yield Path(included), entry["command"]


def clang_checks(tree, build):
    for source, command in compiled_sources(build):
        if not source.is_relative_to(tree.root / "src") or source.suffix != ".cpp":
            continue
        path = source.relative_to(tree.root)
        if any("Halide" in i.path for f in tree.closure(path) for i in tree.includes(f)):
            continue
        words = shlex.split(command)
        kept = [w for i, w in enumerate(words) if w.startswith(("-I", "-D")) or (i and words[i - 1] == "-isystem") or w == "-isystem"]
        yield path, [CLANG, *CXX20, *WARNINGS, *kept, str(source)]


def key(tree, path, command):
    digest = hashlib.sha256(shlex.join(command).encode())
    for used in sorted(tree.closure(path)):
        digest.update(f"{used}\0".encode() + (tree.root / used).read_bytes())
    return digest.hexdigest()


def main():
    what, build = sys.argv[1], Path(sys.argv[2])
    tree = SourceTree(Path(__file__).parents[2])
    if not shutil.which(CLANG) and what == "clang":
        print(f"[SKIP] {CLANG} is not installed")
        return 77
    passed = build / "house"
    passed.mkdir(exist_ok=True)

    def problem_of(check):
        path, command = check
        stamp = passed / key(tree, path, command)
        if stamp.exists():
            return None
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode == 0:
            stamp.touch()
            return None
        return f"{path}: {command[0]}\n{run.stderr}"

    part, parts = (int(word) for word in sys.argv[3:5]) if len(sys.argv) > 3 else (0, 1)
    checks = list(header_checks(tree) if what == "headers" else clang_checks(tree, build))[part::parts]
    with ThreadPoolExecutor(2) as pool:
        problems = [p for p in pool.map(problem_of, checks) if p]
    print("\n".join(problems))
    print(f"{len(checks)} checked, {len(problems)} with problems")
    return 1 if problems or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
