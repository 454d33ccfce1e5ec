# SPDX-License-Identifier: GPL-2.0
"""Tests of the bench report: python3 -B -m unittest report_test, in this folder."""

import tempfile
import unittest
from pathlib import Path

import plot
import report
import targets
from figures import Figures, Samples, read_hold, read_native
from targets import Target

COUNT = """\
case                          ours      base  ratio
alloc/plain/0/1              300.0     600.0  0.500
alloc/plain/4/1             1200.0    2000.0  0.600
free/plain/0/1               229.0       0.0  0.000
"""
TIME = """\
case                              ours      base  ratio  spread
threads/plain/0/1_x2             200.0     330.0  0.606    3.2%
threads/plain/1/1_x2             200.0     202.0  0.990    0.4%
"""
HOLD = "success, no new nodes\t0.812\t1\nfailure, no new nodes\t1.700\t1.6\nsuccess, new nodes\t3.058\t0\n"
CLOCK = ["patched 1 loop/2 1100", "patched 2 loop/2 1300", "stock 1 loop/2 1000", "stock 2 loop/2 1000"]
STATIC = """\
patched 1 static/pid_bytes 112
stock 1 static/pid_bytes 112
patched 1 static/stack_bytes 1056
stock 1 static/stack_bytes 1048
patched 1 static/code_bytes 27001464
stock 1 static/code_bytes 27000000
patched 1 static/one_lock 1
"""


def guest(*lines, runs=1):
    return Samples(lines, runs)


def figures(guest_lines=(), runs=1, static=STATIC):
    return Figures(
        guest=Samples(guest_lines, runs),
        clock=Samples(CLOCK, 2),
        static=Samples(static.splitlines(), 1),
        count=read_native(COUNT.splitlines()),
        time=read_native(TIME.splitlines()),
        hold=read_hold(HOLD.splitlines()),
    )


def rows(measured=None, **entry):
    """The rows of one target, as (bound, measured, result)."""
    target = Target({"name": "n"} | entry)
    result = []
    for row in target.rows(measured or figures()):
        cells = [cell.strip() for cell in row.split("|")]
        result.append(tuple(cells[3:6]))
    return result


class SamplesTest(unittest.TestCase):
    def test_mean_of_the_runs(self):
        samples = guest("patched 1 a/b 10", "patched 2 a/b 20", runs=2)
        self.assertEqual(samples.mean("patched", "a/b"), 15)

    def test_case_that_one_run_does_not_report_is_missing(self):
        samples = guest("patched 1 a/b 10", runs=2)
        self.assertIsNone(samples.mean("patched", "a/b"))
        self.assertIsNone(samples.ratio("a/b", "patched"))
        self.assertEqual(samples.levels("patched", "a"), [])

    def test_ratio_to_zero_is_missing_but_zero_is_a_value(self):
        samples = guest("patched 1 a/b 0", "stock 1 a/b 4")
        zero = guest("patched 1 a/b 4", "stock 1 a/b 0")
        self.assertEqual(samples.ratio("a/b", "stock"), 0)
        self.assertIsNone(zero.ratio("a/b", "stock"))

    def test_spread_is_that_of_the_kernel_where_it_is_largest(self):
        samples = guest("patched 1 a/b 100", "patched 2 a/b 100", "stock 1 a/b 90", "stock 2 a/b 110", runs=2)
        self.assertAlmostEqual(samples.spread("a/b"), 0.2)

    def test_spread_of_zeros_is_zero(self):
        self.assertEqual(guest("patched 1 a/b 0").spread("a/b"), 0)

    def test_levels_are_in_the_order_of_their_numbers(self):
        samples = guest("patched 1 a/b/16 3", "patched 1 a/b/4 2", "patched 1 a/b/0 1", "stock 1 a/b/1 9")
        self.assertEqual(samples.levels("patched", "a/b"), [(0, 1), (4, 2), (16, 3)])

    def test_malformed_line(self):
        with self.assertRaisesRegex(ValueError, "a/b"):
            guest("patched 1 a/b")

    def test_case_reported_twice(self):
        with self.assertRaisesRegex(ValueError, "twice"):
            guest("patched 1 a/b 1", "patched 1 a/b 2")


class ReadTest(unittest.TestCase):
    def test_head_of_a_table_is_no_case(self):
        self.assertEqual(list(read_native(COUNT.splitlines()))[0], "alloc/plain/0/1")

    def test_no_ratio_without_a_base(self):
        self.assertIsNone(read_native(COUNT.splitlines())["free/plain/0/1"].ratio)

    def test_hold_without_a_limit(self):
        self.assertIsNone(read_hold(HOLD.splitlines())["success, new nodes"].limit)

    def test_runs_are_counted_by_the_files_of_the_patched_kernel(self):
        with tempfile.TemporaryDirectory() as build:
            guest_dir = Path(build, "bench", "counted")
            guest_dir.mkdir(parents=True)
            for run in (1, 2):
                (guest_dir / f"patched.{run}").write_text(f"patched {run} a/b {run}\n")
            (guest_dir / "stock.1").write_text("stock 1 a/b 1\n")
            (guest_dir / "stock.2.tmp").write_text("stock 2 a/b 1\n")
            read = Figures.read(build)
        self.assertEqual(read.guest.runs, 2)
        self.assertEqual(read.guest.mean("patched", "a/b"), 1.5)
        self.assertIsNone(read.guest.mean("stock", "a/b"))
        self.assertEqual((read.count, read.time, read.hold), ({}, {}, {}))


class TargetTest(unittest.TestCase):
    def test_expand(self):
        self.assertEqual(targets.expand("a/{b,c}/{1,2}"), ["a/b/1", "a/b/2", "a/c/1", "a/c/2"])
        self.assertEqual(targets.expand("a, b"), ["a, b"])

    def test_worst_case_counts(self):
        got = rows(source="count", cases=["alloc/plain/{0,4}/1"], at_most={"stock": 0.55})
        self.assertEqual(got, [("<= 0.55", "0.60", "**not met**")])

    def test_bound_itself_is_within(self):
        got = rows(source="count", cases=["alloc/plain/4/1"], at_most={"stock": 0.60})
        self.assertEqual(got, [("<= 0.60", "0.60", "met")])

    def test_rounding_does_not_decide(self):
        got = rows(source="count", cases=["alloc/plain/4/1"], at_most={"stock": 0.5999})
        self.assertEqual(got, [("<= 0.60", "0.60", "**not met**")])

    def test_one_missing_case_is_not_measured(self):
        got = rows(source="count", cases=["alloc/plain/{0,16}/1"], at_most={"stock": 9})
        self.assertEqual(got, [("<= 9.00", "", "not measured")])

    def test_case_without_a_base_is_not_measured(self):
        got = rows(source="count", cases=["free/plain/0/1"], at_most={"stock": 9})
        self.assertEqual(got, [("<= 9.00", "", "not measured")])

    def test_row_for_each_kernel(self):
        measured = figures(["patched 1 a/0 10", "stock 1 a/0 20"])
        got = rows(measured, source="guest", cases=["a/0"], at_most={"stock": 0.4, "patched": 0.4})
        self.assertEqual(got, [("<= 0.40", "0.50", "**not met**"), ("<= 0.40", "1.00", "**not met**")])

    def test_run_without_the_case_is_not_measured(self):
        measured = figures(["patched 1 a/0 10", "patched 2 a/0 10", "stock 1 a/0 20"], runs=2)
        got = rows(measured, source="guest", cases=["a/0"], at_most={"stock": 0.6})
        self.assertEqual(got, [("<= 0.60", "", "not measured")])

    def test_reference_cases_of_the_same_kernel(self):
        measured = figures(["patched 1 a/0 10", "patched 1 b/0 10", "patched 1 a/1 21", "patched 1 b/1 20"])
        got = rows(
            measured, source="guest", cases=["a/{0,1}"], reference=["b/{0,1}"], at_most={"patched": 1.01}, digits=3
        )
        self.assertEqual(got, [("<= 1.01", "1.050", "**not met**")])

    def test_speed_is_at_least(self):
        got = rows(source="time", cases=["threads/plain/0/1_x2"], at_least={"stock": 1.5})
        self.assertEqual(got, [(">= 1.50", "1.65 (spread of ours: 3.2%)", "met")])
        got = rows(source="time", cases=["threads/plain/{0,1}/1_x2"], at_least={"stock": 1.5})
        self.assertEqual(got, [(">= 1.50", "1.01 (spread of ours: 3.2%, 0.4%)", "**not met**")])
        got = rows(source="time", cases=["threads/plain/{0,4}/1_x2"], at_least={"stock": 1.5})
        self.assertEqual(got, [(">= 1.50", "", "not measured")])

    def test_hold_has_its_own_limit(self):
        got = rows(source="hold", cases=["success, no new nodes"], at_most={"stock": "measured"})
        self.assertEqual(got, [("<= 1.00", "0.81", "met")])
        got = rows(source="hold", cases=["failure, no new nodes"], at_most={"stock": "measured"})
        self.assertEqual(got, [("<= 1.60", "1.70", "**not met**")])
        got = rows(source="hold", cases=["another"], at_most={"stock": "measured"})
        self.assertEqual(got, [("", "", "not measured")])

    def test_sizes(self):
        got = rows(source="size", cases=["static/pid_bytes"], at_most={"stock": 0})
        self.assertEqual(got, [("<= 112", "112", "met")])
        got = rows(source="size", cases=["static/stack_bytes"], at_most={"stock": 0})
        self.assertEqual(got, [("<= 1048", "1056", "**not met**")])
        got = rows(source="size", cases=["static/stack_bytes"], at_most={"stock": 8})
        self.assertEqual(got, [("<= 1056", "1056", "met")])
        got = rows(source="growth", cases=["static/code_bytes"], at_most={"stock": 1024})
        self.assertEqual(got, [("<= 1024", "1464", "**not met**")])

    def test_size_without_the_other_kernel_is_not_measured(self):
        measured = figures(static="patched 1 static/code_bytes 100\n")
        got = rows(measured, source="size", cases=["static/code_bytes"], at_most={"stock": 0})
        self.assertEqual(got, [("", "", "not measured")])
        got = rows(measured, source="growth", cases=["static/code_bytes"], at_most={"stock": 1024})
        self.assertEqual(got, [("<= 1024", "", "not measured")])

    def test_test_that_passed_failed_or_did_not_run(self):
        entry = {"source": "test", "cases": ["static/one_lock"], "exactly": {"": 1}, "note": "its name"}
        self.assertEqual(rows(**entry), [("1", "1", "met (its name)")])
        failed = figures(static="patched 1 static/one_lock 0\n")
        self.assertEqual(rows(failed, **entry), [("1", "", "**not met**")])
        self.assertEqual(rows(figures(static=""), **entry), [("1", "", "not measured")])

    def test_mistakes_in_targets(self):
        good = {"name": "n", "source": "count", "cases": ["a"], "at_most": {"stock": 1}}
        Target(good)
        for bad in ({"source": "other"}, {"colour": 1}, {"at_least": {"stock": 1}}, {"reference": ["a", "b"]}):
            with self.subTest(bad), self.assertRaises(ValueError):
                Target(good | bad)


class ReportTest(unittest.TestCase):
    def test_every_target_is_shown_and_none_is_met_without_figures(self):
        nothing = Figures(Samples([], 5), Samples([], 5), Samples([], 1), {}, {}, {})
        lines = list(report.target_table(nothing, "7.3"))
        expected = sum(len(target.bounds) for target in targets.load("7.3"))
        self.assertEqual(len([line for line in lines if line.endswith("| not measured |")]), expected)

    def test_targets_of_one_base(self):
        for base, bases in (("7.3", {None, "7.3"}), ("6.12", {None, "6.12"}), ("9.9", {None})):
            self.assertEqual({target.base for target in targets.load(base)}, bases)

    def test_rows_of_a_comparison(self):
        samples = guest("patched 1 a 1234.6", "stock 1 a 2469.2", "stock 1 b 1")
        lines = list(report.comparison(samples, "what", [("a", "first"), ("b", "second")]))
        self.assertEqual(lines[1], "| what | patched | stock | ratio | spread |")
        self.assertEqual(lines[3:], ["| first | 1,235 | 2,469 | 0.50 | 0.0 % |"])

    def test_whole_report(self):
        text = "\n".join(report.render(figures(["patched 1 alloc/plain/0 378"]), ["- `patched`: Linux"], "7.3"))
        self.assertTrue(text.startswith("- `patched`: Linux\n\nIn the guest: "))
        headings = [line for line in text.splitlines() if line.startswith("#")]
        self.assertEqual(len(headings), 8)
        self.assertIn("\n\n## Targets\n\n", text)
        self.assertIn("\n| plain, level 0 | 378 |  |  | 0.0 % |\n", text)
        self.assertIn("\n| alloc/plain/4/1 | 1,200 | 2,000 | 0.60 |\n", text)
        self.assertIn("\n| free/plain/0/1 | 229 | 0 |  |\n", text)
        self.assertIn("\n| threads/plain/0/1_x2 | 200.0 | 330.0 | 0.61 | 3.2% |\n", text)
        self.assertIn("\n| 2 | 1,200 | 1,000 | 1.20 | 16.7 % |\n", text)
        self.assertIn("\n| code of vmlinux | 27,001,464 | 27,000,000 | 1.00 | 0.0 % |", text)

    def test_sections_without_figures_are_left_out(self):
        text = "\n".join(report.render(Figures(Samples([], 0), Samples([], 0), Samples([], 1), {}, {}, {}), [], "7.3"))
        self.assertNotIn("## alloc_pid() and free_pid()", text)
        self.assertNotIn("## The same, timed", text)
        self.assertNotIn("## Threads created and joined", text)


class PlotTest(unittest.TestCase):
    def test_points(self):
        samples = guest("patched 1 alloc/plain/4 1500", "patched 1 alloc/plain/0 378", "patched 1 alloc/one/0 1")
        self.assertEqual(plot.points(samples, "patched", "alloc"), ["0 0.378", "4 1.5"])

    def test_kernel_without_points_is_beyond_the_plot(self):
        self.assertEqual(plot.points(guest(), "stock", "alloc"), ["-1 -1"])

    def test_comment_does_not_end_early(self):
        self.assertEqual(plot.comment("a --> b\n"), "<!--\na - -> b\n-->\n")


if __name__ == "__main__":
    unittest.main()
