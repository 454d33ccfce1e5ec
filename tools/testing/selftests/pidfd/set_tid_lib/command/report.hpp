/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: what --report prints.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_REPORT_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_REPORT_HPP

#include "options.hpp"
#include "outcome.hpp"

inline void report(const Options &options, const Pids &got, int namespaces, uint64_t namespaces_ns,
		   const Outcome &outcome, uint64_t read_ns)
{
	auto line = [](const std::string &what, uint64_t ns) {
		printf("%-34s %8.1f us\n", what.c_str(), ns / 1000.0);
	};

	printf("level  requested  got\n");
	for (size_t i = got.size(); i-- > 0;) {
		const std::string requested =
			i < options.pids.size() ? std::to_string(options.pids[i]) : "auto";

		printf("%5zu  %9s  %d\n", got.size() - 1 - i, requested.c_str(), got[i]);
	}
	if (namespaces)
		line("preparing " + std::to_string(namespaces) + " PID namespace" +
			     (namespaces > 1 ? "s" : ""),
		     namespaces_ns);
	line(options.new_namespaces ? "clone3(), with a new PID namespace" : "clone3()",
	     outcome.call_ns);
	line("reading the PIDs back from /proc", read_ns);
	fflush(stdout);
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_REPORT_HPP */
