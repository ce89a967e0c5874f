#!/usr/bin/env python3
"""tessera-tune as a user runs it: tune_commands.py TESSERA_TUNE GENERATOR MODELS. Good and bad input, from generators that crash to a database that is damaged."""
import ctypes
import json
import lzma
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TUNE, GENERATOR, MODELS = sys.argv[1], sys.argv[2], Path(sys.argv[3])
SIZES = ["--extent", "y=64", "--extent", "x=96"]


def run(*words):
    return subprocess.run([TUNE, *map(str, words)], capture_output=True, text=True, timeout=120)


class Commands(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def script(self, text):
        path = self.folder / "bad.generator"
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(0o755)
        return path

    def refused(self, code, words, *parts):
        result = run(*words)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(code, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)

    def tuned(self, *more):
        db = self.folder / "team.db"
        result = run("run", GENERATOR, *SIZES, "--trials", 3, "--rounds", 5, "--threads", 1, "--strategy", "random", "--db", db, *more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return db


class Gpus(Commands):
    def test_have_a_space_and_are_needed_to_search_it(self):
        space = run("space", GENERATOR, *SIZES, "--target", "cuda-sm_90a")
        self.assertEqual(space.returncode, 0, space.stderr)
        self.assertIn("blur.columns = ", space.stdout)
        try:
            ctypes.CDLL("libcuda.so.1")
            self.skipTest("this machine has a CUDA driver")
        except OSError:
            pass
        journal = self.folder / "blur.journal"
        self.refused("E0803", ["run", GENERATOR, *SIZES, "--target", "cuda-sm_90a", "--journal", journal], "libcuda.so.1", "NVIDIA GPU")
        self.assertFalse(journal.exists(), "no session is begun")
        self.refused("E0803", ["measure", GENERATOR, *SIZES, "--target", "cuda-sm_90a"], "libcuda.so.1")


class Generators(Commands):
    def test_that_crash_or_print_garbage(self):
        self.refused("E0804", ["space", self.folder / "none.generator"], "cannot be run")
        self.refused("E0804", ["space", self.script("kill -SEGV $$")], "signal 11")
        self.refused("E0804", ["space", self.script("exit 3")], "status 3")
        for garbage in ["hello", '{"tessera_generator":1}', '{"tessera_generator":1,"generators":7}', "[]", '{"tessera_generator":1,"generators":[{"name":"x"}]}',
                        '{"tessera_generator":1,"generators":[{"name":"x","params":[],"algorithm":{"text":"nonsense"}}]}']:
            self.refused("E0601", ["space", self.script(f"printf '%s' '{garbage}'")])
        self.refused("E0604", ["space", self.script("exec head -c 40000000 /dev/zero")], "16 MiB")

    def test_with_constraints_that_leave_nothing(self):
        impossible = "blur.x.vector == 7"
        self.refused("E0805", ["space", GENERATOR, *SIZES, "--constraint", impossible], impossible, "empties")
        self.refused("E0805", ["space", GENERATOR, *SIZES, "--constraint", "blur.x.vectr == 8"], "does not exist")
        self.refused("E0511", ["space", GENERATOR, *SIZES, "--constraint", "blur.x.vector =="])

    def test_without_a_size(self):
        self.refused("E0805", ["run", GENERATOR, "--journal", self.folder / "a.journal"])
        self.refused("E0805", ["run", GENERATOR, "--extent", "y=zero", "--journal", self.folder / "b.journal"])


class Databases(Commands):
    def test_from_tuning_to_a_build(self):
        db = self.tuned()
        self.assertIn("decided", run("status", "--db", db).stdout)
        best = json.loads(run("best", "--db", db, "--json").stdout.splitlines()[0])
        self.assertEqual(best["generator"], "blur")
        explained = run("explain", GENERATOR, "--db", db, "--require", "nearest", "-o", self.folder / "s.json")
        self.assertEqual(explained.returncode, 0, explained.stderr)
        self.assertIn("answers:", explained.stdout)
        self.assertEqual(run("diff", self.folder / "s.json", self.folder / "s.json").returncode, 0)
        built = subprocess.run([GENERATOR, "-o", self.folder / "out", "--schedule-db", db, "--require", "nearest"], capture_output=True, text=True)
        self.assertEqual(built.returncode, 0, built.stderr)
        chosen = json.loads((self.folder / "out" / "blur.json").read_text())["functions"][0]["schedule"]
        self.assertIn(chosen["tier"], ["exact", "shape"])
        stated = re.search(r"Schedule: database team.db, \w+, ([0-9a-f]{12})", (self.folder / "out" / "blur.h").read_text()).group(1)
        self.assertEqual(stated, best["schedule"][:12])
        shown = run("show", stated, "--db", db)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("schedule " + chosen["hash"], shown.stdout)
        self.assertIn("the winner", shown.stdout)
        self.refused("E0805", ["show", "0000000000", "--db", db], "has no schedule 0000000000")
        self.refused("E0805", ["show", "xyz", "--db", db], "no beginning of a hash")
        lock = self.folder / "tessera.lock"
        self.assertEqual(run("lock", GENERATOR, "--db", db, "-o", lock).returncode, 0)
        first = lock.read_text()
        self.assertEqual(run("lock", GENERATOR, "--db", db, "-o", lock).returncode, 0)
        self.assertEqual(first, lock.read_text())
        frozen = subprocess.run([GENERATOR, "-o", self.folder / "out", "--lock", lock, "--frozen"], capture_output=True, text=True)
        self.assertEqual(frozen.returncode, 0, frozen.stderr)
        report = self.folder / "r.html"
        session = run("status", "--db", db).stdout.split(":")[0]
        self.assertEqual(run("report", session, "--db", db, "-o", report).returncode, 0)
        for part in ["<svg", "Roofline", "Decisions", "The ten fastest"]:
            self.assertIn(part, report.read_text())
        again = run("revalidate", GENERATOR, *SIZES, "--db", db, "--rounds", 5, "--threads", 1)
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)

    def test_are_shared_as_lines(self):
        db, other, lines = self.tuned(), self.folder / "other.db", self.folder / "lines"
        self.assertEqual(run("db", "check", db).returncode, 0)
        self.assertEqual(run("db", "export", db, lines).returncode, 0)
        self.assertIn("3 trial", run("db", "import", other, lines).stdout)
        self.assertIn("nothing", run("db", "import", other, lines).stdout)
        self.assertIn("nothing", run("db", "merge", other, db).stdout)
        self.assertEqual(run("best", "--db", db).stdout, run("best", "--db", other).stdout)
        self.assertIn("1 session", run("db", "stats", other).stdout)
        self.assertEqual(run("db", "gc", other, "--keep", 1).returncode, 0)
        self.assertEqual(run("db", "migrate", other).returncode, 0)
        (lines / "hostile.jsonl").write_text('{"table":"trial","id":"x","row":{}}\n')
        self.refused("E0601", ["db", "import", other, lines], "hostile.jsonl:1", "nothing was imported")

    def test_that_are_damaged_or_missing(self):
        db = self.folder / "a.db"
        self.assertEqual(run("db", "init", db).returncode, 0)
        self.assertEqual(run("db", "check", db).returncode, 0)
        self.assertIn("already", run("db", "init", db).stdout)
        db.write_bytes(b"garbage" * 1000)
        for words in (["db", "check", db], ["best", "--db", db], ["run", GENERATOR, *SIZES, "--db", db], ["db", "stats", db]):
            self.refused("E0601", words, "damaged")
        self.refused("E0605", ["best", "--db", self.folder / "none.db"], "db init")
        self.refused("E0805", ["lock", GENERATOR, "--db", self.empty(), "-o", self.folder / "l"], "no near schedule")
        self.assertFalse((self.folder / "l").exists())

    def empty(self):
        db = self.folder / "empty.db"
        run("db", "init", db)
        return db

    def test_keep_what_a_killed_session_measured(self):
        db = self.folder / "team.db"
        words = ["run", GENERATOR, *SIZES, "--trials", 4, "--rounds", 5, "--threads", 1, "--strategy", "random", "--db", db, "--json"]
        child = subprocess.Popen([TUNE, *map(str, words)], stdout=subprocess.PIPE, text=True)
        events = [json.loads(child.stdout.readline()) for _ in range(2)]
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        self.assertEqual(events[1]["trial"], 1)
        session = run("status", "--db", db).stdout.split(":")[0]
        resumed = run("resume", session, "--db", db, "--json")
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        rows = [json.loads(line) for line in resumed.stdout.splitlines()]
        self.assertEqual([r["recalled"] for r in rows if r["event"] == "trial"][:2], [True, True])
        self.assertEqual(rows[-1]["event"], "finished")
        self.assertIn("4 trials", run("status", "--db", db).stdout)


class RandomPipelines(Commands):
    def test_are_of_every_family_and_the_same_every_time(self):
        shown = run("record", "--show", "--pipelines", 60)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        families = {line.split()[1] for line in shown.stdout.splitlines() if line.startswith("# ")}
        self.assertEqual(families, {"stencils", "rows", "products", "pyramid", "convolution", "pointwise", "reductions", "attention"})
        self.assertEqual(run("record", "--show", "--pipelines", 60).stdout, shown.stdout)

    def test_are_recorded_where_they_were_left(self):
        db = self.folder / "train.db"
        line = ["record", "--db", db, "--trials", 3, "--compile-seconds", 30]
        self.assertIn("0 trials", run(*line, "--pipelines", 1, "--phase", "compile").stdout)
        self.assertIn("2 trials in 1 sessions", run(*line, "--pipelines", 1, "--shapes", 1, "--phase", "measure").stdout)
        for pipelines in (1, 2, 2):  # the first at two sizes; the second has one
            self.assertEqual(run(*line, "--pipelines", pipelines).returncode, 0)
            self.assertEqual(run("status", "--db", db).stdout.count("3 trials"), 1 + pipelines)
        self.assertIn("stopped", run(*line, "--first", 9, "--pipelines", 9, "--seconds", 0.01).stdout)
        self.refused("E0805", ["model", "train", "--db", db], "too few")


class ShippedModel(Commands):
    def test_is_of_the_recorded_trials(self):
        model = MODELS / "cost_model.json"
        self.assertLessEqual(model.stat().st_size, 1 << 20)
        trained = json.loads(model.read_text())["trained"]
        lines = MODELS / "random_pipelines.jsonl.xz"
        self.assertLessEqual(lines.stat().st_size, 5 << 20)
        with lzma.open(lines, "rt") as file:
            trials = [row["row"] for row in map(json.loads, file) if row["table"] == "trial"]
        self.assertGreaterEqual(trained["trials"], 5000)
        self.assertEqual(trained["trials"], sum(t["status"] == "ok" for t in trials))
        self.assertEqual(trained["sessions"], len({t["session"] for t in trials}))
        self.assertGreater(trained["pairwise"], 0.8)
        self.assertGreater(trained["best_of_top10"], 0.93)
        shown = run("model", "show")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(f"trained on {trained['trials']} trials", shown.stdout)
        self.assertIn(trained["set"][:12], run("doctor").stdout)

    def test_is_what_a_session_begins_with(self):
        journal = self.folder / "a.journal"
        line = ["run", GENERATOR, *SIZES, "--trials", 2, "--rounds", 5, "--threads", 1, "--strategy", "random", "--journal"]
        self.assertEqual(run(*line, journal).returncode, 0)
        header = json.loads(journal.read_text().splitlines()[0])
        header = header["session"]
        self.assertIn(header["shipped_model"], (MODELS / "cost_model.json").read_text())
        self.assertEqual(run("resume", journal).returncode, 0)
        other = self.folder / "b.journal"
        other.write_text(journal.read_text().replace(header["shipped_model"], "0" * 64))
        self.refused("E0805", ["resume", other], "is not the one that is here")
        plain = self.folder / "c.journal"
        self.assertEqual(run(*line, plain, "--model", "none").returncode, 0)
        self.assertNotIn("shipped_model", plain.read_text())


class Shell(Commands):
    def test_completion(self):
        script = self.folder / "completion"
        script.write_text(run("completion", "bash").stdout)
        probe = f"source {script}; COMP_WORDS=(tessera-tune db ex); COMP_CWORD=2; _tessera_tune; echo ${{COMPREPLY[@]}}; " \
                "COMP_WORDS=(tessera-tune run --tri); COMP_CWORD=2; _tessera_tune; echo ${COMPREPLY[@]}"
        said = subprocess.run(["bash", "-c", probe], capture_output=True, text=True)
        self.assertEqual(said.stdout.split(), ["export", "--trials"], said.stderr)

    def test_every_subcommand_has_help(self):
        words = [line.split()[0] for line in run("--help").stdout.split("Subcommands:")[1].splitlines() if line.startswith("  ") and line[2] != " "]
        for word in words:
            if word in ("tessera-tune", "matmul.generator"):
                continue
            self.assertEqual(run(word, "--help").returncode, 0, word)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
