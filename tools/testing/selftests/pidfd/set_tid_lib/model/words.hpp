/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls and answers in words, for the report of a mismatch.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_WORDS_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_WORDS_HPP

#include "rules.hpp"
#include "../capability.hpp"
#include "../cgroup.hpp"
#include "../errno.hpp"
#include "../pids.hpp"
#include "../requirement.hpp"

#include <sched.h>
#include <signal.h>
#include <stdint.h>

#include <string>
#include <utility>

namespace model
{
inline std::string flags_in_words(uint64_t flags)
{
	static const std::pair<uint64_t, const char *> names[] = {
		{ CLONE_VM, "VM" },
		{ CLONE_FS, "FS" },
		{ CLONE_FILES, "FILES" },
		{ CLONE_SIGHAND, "SIGHAND" },
		{ CLONE_PIDFD, "PIDFD" },
		{ CLONE_VFORK, "VFORK" },
		{ CLONE_PARENT, "PARENT" },
		{ CLONE_THREAD, "THREAD" },
		{ CLONE_SYSVSEM, "SYSVSEM" },
		{ CLONE_DETACHED, "DETACHED" },
		{ CLONE_NEWUSER, "NEWUSER" },
		{ CLONE_NEWPID, "NEWPID" },
		{ CLONE_CLEAR_SIGHAND, "CLEAR_SIGHAND" },
		{ CLONE_INTO_CGROUP, "INTO_CGROUP" },
	};
	std::string text;

	for (const auto &[flag, name] : names) {
		if (flags & flag)
			text += (text.empty() ? "" : "|") + std::string(name);
		flags &= ~flag;
	}
	if (flags)
		text += "|other";
	return text.empty() ? "0" : text;
}

inline std::string in_words(const Model &m, const Actor &a, const Call &c)
{
	static const char *const powers[] = { "all capabilities", "no capability", "CAP_SYS_ADMIN",
					      "CAP_CHECKPOINT_RESTORE", "uid 65534" };
	static const char *const arrays[] = { "", " pointer or size missing", " unmapped",
					      " partly unmapped" };
	static const char *const roles[] = {
		"leaves",	    "stays",	   "stays as a zombie", "leaves a group",
		"leaves a session", "is a thread", "stays as the init"
	};
	std::string text = "in namespace " + std::to_string(a.active) + " (level " +
			   std::to_string(m.spaces[a.active].level) + "), children in " +
			   std::to_string(a.target) + " (level " +
			   std::to_string(m.spaces[a.target].level) + "), " + powers[a.power];

	if (a.user)
		text += " of user namespace " + std::to_string(a.user);
	text += ": clone3({ " + flags_in_words(c.flags) + ", set_tid " + to_string(c.pids) +
		arrays[static_cast<int>(c.array)];
	if (c.set_tid_size)
		text += ", set_tid_size " + std::to_string(c.set_tid_size);
	if (c.exit_signal != SIGCHLD)
		text += ", exit_signal " + std::to_string(c.exit_signal);
	if (c.bad_pidfd)
		text += ", bad pidfd pointer";
	if (c.cgroup >= 0)
		text += ", cgroup " + std::to_string(c.cgroup);
	if (c.stack_without_size)
		text += ", stack without size";
	return text + " }, " + std::to_string(c.size) + (c.tail ? " with a tail" : "") +
	       "), the child " + roles[static_cast<int>(c.role)];
}

inline std::string in_words(const Answers &answers)
{
	std::string text;

	for (int error : answers)
		text += (text.empty() ? "" : " or ") + std::string(errno_name(error));
	return text;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_WORDS_HPP */
