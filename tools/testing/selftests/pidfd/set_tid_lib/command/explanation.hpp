/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: what --explain adds.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_EXPLANATION_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_EXPLANATION_HPP

#include "../proc.hpp"
#include "../trace.hpp"

/*
 * Names are shown as the kernel escapes them: any process can choose one, and this
 * often goes to the terminal of root.
 */
inline std::string holder_in_words(const Refused &told)
{
	const std::string holder = told.text("holder"), pid = told.text("holder_pid");
	const std::string comm = told.holder_comm();
	const std::string who = pid + (comm.empty() ? ", whose name is empty" : " (" + comm + ")");

	if (holder == "none")
		return "nobody has it any more, or its process is only being made";
	if (holder == "thread")
		return "held by thread " + who + " of process " + told.text("holder_tgid");
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

inline std::string reason_in_words(const Refused &told)
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
	std::string reason = told.text("reason");

	if (reason == "in-use")
		return holder_in_words(told);
	for (const auto &[name, meaning] : words)
		if (reason == name)
			return meaning;
	return reason;
}

/*
 * What the kernel has said of the first request that it refused: those after it
 * were to find the PID to blame.
 */
inline std::string explanation(RefusalTrace &trace, pid_t caller)
{
	const std::vector<Refused> all = trace.take(caller);

	if (all.empty())
		return "the kernel says nothing: it was not the PIDs";
	const Refused &told = all.front();
	const std::string reason = told.text("reason");
	/* Whoever asks for 0 is out of range. */
	const bool automatic = !told.number("pid") && reason != "out-of-range" &&
			       reason != "too-many-pids";
	const std::string pid = automatic ? "automatic PID" : "PID " + told.text("pid");

	return "level " + told.text("level") + ", namespace " + told.text("ns") + ", " + pid +
	       ": " + reason_in_words(told);
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_EXPLANATION_HPP */
