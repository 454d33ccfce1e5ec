/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc shows of a tree of processes, as text to compare.
 */
#ifndef SET_TID_LIB_CRIU_PROCESSES_HPP
#define SET_TID_LIB_CRIU_PROCESSES_HPP

#include "../command/tasks.hpp"
#include "../fd.hpp"
#include "../file.hpp"
#include "../pids.hpp"
#include "../proc.hpp"

#include <fcntl.h>
#include <sys/types.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

inline Pids entries(const std::string &dir)
{
	Pids pids;

	numbers_in(dir, pids);
	std::sort(pids.begin(), pids.end());
	return pids;
}

/* The last PID of such a line: that in the process's own namespace. */
inline std::string innermost(const std::string &pids)
{
	return pids.substr(pids.rfind('\t') + 1);
}

/* The PID in the process's own namespace, or 0. */
inline pid_t own_number(pid_t pid)
{
	const Pids pids = nspids("/proc/" + std::to_string(pid) + "/status");

	return pids.empty() ? 0 : pids[0];
}

/*
 * The processes from a first one on, and a line of text for each of their
 * threads. PIDs are those in the processes' own namespace, as CRIU has it.
 */
struct Processes {
	std::vector<pid_t> pids; /* in the caller's namespace */
	size_t threads = 0;
	std::string text;

	explicit Processes(pid_t first) { add(first, "outside"); }

	void add(pid_t pid, const std::string &parent)
	{
		const std::string proc = "/proc/" + std::to_string(pid) + "/task/";
		/* In the order of their own PIDs: CRIU makes them in another one. */
		std::map<int, pid_t> children;
		std::string own_pid;

		pids.push_back(pid);
		for (pid_t tid : entries(proc)) {
			const std::string dir = proc + std::to_string(tid);
			const std::string status = read_file(dir + "/status");
			std::istringstream list(read_file(dir + "/children"));

			threads += tid != pid;
			text += tid == pid ? "process" : "  thread";
			for (const char *key : { "NSpid", "NSpgid", "NSsid" })
				text += " " + std::string(key) + " " +
					innermost(field(status, key));
			text += (field(status, "State")[0] == 'Z' ? " zombie" : " alive");
			text += " parent " + parent + "\n";
			if (tid == pid)
				own_pid = innermost(field(status, "NSpid"));
			for (pid_t child; list >> child;)
				children[own_number(child)] = child;
		}
		for (auto [number, child] : children)
			add(child, own_pid);
	}
};

/*
 * The process that has these PIDs, of which the last is that in the PID namespace of the
 * process pod; 0 if there is none.
 */
inline pid_t find_by_nspids(pid_t pod, const Pids &inner)
{
	for (pid_t pid : entries("/proc")) {
		const std::string proc = "/proc/" + std::to_string(pid) + "/";
		const Pids pids = nspids(proc + "status");

		if (pids.size() <= inner.size() ||
		    !std::equal(inner.begin(), inner.end(), pids.begin()))
			continue;
		const std::vector<NsNumber> around =
			ns_numbers(Fd(open((proc + "ns/pid").c_str(), O_RDONLY | O_CLOEXEC)));
		if (around.size() >= inner.size() && around[inner.size() - 1] == pid_ns_inode(pod))
			return pid;
	}
	return 0;
}

#endif /* SET_TID_LIB_CRIU_PROCESSES_HPP */
