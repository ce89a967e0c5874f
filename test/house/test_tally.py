#!/usr/bin/env python3
"""tally.py counts single tests, believes crashes rather than reports, and tells skips from tests that could not start."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TALLY = Path(__file__).parents[1] / "tally.py"
REPORT = """<testsuites><testsuite name="S">
<testcase name="good" status="run" classname="S"/>
<testcase name="bad" status="run" classname="S"><failure message="x"/></testcase>
<testcase name="later" status="run" classname="S"><skipped message="a.cpp:3&#x0A;no AVX-512 here"/></testcase>
</testsuite></testsuites>"""


def tally(cases, reports):
    """The exit status and the lines of tally.py over ctest cases (name, status, output) and GoogleTest reports by name."""
    with tempfile.TemporaryDirectory() as folder:
        junit = "".join(f'<testcase name="{n}" status="{s}"><system-out>{o}</system-out></testcase>' for n, s, o in cases)
        (Path(folder) / "ctest.junit").write_text(f"<testsuite>{junit}</testsuite>")
        for name, report in reports.items():
            (Path(folder) / f"{name}.xml").write_text(report)
        run = subprocess.run([sys.executable, "-B", TALLY, folder], capture_output=True, text=True)
        return run.returncode, run.stdout.splitlines()


class Tally(unittest.TestCase):
    def test_counts_single_tests(self):
        status, lines = tally([("unit", "fail", ""), ("script", "run", "")], {"unit": REPORT})
        self.assertEqual((status, lines[-1]), (1, "2 passed, 1 failed, 1 skipped"))
        self.assertIn("[FAIL] unit: S.bad", lines)
        self.assertIn("[SKIP] unit: S.later: no AVX-512 here", lines)

    def test_crash_after_good_tests_is_a_failure(self):
        report = REPORT.replace('<failure message="x"/>', "")
        status, lines = tally([("unit", "fail", "")], {"unit": report})
        self.assertEqual((status, lines[-1]), (1, "2 passed, 1 failed, 1 skipped"))
        self.assertIn("[FAIL] unit: the program itself", lines)

    def test_skip_needs_a_reason(self):
        self.assertEqual(tally([("lane", "notrun", "[SKIP] no clang")], {}), (0, ["[SKIP] lane: no clang", "0 passed, 0 failed, 1 skipped"]))
        self.assertEqual(tally([("gone", "notrun", "Could not find executable")], {}), (1, ["[FAIL] gone", "0 passed, 1 failed"]))

    def test_no_tests_is_a_failure(self):
        self.assertEqual(tally([], {}), (1, ["0 passed, 1 failed"]))


if __name__ == "__main__":
    unittest.main()
