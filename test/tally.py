#!/usr/bin/env python3
"""Adds up a ctest run: tally.py RESULTS_DIR, holding ctest.junit and one GoogleTest <name>.xml per test program.

Prints failures and skips, then `N passed, N failed[, N skipped]`; the exit status says whether anything failed. A ctest test
without a GoogleTest report counts as one test; one that failed although its report shows no failure (a crash) counts as failed.
"""
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def gtest_outcomes(report):
    """(test name, outcome, reason) of every test in one GoogleTest report."""
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif case.find("skipped") is not None:
            yield name, "skipped", (case.find("skipped").get("message") or "").split("\n", 1)[-1].strip()
        elif case.get("status") == "notrun":
            yield name, "skipped", "disabled"
        else:
            yield name, "passed", ""


def ctest_outcomes(case, results):
    name = case.get("name")
    failed = case.get("status") == "fail"
    report = results / f"{name}.xml"
    if case.get("status") in ("notrun", "disabled"):
        output = case.findtext("system-out") or ""
        reasons = [line.removeprefix("[SKIP]").strip() for line in output.splitlines() if line.startswith("[SKIP]")]
        # Only a test that says why it skips is skipped; one that could not be started has failed.
        return [(name, "skipped", reasons[0])] if reasons else [(name, "failed", "")]
    if not report.exists():
        return [(name, "failed" if failed else "passed", "")]
    outcomes = [(f"{name}: {test}", outcome, reason) for test, outcome, reason in gtest_outcomes(report)]
    if failed and not any(outcome == "failed" for _, outcome, _ in outcomes):
        outcomes.append((f"{name}: the program itself", "failed", ""))
    return outcomes


def main():
    results = Path(sys.argv[1])
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        cases = list(ElementTree.parse(results / "ctest.junit").iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"[FAIL] no result of ctest: {error}")
        cases = []
    for case in cases:
        for name, outcome, reason in ctest_outcomes(case, results):
            counts[outcome] += 1
            if outcome == "failed":
                print(f"[FAIL] {name}")
            if outcome == "skipped":
                print(f"[SKIP] {name}: {reason}")
    if not cases:
        counts["failed"] = 1
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
    return 1 if counts["failed"] else 0


sys.exit(main())
