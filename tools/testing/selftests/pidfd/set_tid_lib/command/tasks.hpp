/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: who has a PID, as far as /proc shows it. That is without trace
 * events, on any Linux since 5.5, and before anything is asked for.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_TASKS_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_TASKS_HPP

#include "inside.hpp"
#include "json.hpp"
#include "../fd.hpp"
#include "../file.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../shared.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
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
};

/*
 * The start of what a process says its command line is, which may have no end. It can
 * also make its readers wait for ever: so it is read in a child, and no more are read
 * after one that had to be given up.
 */
inline std::string read_command_line(const std::string &path, size_t most)
{
	struct Line {
		size_t size;
		char text[512];
	};
	static bool given_up;
	const Shared<Line> line;

	if (given_up)
		return "";
	given_up = run_and_wait(inside_limit_ms, [&] {
			   const std::string text =
				   read_start(path, std::min(most, sizeof(line->text)));

			   text.copy(line->text, text.size());
			   line->size = text.size();
		   }) == ETIMEDOUT;
	return given_up ? "" : std::string(line->text, line->size);
}

/* A holder with its names, which are read once: all that is said of it agrees. */
struct NamedHolder : Holder {
	/* Any bytes, escaped: whoever runs there has chosen them. */
	std::string comm, command_line;

	explicit NamedHolder(const Holder &holder) : Holder(holder)
	{
		const std::string directory =
			"/proc/" + std::to_string(tgid) + "/task/" + std::to_string(pid) + "/";
		const std::string name = read_start(directory + "comm", most);
		std::string line = read_command_line(directory + "cmdline", most + 2);
		const bool whole = line.size() < most + 2;

		comm = escape_bytes(name.substr(0, name.size() - name.ends_with('\n')));
		while (whole && line.ends_with('\0'))
			line.pop_back();
		std::replace(line.begin(), line.end(), '\0', ' ');
		command_line =
			escape_bytes(line.substr(0, most)) + (line.size() > most ? "..." : "");
	}

	std::string in_words() const
	{
		const std::string who = std::to_string(pid) + " \"" + comm + "\"" +
					(command_line.empty() ? "" : " (" + command_line + ")");

		switch (kind) {
		case process:
			return "process " + who;
		case exited_leader:
			return "process " + who + ", whose first thread has exited";
		case thread:
			return "thread " + who + " of process " + std::to_string(tgid);
		case zombie:
			return "zombie " + who + ", until its parent waits for it";
		default:
			return std::string("only a ") + name() + ": process " + who + " is in it";
		}
	}

	std::string json() const
	{
		return JsonObject{}
			.add("kind", json_string(name()))
			.add("pid", pid)
			.add("tgid", tgid)
			.add("comm", json_string(comm))
			.add("command_line", json_string(command_line))
			.text();
	}

private:
	static constexpr size_t most = 200;
};

/*
 * Who has which PID in a PID namespace and in those around it, as far as /proc shows it.
 * Level 0 is the namespace that /proc belongs to, and everybody that /proc shows is in it.
 */
class Holders {
public:
	/* The namespaces from the innermost outwards; level is that of the first. */
	Holders(const std::vector<NsNumber> &namespaces, int level)
		: namespaces_(namespaces), level_(level)
	{
		Pids processes;

		numbers_in("/proc", processes);
		for (pid_t tgid : processes) {
			const std::vector<NsNumber> &in = namespaces_of(tgid);
			Pids threads;

			numbers_in(directory(tgid) + "task", threads);
			for (pid_t tid : threads)
				look_at(tgid, tid, in, holders_);
		}
	}

	/* As it is now: the one that had it may have ended since, or be a zombie. */
	std::optional<Holder> find(int level, pid_t pid)
	{
		const auto before = holders_.find({ level, pid });
		Found now;

		if (before == holders_.end())
			return {};
		const Holder &holder = before->second;
		look_at(holder.tgid, holder.pid, namespaces_of(holder.tgid), now);
		const auto again = now.find({ level, pid });
		if (again == now.end())
			return {};
		return again->second;
	}

private:
	using Found = std::map<std::pair<int, pid_t>, Holder>;

	static std::string directory(pid_t tgid) { return "/proc/" + std::to_string(tgid) + "/"; }

	/* The namespaces that a process is in, from its own outwards, as far as they show. */
	const std::vector<NsNumber> &namespaces_of(pid_t tgid)
	{
		Fd ns(open((directory(tgid) + "ns/pid").c_str(), O_RDONLY | O_CLOEXEC));
		auto &known = outwards_[ns.valid() ? ns_number(ns) : 0];

		if (ns.valid() && known.empty())
			known = ns_numbers(std::move(ns));
		return known;
	}

	/* Adds what one thread has: PIDs, and those of its group and session. */
	void look_at(pid_t tgid, pid_t tid, const std::vector<NsNumber> &in, Found &found) const
	{
		const std::string task = directory(tgid) + "task/" + std::to_string(tid) + "/";
		const std::string status = read_file(task + "status");
		const Pids pids = pids_in(status, "NSpid:");

		/* It has ended, or that is not /proc: something is mounted there. */
		if (pids.empty() || pids.back() != tid)
			return;
		const bool ended = has_ended(status), leads = tid == tgid;
		const Holder::Kind kind = ended && leads && has_threads(tgid) ?
						  Holder::exited_leader :
					  ended ? Holder::zombie :
					  leads ? Holder::process :
						  Holder::thread;
		add(in, pids, { kind, tid, tgid }, found);
		add(in, pids_in(status, "NSpgid:"), { Holder::group, tid, tgid }, found);
		add(in, pids_in(status, "NSsid:"), { Holder::session, tid, tgid }, found);
	}

	static bool has_threads(pid_t tgid)
	{
		Pids threads;

		numbers_in(directory(tgid) + "task", threads);
		return threads.size() > 1;
	}

	static bool has_ended(const std::string &status)
	{
		const std::string state = field(status, "State");

		return state.starts_with('Z') || state.starts_with('X');
	}

	/* The PIDs of the holder that are in one of the namespaces that are asked about. */
	void add(const std::vector<NsNumber> &in, const Pids &pids, const Holder &holder,
		 Found &found) const
	{
		const int own_level = static_cast<int>(pids.size()) - 1;

		for (int level = 0; level <= std::min(level_, own_level); level++) {
			const NsNumber asked = at(namespaces_, level_ - level);
			const pid_t pid = pids[own_level - level];

			/* 0: its group or session is further out. */
			if (pid <= 0 || (level && (!asked || asked != at(in, own_level - level))))
				continue;
			const auto [it, added] = found.insert({ { level, pid }, holder });
			if (!added && holder.kind < it->second.kind)
				it->second = holder;
		}
	}
	/* The namespace so many levels further out, or 0. */
	static NsNumber at(const std::vector<NsNumber> &namespaces, size_t outwards)
	{
		return outwards < namespaces.size() ? namespaces[outwards] : 0;
	}

	const std::vector<NsNumber> namespaces_;
	const int level_;
	std::map<NsNumber, std::vector<NsNumber>> outwards_;
	Found holders_;
};

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_TASKS_HPP */
