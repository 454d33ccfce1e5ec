/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: what --explain adds, from the trace event set_tid_refused.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_EXPLANATION_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_EXPLANATION_HPP

#include "failure.hpp"
#include "json.hpp"
#include "../proc.hpp"
#include "../trace.hpp"

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

/*
 * Names are shown as the kernel escapes them: any process can choose one, and this
 * often goes to the terminal of root.
 */
inline std::string holder_in_words(const Refused &refused)
{
	const std::string holder = refused.text("holder"), pid = refused.text("holder_pid");
	const std::string comm = refused.holder_comm();
	const std::string who = pid + (comm.empty() ? ", whose name is empty" : " (" + comm + ")");

	if (holder == "none")
		return "nobody has it any more, or its process is only being made";
	if (holder == "thread")
		return "held by thread " + who + " of process " + refused.text("holder_tgid");
	if (holder == "zombie")
		return "held by zombie " + who + ", until its parent waits for it";
	if (holder == "exited-leader")
		return "held by process " + who +
		       ", of which the first thread has exited, not the others: to kill its "
		       "parent, or to wait for it, does not free the PID";
	if (holder == "group" || holder == "session")
		return "only a process " + holder + " has it: process " + who + " is in it";
	return "held by " + holder + " " + who;
}

inline std::string reason_in_words(const Refused &refused)
{
	static constexpr std::pair<const char *, const char *> words[] = {
		{ "too-many-pids", "one more than there are levels" },
		{ "out-of-range", "not between 1 and pid_max - 1" },
		{ "no-init-yet", "as long as the namespace has no init, 1 is its only PID" },
		{ "no-capability",
		  "the caller has no capability in the user namespace that owns it" },
		{ "lost-init",
		  "the namespace has lost its init, nothing is created there any more" },
		{ "none-free", "none is left" },
		{ "no-memory", "the kernel has no memory for it" },
	};
	std::string reason = refused.text("reason");

	if (reason == "in-use")
		return holder_in_words(refused);
	for (const auto &[name, meaning] : words)
		if (reason == name)
			return meaning;
	return reason;
}

/* Requests for 0 are out of range, or too many: any other 0 is an automatic PID. */
inline bool is_automatic(const Refused &refused)
{
	const std::string reason = refused.text("reason");

	return !refused.number("pid") && reason != "out-of-range" && reason != "too-many-pids";
}

/* The name is in the kernel's escapes here as well: see escape_bytes(). */
inline std::string holder_json(const Refused &refused)
{
	const std::string holder = refused.text("holder");

	if (holder == "none")
		return "null";
	return JsonObject{}
		.add("kind", json_string(holder))
		.add("pid", json_number(refused.text("holder_pid")))
		.add("tgid", json_number(refused.text("holder_tgid")))
		.add("comm", json_string(refused.holder_comm()))
		.text();
}

/*
 * What the kernel reports of the first request that it refused: those after it were
 * to find the PID that is the reason.
 */
inline Explanation explain(RefusalTrace &trace, pid_t caller)
{
	const std::vector<Refused> all = trace.take(caller);

	if (all.empty())
		return { "the kernel says nothing: it was not the PIDs" };
	const Refused &refused = all.front();
	const std::string level = refused.text("level"), ns = refused.text("ns"),
			  pid = refused.text("pid"), reason = reason_in_words(refused);
	const bool automatic = is_automatic(refused);

	return { "level " + level + ", namespace " + ns + ", " +
			 (automatic ? "automatic PID" : "PID " + pid) + ": " + reason,
		 JsonObject{}
			 .add("level", json_number(level))
			 .add("namespace", json_number(ns))
			 .add("pid", automatic ? "null" : json_number(pid))
			 .add("reason", json_string(refused.text("reason")))
			 .add("holder", holder_json(refused))
			 .add("text", json_string(reason))
			 .text() };
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_EXPLANATION_HPP */
