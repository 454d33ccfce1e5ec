/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: why it does not run its command, and how it ends then.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_FAILURE_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_FAILURE_HPP

#include "json.hpp"
#include "../errno.hpp"
#include "../requirement.hpp"

#include <errno.h>
#include <stdio.h>

#include <string>
#include <utility>

/* The same numbers as env(1) uses. */
enum {
	exit_refused = 125,
	exit_cannot_run = 126,
	exit_not_found = 127,
};

/* What the kernel reports of a refused request: a line for people, JSON for programs. */
struct Explanation {
	std::string line;
	std::string json = "null";
};

struct Failure {
	std::string text;
	int error = 0; /* an errno, or 0 if none belongs to it */
	Explanation explanation;
};

/* By exception, so that children and namespaces are gone when the command is. */
[[noreturn]] inline void fail(std::string text, int error = 0, Explanation explanation = {})
{
	throw Failure{ std::move(text), error, std::move(explanation) };
}

/* Its text may have what somebody else has chosen: a path, a line of a list. */
inline void print_failure(const Failure &failure)
{
	fprintf(stderr, "set_tid: %s", escape_bytes(failure.text).c_str());
	if (failure.error)
		fprintf(stderr, " (%s)", errno_name(failure.error));
	fputc('\n', stderr);
	if (!failure.explanation.line.empty())
		fprintf(stderr, "set_tid: %s\n", failure.explanation.line.c_str());
}

inline void print(const std::string &text)
{
	if (fputs(text.c_str(), stdout) < 0 || fflush(stdout))
		fail("cannot write to standard output", errno);
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_FAILURE_HPP */
