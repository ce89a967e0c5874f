#!/usr/bin/env python3
"""The rules of the house that reading the sources decides. rules.py RULE [ROOT]: prints `file:line: what`, fails if there is any."""
import re
import sys
from collections import defaultdict
from pathlib import Path

from source_tree import SourceTree, line_of

LINE_LIMIT = 600
LINE_AIM = 500
HALIDE_FILES = 6
# Files whose length is their nature: one row per thing.
LONG_BY_NATURE = {"op_table.cpp"}
# Words that say nothing, as a part of a name; and those that say nothing only as its first part.
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "manager", "handler", "common", "misc", "data", "info", "v2", "final", "improved"}
EMPTY_FIRST_WORDS = {"process", "do", "my", "new"}
# Members that mirror the standard library or DLPack.
MIRRORED = {"data"}
HISTORY = re.compile(
    r"(?<!::)\bnow\b(?!\(\))|\b(previously|formerly|refactored|todo|fixme|xxx|hack)\b|\bused to be\b"
    r"|\b(was|been|bug|got) ?fixed\b|\bbug ?fix(es)?\b|\bfixed (a|the|this|that|it|bug)\b"
    r"|\b(old|older|earlier|previous|original|new) (version|implementation|code|approach|way) (of|was|is)\b"
    r"|\b(issue|pr|task|ticket) #?\d+|(?<!\w)#\d+\b", re.I)
PLACES = re.compile(
    r"(?<![\w.}*])/(work|root|home)/\w|\bpyp" r"i\.org|python" r"hosted|deb\.deb" r"ian\.org|\bCE" r"O\b|\bwork" r"place\b|\bthis ses" r"sion\b|\bag" r"ents?\b")


def arrows(tree):
    """Includes follow src/layers.cmake, and layers.cmake has no cycle."""
    rooms = tree.rooms()
    order = list(rooms)
    for room, uses in rooms.items():
        for used in uses:
            if used not in rooms:
                yield f"src/layers.cmake:1: {room} uses {used}, which has no row"
            elif order.index(used) >= order.index(room):
                yield f"src/layers.cmake:1: {room} uses {used}, which must stand before it"
    for path in tree.cxx("src"):
        room = tree.room_of(path, rooms)
        if room is None:
            yield f"{path}:1: its folder is not a room of src/layers.cmake"
            continue
        for include in tree.includes(path):
            if not include.quoted:
                continue
            if not (tree.root / "src" / include.path).is_file():
                yield f"{path}:{include.line}: \"{include.path}\" is not a header of src/ (write the path from src/)"
                continue
            other = tree.room_of(Path("src") / include.path, rooms)
            if other != room and other not in rooms[room]:
                yield f"{path}:{include.line}: room {room} may not include {other} (\"{include.path}\")"


def public_only(tree):
    """apps, generators and autotune see Tessera through <tessera/...> alone."""
    for path in tree.cxx("apps", "generators", "autotune"):
        for include in tree.includes(path):
            found = tree.resolve(path, include)
            if found and found.parts[0] != path.parts[0] and found.parts[:2] != ("include", "tessera"):
                yield f"{path}:{include.line}: includes {found}; only <tessera/...> is open to it"


def public_headers(tree):
    """Public headers include <tessera/...> and the standard library."""
    c_headers = {"stdint.h", "stddef.h", "stdbool.h"}
    for path in tree.cxx("include"):
        for include in tree.includes(path):
            if include.path.startswith("tessera/"):
                if tree.resolve(path, include) is None and not include.quoted:
                    yield f"{path}:{include.line}: <{include.path}> does not exist"
            elif include.quoted or "/" in include.path or ("." in include.path and include.path not in c_headers):
                yield f"{path}:{include.line}: <{include.path}> is neither Tessera's nor the standard library's"


def header_form(tree):
    """#pragma once, and no `using namespace` for everyone who includes the header."""
    for path in (p for p in tree.cxx() if p.suffix in {".h", ".cuh"}):
        if not re.search(r"^#pragma once|^#ifndef \w+", tree.text(path), re.M):
            yield f"{path}:1: no #pragma once"
        for m in re.finditer(r"^\s*using namespace (?!std::literals)", tree.code(path), re.M):
            yield f"{path}:{line_of(tree.code(path), m.end())}: using namespace in a header"


def halide_place(tree):
    """Halide is seen by few files of src/backend/cpu only."""
    users = [(p, i) for p in tree.cxx("src", "include", "generators", "autotune") for i in tree.includes(p) if "Halide" in i.path]
    for path, include in users:
        if path.parts[:3] != ("src", "backend", "cpu"):
            yield f"{path}:{include.line}: only src/backend/cpu includes Halide"
    slow = sorted({p for p in tree.cxx("src") if p.suffix == ".cpp"
                   and any("Halide.h" in i.path for f in tree.closure(p) for i in tree.includes(f))})
    if len(slow) > HALIDE_FILES:
        yield f"{slow[-1]}:1: {len(slow)} sources include Halide.h; {HALIDE_FILES} is the limit, they compile slowly"


def sqlite_place(tree):
    """SQLite is seen by src/schedule_db only."""
    for path in tree.cxx("src", "include", "generators", "apps"):
        for include in tree.includes(path):
            if "sqlite3" in include.path and path.parts[:2] != ("src", "schedule_db"):
                yield f"{path}:{include.line}: only src/schedule_db includes SQLite"


def file_lists(tree):
    """Every source is in a sorted CMake list, and every listed source is there."""
    listed = set()
    for listing, line, sources in tree.source_lists():
        listed.update(sources)
        if sources != sorted(sources, key=str):
            yield f"{listing}:{line}: not sorted: {' '.join(p.name for p in sources)}"
        for source in sources:
            if not (tree.root / source).is_file():
                yield f"{listing}:{line}: {source} does not exist"
    for path in tree.files:
        if path.parts[0] in {"src", "test"} and path.suffix in {".cpp", ".c"} and path not in listed:
            yield f"{path}:1: in no CMakeLists.txt"


def file_names(tree):
    """One concept, one name in the whole tree."""
    seen = defaultdict(list)
    for path in tree.files:
        if path.suffix in {".cpp", ".h", ".c", ".cu", ".cuh", ".py"} and path.name != "__init__.py":
            seen[path.name].append(path)
    for paths in seen.values():
        if len(paths) > 1:
            yield f"{paths[1]}:1: has the name of {paths[0]}"


def empty_word(name):
    """The word of `name` that says nothing, or None."""
    if name in MIRRORED:
        return None
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+", name)]
    if words and words[0] in EMPTY_FIRST_WORDS:
        return words[0]
    return next((w for w in words if w in EMPTY_WORDS), None)


def declared_names(code):
    """(offset, name) of the types and functions that C++ code declares."""
    yield from ((m.start(1), m[1]) for m in re.finditer(r"\b(?:class|struct|union|enum(?: class)?|concept)\s+(\w+)\s*[{:;=]", code))
    yield from ((m.start(1), m[1]) for m in re.finditer(r"\busing\s+(\w+)\s*=", code))
    function = r"^[ \t]*(?:\[\[\w+\]\]\s*)?(?!return\b|throw\b|else\b|case\b|delete\b|new\b|co_)(?:[\w:<>,&*]+\s+)+[&*]*(?:\w+::)*(\w+)\("
    yield from ((m.start(1), m[1]) for m in re.finditer(function, code, re.M))


def names(tree):
    """File, type and function names without empty words."""
    for path in tree.files:
        word = empty_word(path.stem) if path.suffix in {".cpp", ".h", ".c", ".cu", ".cuh", ".py"} else None
        if word:
            yield f"{path}:1: '{word}' in a file name says nothing"
        found = []
        if path.suffix in {".cpp", ".h", ".c", ".cu", ".cuh"}:
            found = list(declared_names(tree.code(path)))
        elif path.suffix == ".py":
            found = [(m.start(1), m[1]) for m in re.finditer(r"^\s*(?:def|class)\s+(\w+)", tree.text(path), re.M)]
        text = tree.code(path) if path.suffix != ".py" else tree.text(path)
        for offset, name in found:
            word = empty_word(name)
            if word:
                yield f"{path}:{line_of(text, offset)}: '{word}' in the name {name} says nothing"


def length(tree):
    """Files stay short enough to read."""
    for path in tree.files:
        if path.suffix in {".cpp", ".h", ".c", ".cu", ".cuh", ".py"} and path.name not in LONG_BY_NATURE:
            lines = tree.text(path).count("\n")
            if lines > LINE_LIMIT:
                yield f"{path}:{lines}: {lines} lines; {LINE_LIMIT} is the limit, split it by concept"
            elif lines > LINE_AIM:
                print(f"note: {path} has {lines} lines; aim under {LINE_AIM}")


def comments(tree):
    """Comments speak of the code as it is."""
    for path in tree.files:
        scripted = path.suffix in {".py", ".cmake"} or path.name == "CMakeLists.txt" or path.parts[0] == "scripts"
        if path.suffix not in {".cpp", ".h", ".c", ".cu", ".cuh", ".def"} and not scripted:
            continue
        if path.parts[:2] == ("test", "house"):
            continue
        for line, text in tree.comments(path):
            m = HISTORY.search(text)
            if m:
                yield f"{path}:{line}: '{m[0]}' in a comment tells history or work to do"


def places(tree):
    """No path of one machine, no word about where the work was done."""
    for path in tree.files:
        if tree.is_text(path) and path.name != "LICENSE":
            text = tree.text(path)
            for m in PLACES.finditer(text):
                yield f"{path}:{line_of(text, m.start())}: '{m[0]}' belongs to a machine or a workshop, not to the project"


def op_switch(tree):
    """The op table is the only list of scalar ops."""
    for path in tree.cxx("src"):
        if path.parts[1] == "expr" or path.parts[:3] == ("src", "backend", "interpreter"):
            continue
        code = tree.code(path)
        for m in re.finditer(r"\bswitch \([^)]*\bop(?:\(\))?\)", code):
            yield f"{path}:{line_of(code, m.start())}: a switch over scalar ops outside src/expr and the interpreter"


def thrown(tree):
    """What the library throws is an Error, a Limit or a Bug with a code."""
    for path in tree.cxx("src", "include", "generators"):
        code = tree.code(path)
        for m in re.finditer(r"\bthrow std::", code):
            yield f"{path}:{line_of(code, m.start())}: throws something of std; throw Error, Limit or Bug"


RULES = [arrows, comments, file_lists, file_names, halide_place, header_form, length, names, op_switch, places, public_headers,
         public_only, sqlite_place, thrown]


def main():
    rule = next(r for r in RULES if r.__name__ == sys.argv[1])
    tree = SourceTree(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[2])
    found = list(rule(tree))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
