#!/usr/bin/env python3
"""Every rule of rules.py finds the break that is planted for it in a small tree, and nothing in the tree without it."""
import tempfile
import unittest
from pathlib import Path

import rules
from source_tree import SourceTree

GOOD = {
    "src/layers.cmake": 'set(TESSERA_ROOMS\n  "base:"\n  "types:base"\n  "backend/cpu:base types"\n)\n',
    "src/CMakeLists.txt": "tessera_room(base SOURCES hash.cpp text.cpp)\ntessera_room(types SOURCES dtype.cpp)\n",
    "src/base/hash.h": "#pragma once\nint hash();\n",
    "src/base/hash.cpp": '#include "base/hash.h"\n#include <vector>\n// The state is one word.\nint hash() { return 1; }\n',
    "src/base/text.cpp": '#include "base/hash.h"\nconst char* text = "a string may say now and fixed";\n',
    "src/types/dtype.cpp": '#include "base/hash.h"\nint* data();\n',
    "include/tessera/dim.h": "#pragma once\n#include <cstdint>\n",
    "apps/blur/blur.cpp": "#include <tessera/dim.h>\n",
}
# rule -> (file, its text, what the finding says)
BREAKS = {
    "arrows": [("src/base/hash.h", '#pragma once\n#include "types/dtype.h"\n', "not a header of src"),
               ("src/base/hash.cpp", '#include "types/dim_text.h"\n', "room base may not include types"),
               ("src/odd/hash.cpp", "\n", "not a room"),
               ("src/layers.cmake", '"base:types"\n"types:base"\n"backend/cpu:"\n', "must stand before")],
    "comments": [("src/base/hash.cpp", "int x; // this is now faster\n", "'now'"),
                 ("src/base/hash.cpp", "/* a\n   TODO later */\n", "hash.cpp:2"),
                 ("src/layers.cmake", '# see issue 12\n"base:"\n', "issue 12")],
    "file_lists": [("src/base/unlisted.cpp", "\n", "in no CMakeLists"),
                   ("src/CMakeLists.txt", "tessera_room(base SOURCES text.cpp hash.cpp)\ntessera_room(types SOURCES dtype.cpp)\n", "not sorted"),
                   ("src/CMakeLists.txt", "tessera_room(base SOURCES gone.cpp hash.cpp text.cpp)\ntessera_room(types SOURCES dtype.cpp)\n",
                    "gone.cpp does not exist")],
    "file_names": [("src/types/hash.cpp", "\n", "has the name of")],
    "halide_place": [("src/types/dtype.cpp", "#include <Halide.h>\n", "only src/backend/cpu")],
    "header_form": [("src/base/hash.h", "int hash();\n", "no #pragma once"),
                    ("src/base/hash.h", "#pragma once\nusing namespace std;\n", "using namespace")],
    "length": [("src/base/hash.cpp", "\n" * 601, "split it by concept")],
    "names": [("src/base/string_utils.h", "#pragma once\n", "'utils'"), ("src/base/hash.cpp", "struct TensorInfo {\n};\n", "'info'"),
              ("src/base/hash.cpp", "std::vector<int> process_rows(int n);\n", "'process'"), ("tools/x.py", "def do_it():\n    pass\n", "'do'")],
    "op_switch": [("src/types/dtype.cpp", "int f(Op op) {\n    switch (op) {\n", "dtype.cpp:2")],
    "places": [("README.md", "see /ro" "ot/tree/x\n", "belongs to a machine")],
    "public_headers": [("include/tessera/dim.h", "#pragma once\n#include <fmt/format.h>\n", "standard library"),
                       ("include/tessera/dim.h", "#pragma once\n#include <tessera/gone.h>\n", "does not exist")],
    "public_only": [("apps/blur/blur.cpp", '#include "../../src/base/hash.h"\n', "only <tessera/...>"),
                    ("apps/blur/blur.cpp", '#include "base/hash.h"\n', "only <tessera/...>")],
    "sqlite_place": [("src/types/dtype.cpp", "#include <sqlite3.h>\n", "only src/schedule_db")],
    "thrown": [("src/base/hash.cpp", 'void f() { throw std::runtime_error("x"); }\n', "throw Error")],
}


def findings(rule, changes):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {**GOOD, **{file: text for file, text in changes}}.items():
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if any("types/dim_text.h" in text for _, text in changes):
            (Path(root) / "src/types/dim_text.h").write_text("#pragma once\n")
        return list(getattr(rules, rule)(SourceTree(root)))


class Rules(unittest.TestCase):
    def test_every_rule_has_a_break(self):
        self.assertEqual({r.__name__ for r in rules.RULES}, set(BREAKS))

    def test_clean_tree_has_no_findings(self):
        for rule in BREAKS:
            self.assertEqual(findings(rule, []), [], rule)

    def test_breaks_are_found(self):
        for rule, breaks in BREAKS.items():
            for file, text, message in breaks:
                with self.subTest(rule=rule, file=file, message=message):
                    self.assertTrue(any(message in found for found in findings(rule, [(file, text)])), findings(rule, [(file, text)]))

    def test_too_many_files_with_halide(self):
        many = [(f"src/backend/cpu/part{i}.cpp", "#include <Halide.h>\n") for i in range(rules.HALIDE_FILES + 1)]
        self.assertEqual(len(findings("halide_place", many)), 1)
        self.assertEqual(findings("halide_place", many[1:]), [])


if __name__ == "__main__":
    unittest.main()
