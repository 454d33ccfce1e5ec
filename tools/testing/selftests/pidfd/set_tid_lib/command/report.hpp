/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: the report, and failures, for people and in JSON.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_REPORT_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_REPORT_HPP

#include "json.hpp"
#include "options.hpp"
#include "../errno.hpp"
#include "../pids.hpp"
#include "../process.hpp"

#include <stdint.h>
#include <stdio.h>

#include <string>
#include <vector>

/* What a successful request has made. */
struct Created {
	Child command;
	Pids pids;
	int prepared_namespaces;
	uint64_t prepare_ns, clone3_ns, read_ns;
};

inline std::string report_line(const std::string &what, uint64_t ns)
{
	char line[64];

	snprintf(line, sizeof(line), "%-34s %8.1f us\n", what.c_str(), ns / 1000.0);
	return line;
}

inline std::string report_text(const Options &options, const Created &created)
{
	const int namespaces = created.prepared_namespaces;
	std::string text = "level  requested  got\n";

	for (size_t i = created.pids.size(); i-- > 0;) {
		const std::string requested =
			i < options.pids.size() ? std::to_string(options.pids[i]) : "auto";
		char line[64];

		snprintf(line, sizeof(line), "%5zu  %9s  %d\n", created.pids.size() - 1 - i,
			 requested.c_str(), created.pids[i]);
		text += line;
	}
	if (namespaces)
		text += report_line("preparing " + std::to_string(namespaces) + " PID namespace" +
					    (namespaces > 1 ? "s" : ""),
				    created.prepare_ns);
	text += report_line(options.new_namespaces ? "clone3(), with a new PID namespace" :
						     "clone3()",
			    created.clone3_ns);
	return text + report_line("reading the PIDs back from /proc", created.read_ns);
}

inline std::string report_json(const Options &options, const Created &created)
{
	std::vector<std::string> levels;

	for (size_t i = created.pids.size(); i-- > 0;)
		levels.push_back(JsonObject{}
					 .add("level", created.pids.size() - 1 - i)
					 .add("requested", i < options.pids.size() ?
								   std::to_string(options.pids[i]) :
								   "null")
					 .add("got", created.pids[i])
					 .text());
	return JsonObject{}
		       .add("result", json_string("created"))
		       .add("pids", json_array(levels))
		       .add("prepared_namespaces", created.prepared_namespaces)
		       .add("prepare_ns", created.prepare_ns)
		       .add("clone3_ns", created.clone3_ns)
		       .add("read_ns", created.read_ns)
		       .text() +
	       '\n';
}

inline std::string failure_json(const Failure &failure)
{
	return JsonObject{}
		       .add("result", json_string("failed"))
		       .add("message", json_string(escape_bytes(failure.text)))
		       .add("errno",
			    failure.error ? json_string(errno_name(failure.error)) : "null")
		       .add("explanation", failure.explanation.json)
		       .text() +
	       '\n';
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_REPORT_HPP */
