/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test needs, for TEST_REQUIRES(): need::root, need::user_ns. Headers and
 * programs add their own to the namespace. "needs a kernel ..." is for what the patches
 * bring: on a patched kernel that is no reason to skip a test, it is a failure.
 */
#ifndef SET_TID_LIB_REQUIREMENT_HPP
#define SET_TID_LIB_REQUIREMENT_HPP

#include <errno.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <initializer_list>

#include "capability.hpp"
#include "file.hpp"
#include "proc.hpp"
#include "syscall.hpp"

/* Returns a null pointer, or what is missing. */
using Requirement = const char *(*)();

/* What is missing of the first requirement that is not met, or a null pointer. */
inline const char *first_missing(std::initializer_list<Requirement> all)
{
	for (const Requirement requirement : all) {
		if (const char *missing = requirement())
			return missing;
	}
	return nullptr;
}

namespace need
{
inline const char *set_tid()
{
	clone_args args = {};

	/* A pointer without a size: a kernel that knows the field says EINVAL. */
	args.set_tid = ~0ULL;
	return sys_clone3(&args, sizeof(args)) == -EINVAL ?
		       nullptr :
		       "needs a kernel whose clone3() has set_tid";
}

inline const char *root()
{
	if (geteuid() || !has_capability(CAP_SYS_ADMIN))
		return "needs root with CAP_SYS_ADMIN";
	return set_tid();
}

inline const char *pid_ns()
{
	return access("/proc/self/ns/pid", F_OK) ? "needs CONFIG_PID_NS and /proc" : nullptr;
}

/* Levels can be counted from 0 only in the initial PID namespace. */
inline const char *initial_pid_ns()
{
	struct stat st = {};

	/* PROC_PID_INIT_INO */
	return stat("/proc/self/ns/pid", &st) || st.st_ino != 0xEFFFFFFC ?
		       "needs the initial PID namespace" :
		       nullptr;
}

inline const char *user_ns()
{
	return read_number("/proc/sys/user/max_user_namespaces") > 0 ?
		       nullptr :
		       "needs CONFIG_USER_NS and user.max_user_namespaces";
}

inline const char *ns_last_pid()
{
	return last_pid() < 0 ? "needs CONFIG_CHECKPOINT_RESTORE (ns_last_pid)" : nullptr;
}

/* As it is by default: a write that is not at the start of a file is ignored. */
inline const char *strict_writes()
{
	return read_number("/proc/sys/kernel/sysctl_writes_strict") == 1 ?
		       nullptr :
		       "needs kernel.sysctl_writes_strict=1";
}

inline const char *pid_min()
{
	return ::pid_min() < 0 ? "needs a kernel with kernel.pid_min" : nullptr;
}
} // namespace need

#endif /* SET_TID_LIB_REQUIREMENT_HPP */
