/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: refusals in words.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_REFUSAL_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_REFUSAL_HPP

#include "options.hpp"
#include "outcome.hpp"
#include "../capability.hpp"
#include "../file.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../requirement.hpp"

#include <errno.h>

#include <string>

inline bool has_seccomp_filter()
{
	return read_file("/proc/self/status").find("\nSeccomp:\t2\n") != std::string::npos;
}

/* The answer of setns() to a pidfd. */
inline constexpr char no_entry_by_pidfd[] =
	"this kernel is older than Linux 5.8, or has no PID namespaces";

/* How clone3() fails for reasons that have nothing to do with what is asked of it. */
inline std::string why_no_process(int error)
{
	const bool filtered = has_seccomp_filter();

	switch (error) {
	case ENOSYS:
		return filtered ? "this kernel has no clone3(), or a seccomp filter hides it, as "
				  "those of container runtimes do" :
				  "this kernel has no clone3(): set_tid needs Linux 5.5";
	case EPERM:
		return filtered ? "clone3() is forbidden here, perhaps by a seccomp filter" :
				  "clone3() is forbidden here";
	case EAGAIN:
		return "no more processes: a limit is reached or PIDs have run out";
	}
	return "clone3() failed";
}

class Refusal {
public:
	Refusal(const Options &options, int target_level, const Outcome &outcome)
		: options_(options), target_level_(target_level), outcome_(outcome)
	{
	}

	std::string text() const
	{
		if (outcome_.error == E2BIG)
			return "this kernel's clone3() does not know set_tid";
		if (outcome_.culprits == 0)
			return not_about_pids();
		if (outcome_.culprits < 0)
			return "clone3() failed, but the same requests succeeded "
			       "afterwards: try again";
		return about_pid();
	}

private:
	/* The call fails in the same way without any chosen PID. */
	std::string not_about_pids() const
	{
		const bool new_ns = options_.new_namespaces;

		switch (outcome_.error) {
		case EPERM:
			if (new_ns)
				return "a new PID namespace needs CAP_SYS_ADMIN";
			break;
		case ENOSPC:
			return "no more PID namespaces: 32 levels or "
			       "user.max_pid_namespaces are reached";
		case ENOMEM:
			return "out of memory, or a level has lost its init";
		case EINVAL:
			if (new_ns)
				return "this kernel has no PID namespaces";
		}
		return why_no_process(outcome_.error);
	}

	std::string about_pid() const
	{
		const int index = outcome_.culprits - 1;
		const int at = target_level_ - index;
		const std::string pid = std::to_string(options_.pids[index]);

		switch (outcome_.error) {
		case EEXIST:
			return level(at) + ": PID " + pid + " is in use";
		case EPERM:
			return level(at) + ": needs CAP_SYS_ADMIN or "
					   "CAP_CHECKPOINT_RESTORE in the user "
					   "namespace that owns it";
		case EINVAL:
			return about_invalid_pid(index);
		}
		return level(at) + ": PID " + pid + " is refused";
	}

	std::string about_invalid_pid(int index) const
	{
		const int at = target_level_ - index;
		const std::string count = std::to_string(options_.pids.size());
		const std::string pid = std::to_string(options_.pids[index]);
		const long limit = outcome_.pid_max;
		/* The only level whose pid_max the helper can read. */
		const bool helpers = at == target_level_ - (options_.new_namespaces > 0);

		if (at < 0)
			return count + " PIDs requested, but the target namespace is at " +
			       level(target_level_) + ": at most " +
			       std::to_string(target_level_ + 1);
		if (options_.pids[index] < 1)
			return level(at) + ": PID " + pid + " is not positive";
		if (!index && options_.new_namespaces && options_.pids[0] != 1)
			return level(at) +
			       ": first process of a PID namespace must be PID 1, not " + pid;
		if (helpers && limit > 0 && options_.pids[index] >= limit)
			return level(at) + ": PID " + pid + " is not below pid_max, " +
			       std::to_string(limit);
		if (index >= max_pid_ns_level)
			return count + " PIDs requested, but this kernel takes only " +
			       std::to_string(index) + " at a time";
		if (!helpers)
			return level(at) + ": PID " + pid +
			       " is not below the pid_max of that level";
		return level(at) + ": PID " + pid + " is invalid";
	}

	static std::string level(int number) { return "level " + std::to_string(number); }

	const Options &options_;
	int target_level_;
	const Outcome &outcome_;
};

/* From outside: the call is made in another namespace, that of the level above. */
inline std::string why_no_namespace(int error, int level, bool from_outside)
{
	const std::string name = "level " + std::to_string(level) + ": ";

	switch (error) {
	case EPERM:
		return name + "a new PID namespace needs CAP_SYS_ADMIN";
	case ENOSPC:
		return name + "no more PID namespaces: 32 levels or user.max_pid_namespaces are "
			      "reached";
	case ENOMEM:
		return name + "out of memory, or the init of the level above is gone";
	case EINVAL:
		if (from_outside)
			return name +
			       "cannot enter the PID namespace above it: " + no_entry_by_pidfd;
		return name + "this kernel has no PID namespaces, or the caller's children are "
			      "created in another one than its own";
	case ENOSYS:
		return name + why_no_process(error);
	}
	return name + "cannot create a PID namespace";
}

/* Why no process can be sent to a PID namespace. */
inline std::string why_no_entry(int error)
{
	std::string text = "cannot enter the PID namespace";

	switch (error) {
	case EPERM:
		return text + ": needs CAP_SYS_ADMIN";
	case ESRCH:
		return text + ": the process has ended";
	case EINVAL:
		return text + ": " + no_entry_by_pidfd;
	}
	return text;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_REFUSAL_HPP */
