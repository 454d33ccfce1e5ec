/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lists of PIDs, in the order of set_tid[]: innermost namespace first.
 */
#ifndef SET_TID_LIB_PIDS_HPP
#define SET_TID_LIB_PIDS_HPP

#include <sys/types.h>

#include <string>
#include <vector>

/* The deepest level that a PID namespace can have. The initial one has level 0. */
constexpr int max_pid_ns_level = 32;

using Pids = std::vector<pid_t>;

inline std::string to_string(const Pids &pids)
{
	std::string text;

	for (pid_t pid : pids)
		text += (text.empty() ? "" : ",") + std::to_string(pid);
	return text.empty() ? "none" : text;
}

#endif /* SET_TID_LIB_PIDS_HPP */
