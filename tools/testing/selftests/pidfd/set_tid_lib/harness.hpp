/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kselftest harness, with what tests in C++ and in child processes need.
 *
 * A failed ASSERT_*() throws, so destructors kill and reap children and restore
 * settings. In a child process it needs checks(), or else the child ends with
 * SIGABRT.
 */
#ifndef SET_TID_LIB_HARNESS_HPP
#define SET_TID_LIB_HARNESS_HPP

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include <string>

#include "../../kselftest_harness.h"
#include "errno.hpp"
#include "pids.hpp"
#include "process.hpp"
#include "requirement.hpp"

/*
 * The harness gives a test 30 s, which is little for a debug kernel on an emulated
 * machine. A test that hangs is ended by the time limit of the program: see
 * end_test_too().
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600
#endif

/*
 * The time limit of the program ends the harness, but a test has a process group of
 * its own. It would go on, and whoever reads its output would wait for it.
 */
inline void end_test_too(int sig)
{
	for (auto *fixture = __fixture_list; fixture; fixture = fixture->next)
		for (auto *test = fixture->tests; test; test = test->next) {
			const int peek = WEXITED | WNOHANG | WNOWAIT;
			siginfo_t info;

			/* The PID of one that has been waited for may be anybody's. */
			if (test->pid > 0 && !waitid(P_PID, test->pid, &info, peek))
				kill(-test->pid, SIGKILL);
		}
	signal(sig, SIG_DFL);
	raise(sig);
}

[[gnu::constructor]] static void heed_time_limit()
{
	signal(SIGTERM, end_test_too);
}

/*
 * What a test asserts in another process. The harness keeps a test's state in
 * the memory of the test's own process (TEST) or in memory that is shared with
 * it (TEST_F). So fn() gets a state of its own, a failed ASSERT ends fn(), and
 * the result is the exit status of the process:
 *
 *	auto body = checks(_metadata, [&](auto *_metadata) {
 *		ASSERT_EQ(1, getppid());
 *	});
 *	EXPECT_CHECKS_PASS(chain.run_deepest(body));
 *
 * SKIP(return, ...) in fn() skips the test.
 */
template <typename Fn> auto checks(const struct __test_metadata *outer, Fn fn)
{
	return [outer, fn]() -> int {
		struct __test_metadata own = *outer;

		own.exit_code = KSFT_PASS;
		own.trigger = 0;
		own.aborted = false;
		try {
			fn(&own);
		} catch (const __test_bail &) {
		}
		return own.exit_code;
	};
}

#define EXPECT_CHECKS_PASS(task)                                          \
	do {                                                              \
		auto &&task_ = (task);                                    \
		const ExitStatus status_ = task_.child.wait();            \
		EXPECT_ERRNO(0, task_.error);                             \
		if (status_.code == KSFT_SKIP && !_metadata->exit_code) { \
			_metadata->exit_code = KSFT_SKIP;                 \
			return;                                           \
		}                                                         \
		EXPECT_ERRNO(0, status_.error);                           \
		EXPECT_EQ(0, status_.signal);                             \
		EXPECT_EQ(KSFT_PASS, status_.code);                       \
	} while (0)

/*
 * Like the harness's own, down to the optional handler behind them:
 * EXPECT_ERRNO(EINVAL, request.attempt()) takes 0 or an errno on each side,
 * EXPECT_PIDS((Pids{ 1, 42 }), nspids(child)) lists of PIDs, innermost first,
 * and EXPECT_TEXT(std::to_string(pid), read_file(path)) strings. (EXPECT_STREQ()
 * would keep a pointer into a string that is gone.)
 */
#define EXPECT_ERRNO(expected, seen) __EXPECT_SAME(errno_name(expected), errno_name(seen), #seen, 0)
#define ASSERT_ERRNO(expected, seen) __EXPECT_SAME(errno_name(expected), errno_name(seen), #seen, 1)
#define EXPECT_PIDS(expected, seen) __EXPECT_SAME(to_string(expected), to_string(seen), #seen, 0)
#define ASSERT_PIDS(expected, seen) __EXPECT_SAME(to_string(expected), to_string(seen), #seen, 1)
#define EXPECT_TEXT(expected, seen) __EXPECT_SAME(expected, seen, #seen, 0)
#define ASSERT_TEXT(expected, seen) __EXPECT_SAME(expected, seen, #seen, 1)
#define __EXPECT_SAME(expected, seen, what, _assert)                                               \
	for (expect_same(_metadata, __FILE__, __LINE__, expected, seen, what); _metadata->trigger; \
	     _metadata->trigger = __bail(_assert, _metadata))

inline void expect_same(struct __test_metadata *_metadata, const char *file, int line,
			const std::string &expected, const std::string &seen, const char *what)
{
	if (expected == seen)
		return;
	fprintf(TH_LOG_STREAM, "# %s:%d:%s:Expected %s, got %s: %s\n", file, line, _metadata->name,
		expected.c_str(), seen.c_str(), what);
	_metadata->exit_code = KSFT_FAIL;
	/* Runs the handler, if there is one. */
	_metadata->trigger = 1;
}

/* For what is known only in the middle of a test: SKIP_IF_MISSING(need::root()). */
#define SKIP_IF_MISSING(what)                         \
	do {                                          \
		const char *missing_ = (what);        \
		if (missing_)                         \
			SKIP(return, "%s", missing_); \
	} while (0)

/*
 * The harness's own, with what they need: without it the test is skipped, and says
 * what is missing.
 *
 *	TEST_REQUIRES(row20_name, need::root, need::user_ns)
 *	{
 *	}
 *
 * A fixture's requirements are those of all its tests.
 */
#define TEST_REQUIRES(test_name, ...)                                    \
	static void test_name##_body(struct __test_metadata *_metadata); \
	TEST(test_name)                                                  \
	{                                                                \
		SKIP_IF_MISSING(first_missing({ __VA_ARGS__ }));         \
		test_name##_body(_metadata);                             \
	}                                                                \
	static void test_name##_body([[maybe_unused]] struct __test_metadata *_metadata)

#define TEST_F_REQUIRES(fixture_name, test_name, ...) \
	TEST_F_TIMEOUT_REQUIRES(fixture_name, test_name, TEST_TIMEOUT_DEFAULT, __VA_ARGS__)

#define TEST_F_TIMEOUT_REQUIRES(fixture_name, test_name, timeout, ...)                    \
	static void fixture_name##_##test_name##_body(__FIXTURE_ARGUMENTS(fixture_name)); \
	TEST_F_TIMEOUT(fixture_name, test_name, timeout)                                  \
	{                                                                                 \
		SKIP_IF_MISSING(first_missing({ __VA_ARGS__ }));                          \
		fixture_name##_##test_name##_body(_metadata, self, variant);              \
	}                                                                                 \
	static void fixture_name##_##test_name##_body(__FIXTURE_ARGUMENTS(fixture_name))

#define FIXTURE_SETUP_REQUIRES(fixture_name, ...)                                 \
	static void fixture_name##_setup_body(__FIXTURE_ARGUMENTS(fixture_name)); \
	FIXTURE_SETUP(fixture_name)                                               \
	{                                                                         \
		SKIP_IF_MISSING(first_missing({ __VA_ARGS__ }));                  \
		fixture_name##_setup_body(_metadata, self, variant);              \
	}                                                                         \
	static void fixture_name##_setup_body(__FIXTURE_ARGUMENTS(fixture_name))

#define __FIXTURE_ARGUMENTS(fixture_name)                           \
	[[maybe_unused]] struct __test_metadata *_metadata,         \
		[[maybe_unused]] FIXTURE_DATA(fixture_name) * self, \
		[[maybe_unused]] const FIXTURE_VARIANT(fixture_name) * variant

#endif /* SET_TID_LIB_HARNESS_HPP */
