"""What the house tests read: the tree's own files, their comments, includes, the arrows and the file lists of CMake."""
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

CXX = {".cpp", ".h", ".c", ".cu", ".cuh"}
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


@dataclass(frozen=True)
class Include:
    line: int
    quoted: bool
    path: str


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class SourceTree:
    def __init__(self, root):
        self.root = Path(root).resolve()
        self.texts = {}
        self.files = self._tracked() if (self.root / ".git").exists() else self._walked()

    def _tracked(self):
        listing = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=self.root, check=True, capture_output=True)
        return sorted(p for p in map(Path, filter(None, listing.stdout.decode().split("\0"))) if (self.root / p).is_file())

    def _walked(self):
        return sorted(p.relative_to(self.root) for p in self.root.rglob("*")
                      if p.is_file() and not p.relative_to(self.root).parts[0].startswith(("build", ".deps")))

    def under(self, *tops):
        return [p for p in self.files if p.parts[0] in tops]

    def cxx(self, *tops):
        return [p for p in (self.under(*tops) if tops else self.files) if p.suffix in CXX]

    def text(self, path):
        if path not in self.texts:
            self.texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self.texts[path]

    def is_text(self, path):
        return b"\0" not in (self.root / path).read_bytes()[:4096]

    def code(self, path):
        """The text with comments and string contents blanked, line numbers kept."""
        return TOKEN.sub(lambda m: '""' if m[0][0] in "\"R'" and "\n" not in m[0] else "\n" * m[0].count("\n"), self.text(path))

    def comments(self, path):
        """(line, text) of every comment line."""
        text = self.text(path)
        if path.suffix in CXX or path.suffix == ".def":
            for m in TOKEN.finditer(text):
                if m[0].startswith(("//", "/*")):
                    first = line_of(text, m.start())
                    yield from ((first + i, line) for i, line in enumerate(m[0].split("\n")))
        else:
            for number, line in enumerate(text.split("\n"), 1):
                m = re.search(r"(?:^|\s)#\s(.*)", line)
                if m:
                    yield number, m[1]

    def includes(self, path):
        text = self.text(path)
        return [Include(line_of(text, m.start()), m[1] == '"', m[2]) for m in INCLUDE.finditer(text)]

    def resolve(self, path, include):
        """The file of this tree that an include means, or None (a standard or third-party header)."""
        bases = [path.parent, Path("src"), Path("test")] if include.quoted else [Path("include")]
        for base in bases:
            candidate = Path(os.path.normpath(base / include.path))
            if (self.root / candidate).is_file():
                return candidate
        return None

    def closure(self, path):
        """The file and every file of this tree that it includes, at any depth."""
        seen, todo = set(), [path]
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            todo += filter(None, (self.resolve(at, i) for i in self.includes(at)))
        return seen

    def rooms(self):
        """room -> rooms it may include, from src/layers.cmake."""
        rows = re.findall(r'"([\w/]+):([\w/ ]*)"', self.text(Path("src/layers.cmake")))
        return {room: uses.split() for room, uses in rows}

    def room_of(self, path, rooms):
        inside = "/".join(path.parts[1:-1])
        fitting = [room for room in rooms if inside == room or inside.startswith(room + "/")]
        return max(fitting, key=len, default=None)

    def source_lists(self):
        """(CMake file, line, sources) of every run of .cpp and .c names in a CMake command."""
        for listing in (p for p in self.files if p.name == "CMakeLists.txt"):
            text = re.sub(r"#[^\n]*", "", self.text(listing))
            for m in re.finditer(r"(\w+)\s*\(([^()]*)\)", text):
                words = m[2].split()
                base = Path("src") / words[0] if m[1] == "tessera_room" else listing.parent
                run = []
                for word in words + [""]:
                    if re.fullmatch(r"[\w./-]+\.(cpp|c)", word):
                        run.append(base / word)
                    elif run:
                        yield listing, line_of(text, m.start()), run
                        run = []
