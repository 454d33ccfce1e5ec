/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: who has a PID, as far as /proc shows it. That is without trace
 * events, on any Linux since 5.5, and before anything is asked for.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_TASKS_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_TASKS_HPP

#include "json.hpp"
#include "../fd.hpp"
#include "../file.hpp"
#include "../pids.hpp"
#include "../proc.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

/* A namespace by its number, as in /proc/<pid>/ns. 0: not known. */
using NsNumber = unsigned long long;

inline NsNumber ns_number(const Fd &ns)
{
	struct stat st = {};

	return fstat(ns.get(), &st) ? 0 : st.st_ino;
}

/* The caller's own: name is as in /proc/self/ns. */
inline NsNumber own_ns_number(const std::string &name)
{
	return ns_number(Fd(open(("/proc/self/ns/" + name).c_str(), O_RDONLY | O_CLOEXEC)));
}

/* A PID namespace and those around it, from the innermost outwards, as far as they show. */
inline std::vector<NsNumber> ns_numbers(Fd ns)
{
	std::vector<NsNumber> numbers;

	while (ns.valid()) {
		numbers.push_back(ns_number(ns));
		ns = Fd(ioctl(ns.get(), NS_GET_PARENT));
	}
	return numbers;
}

/* What has a PID: in the order in which they are named, if several have it. */
struct Holder {
	enum Kind { process, exited_leader, thread, zombie, group, session } kind;
	/* The process or thread, or one in the group or session, as /proc has it. */
	pid_t pid, tgid;

	const char *name() const
	{
		static const char *const names[] = { "process", "exited-leader", "thread",
						     "zombie",	"group",	 "session" };
		return names[kind];
	}

	/* Any bytes, escaped: whoever runs there has chosen them. */
	std::string comm() const
	{
		const std::string text = read_file(directory() + "comm");

		return escape_bytes(text.substr(0, text.size() - text.ends_with('\n')));
	}
	std::string command_line() const
	{
		std::string text = read_file(directory() + "cmdline");

		while (!text.empty() && text.back() == '\0')
			text.pop_back();
		std::replace(text.begin(), text.end(), '\0', ' ');
		return escape_bytes(text.substr(0, most)) + (text.size() > most ? "..." : "");
	}

private:
	/* A command line may be megabytes. */
	static constexpr size_t most = 200;

	std::string directory() const
	{
		return "/proc/" + std::to_string(tgid) + "/task/" + std::to_string(pid) + "/";
	}
};

/*
 * Who has which PID in a PID namespace and in those around it. Level 0 is the namespace
 * that /proc belongs to, and everybody that /proc shows is in it.
 */
class Holders {
public:
	/* The namespaces from the innermost outwards; level is that of the first. */
	Holders(const std::vector<NsNumber> &namespaces, int level)
		: namespaces_(namespaces), level_(level)
	{
		Pids processes;

		incomplete_ = !numbers_in("/proc", processes) || processes.empty();
		for (pid_t tgid : processes)
			add_process(tgid);
	}

	const Holder *find(int level, pid_t pid) const
	{
		const auto it = holders_.find({ level, pid });

		return it == holders_.end() ? nullptr : &it->second;
	}
	/* Somebody has it in a namespace at that level, which may be this one. */
	bool is_unclear(int level, pid_t pid) const { return unclear_.count({ level, pid }); }

	/* Something is there that cannot be looked at. */
	bool incomplete() const { return incomplete_; }

	/* There is an init, and it is not about to end. */
	bool has_init(int level) const { return !level || inits_.count(level); }

private:
	/* The namespaces that a process is in, from level 0 inwards; 0 for one not known. */
	std::vector<NsNumber> namespaces_of(const std::string &directory, size_t levels)
	{
		Fd ns(open((directory + "ns/pid").c_str(), O_RDONLY | O_CLOEXEC));
		const NsNumber own = ns.valid() ? ns_number(ns) : 0;
		auto &known = outwards_[own];

		if (own && known.empty())
			known = ns_numbers(std::move(ns));
		std::vector<NsNumber> inwards(known.begin(), known.end());
		inwards.resize(levels);
		std::reverse(inwards.begin(), inwards.end());
		return inwards;
	}

	void add_process(pid_t tgid)
	{
		const std::string directory = "/proc/" + std::to_string(tgid) + "/";
		std::vector<NsNumber> in;
		Pids threads;

		/* Its own listing may be empty because something else is mounted there. */
		if (!numbers_in(directory + "task", threads) || threads.empty())
			cannot_look_at(directory, tgid);

		for (pid_t tid : threads) {
			const std::string task = directory + "task/" + std::to_string(tid) + "/";
			const std::string status = read_file(task + "status");
			const Pids pids = pids_in(status, "NSpid:");

			if (pids.empty()) {
				cannot_look_at(task, tid);
				continue;
			}
			if (in.empty())
				in = namespaces_of(directory, pids.size());
			const bool ended = has_ended(status), leads = tid == tgid;
			const Holder::Kind kind = ended && leads && threads.size() > 1 ?
							  Holder::exited_leader :
						  ended ? Holder::zombie :
						  leads ? Holder::process :
							  Holder::thread;
			add(in, pids, { kind, tid, tgid });
			add(in, pids_in(status, "NSpgid:"), { Holder::group, tid, tgid });
			add(in, pids_in(status, "NSsid:"), { Holder::session, tid, tgid });
			/* The first thread may have exited, and another one be the init. */
			const Pids tgids = pids_in(status, "NStgid:");
			if (!ended && std::count(tgids.begin(), tgids.end(), 1) &&
			    !is_exiting(task))
				add_init(in, tgids);
		}
	}

	/* Unless it has gone meanwhile. */
	void cannot_look_at(const std::string &directory, pid_t pid)
	{
		if (access(directory.c_str(), F_OK))
			return;
		unclear_.insert({ 0, pid });
		incomplete_ = true;
	}

	static bool has_ended(const std::string &status)
	{
		const size_t at = status.find("\nState:\t");

		return at != status.npos && (status[at + 8] == 'Z' || status[at + 8] == 'X');
	}

	/* PF_EXITING, in the ninth field: an init takes nobody any more from then on. */
	static bool is_exiting(const std::string &task)
	{
		const std::string stat = read_file(task + "stat");
		const size_t at = stat.rfind(") ");
		unsigned int flags = 0;

		if (at != stat.npos)
			sscanf(stat.c_str() + at, ") %*c %*d %*d %*d %*d %*d %u", &flags);
		return flags & 4;
	}

	/* Which levels these PIDs are of that are asked about: calls fn(level, PID, clear). */
	template <typename Fn>
	void each_level(const std::vector<NsNumber> &in, const Pids &pids, Fn fn) const
	{
		for (int level = 0; level <= level_ && level < static_cast<int>(pids.size());
		     level++) {
			const size_t outwards = level_ - level;
			const pid_t pid = pids[pids.size() - 1 - level];
			const NsNumber asked =
				outwards < namespaces_.size() ? namespaces_[outwards] : 0;
			const NsNumber its = level ? in[level] : asked;

			if (pid > 0 && (!level || !asked || !its || asked == its))
				fn(level, pid, !level || (asked && its));
		}
	}
	void add(const std::vector<NsNumber> &in, const Pids &pids, const Holder &holder)
	{
		each_level(in, pids, [&](int level, pid_t pid, bool clear) {
			if (!clear) {
				unclear_.insert({ level, pid });
				return;
			}
			const auto [it, added] = holders_.insert({ { level, pid }, holder });

			if (!added && holder.kind < it->second.kind)
				it->second = holder;
		});
	}
	void add_init(const std::vector<NsNumber> &in, const Pids &pids)
	{
		each_level(in, pids, [&](int level, pid_t pid, bool) {
			if (pid == 1)
				inits_.insert(level);
		});
	}

	std::vector<NsNumber> namespaces_;
	int level_;
	std::map<std::pair<int, pid_t>, Holder> holders_;
	std::set<std::pair<int, pid_t>> unclear_;
	std::set<int> inits_;
	bool incomplete_ = false;
	std::map<NsNumber, std::vector<NsNumber>> outwards_;
};

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_TASKS_HPP */
