/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: --check, whether requests would be granted now. It asks /proc,
 * not clone3().
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_PREFLIGHT_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_PREFLIGHT_HPP

#include "failure.hpp"
#include "images.hpp"
#include "inside.hpp"
#include "json.hpp"
#include "options.hpp"
#include "tasks.hpp"
#include "../capability.hpp"
#include "../fd.hpp"
#include "../pids.hpp"
#include "../proc.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

/* The exit status of --check. */
enum {
	exit_all_free = 0,
	exit_not_free = 1,
	exit_cannot_tell = 2,
};

/* Would one of the two capabilities of the caller count in the owner of a namespace? */
inline bool may_choose_in(const Fd &ns)
{
	const bool capable = has_capability(CAP_SYS_ADMIN) ||
			     has_capability(CAP_CHECKPOINT_RESTORE);
	const NsNumber own = own_ns_number("user");
	Fd user(ioctl(ns.get(), NS_GET_USERNS));

	if (!own)
		return capable; /* this kernel has no user namespaces */
	/* One that is further out than the caller's is not shown. */
	if (!user.valid())
		return false;
	while (ns_number(user) != own) {
		Fd parent(ioctl(user.get(), NS_GET_PARENT));
		uid_t owner;

		if (!parent.valid())
			return false;
		/* Who has created a user namespace has all capabilities in it. */
		if (ns_number(parent) == own && !ioctl(user.get(), NS_GET_OWNER_UID, &owner) &&
		    owner == geteuid())
			return true;
		user = std::move(parent);
	}
	return capable;
}

/* Since Linux 6.14 each PID namespace has its own pid_max. */
inline bool has_own_pid_max()
{
	struct utsname name;
	int major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	return major > 6 || (major == 6 && minor >= 14);
}

/*
 * kernel.pid_max of a namespace, or a negative number. It shows only inside, so a process
 * has to be there for a moment.
 */
inline long pid_max_in(const Fd &ns)
{
	const bool here = ns_number(ns) == own_ns_number("pid") || !has_own_pid_max();

	return here ? pid_max() : run_inside(ns, pid_max);
}

/* Opens the PID namespace of --enter, or the caller's; level is set to its own. */
inline Fd open_target(const Options &options, int &level)
{
	const std::string process =
		"/proc/" + (options.enter ? std::to_string(*options.enter) : "self") + "/";
	Fd ns(open((process + "ns/pid").c_str(), O_RDONLY | O_CLOEXEC));

	if (!ns.valid())
		fail("cannot open " + process + "ns/pid" +
			     (errno == ENOENT ? ": there is no such process, or no /proc" : ""),
		     errno);
	level = static_cast<int>(nspids(process + "status").size()) - 1;
	if (level < 0)
		fail("cannot read PIDs: is /proc mounted?");
	return ns;
}

/* The line about /proc in mountinfo: by its number, as names there can be anything. */
inline std::string proc_mount()
{
	static const std::string key = "mnt_id:\t";
	const Fd proc(open("/proc", O_PATH | O_CLOEXEC));
	const std::string info = read_file("/proc/self/fdinfo/" + std::to_string(proc.get())),
			  mounts = "\n" + read_file("/proc/self/mountinfo");
	const size_t at = info.find(key);

	if (at == info.npos)
		return "";
	const std::string id = std::to_string(atol(info.c_str() + at + key.size()));
	const size_t line = mounts.find("\n" + id + " ");
	return line == mounts.npos ? "" :
				     mounts.substr(line + 1, mounts.find('\n', line + 1) - line);
}

/*
 * Some processes may not be shown. A capability helps against hidepid only if it is one
 * in the user namespaces of all others, that is in the initial one.
 */
inline bool proc_hides_processes()
{
	constexpr NsNumber initial_user_ns = 0xEFFFFFFD;
	const std::string mount = proc_mount();
	const bool sees_all = has_capability(CAP_SYS_PTRACE) &&
			      own_ns_number("user") == initial_user_ns;

	return mount.empty() || (mount.find("hidepid=") != mount.npos && !sees_all);
}

/* One PID that is asked for, and what speaks against it. */
struct Verdict {
	enum State { free, taken, bad, cannot_tell } state;
	std::string reason;
	std::string text;
	const Holder *holder = nullptr;
};

class Preflight {
public:
	explicit Preflight(const Options &options)
		: levels_(look_at_levels(open_target(options, level_))),
		  hidden_(proc_hides_processes()), holders_(ns_numbers(), level_),
		  restored_(options.report)
	{
	}

	int level() const { return level_; }
	/* Whether the PIDs are those of a restore that is over, and not of one to come. */
	bool restored() const { return restored_; }

	/* Of the ith PID of a request: may it be asked for? */
	Verdict judge(const Wanted &wanted, size_t i) { return judge(i, wanted.pids[i]); }

	/* After a restore: does one process or thread have all PIDs of the request? */
	Verdict compare(const Wanted &wanted, size_t i)
	{
		const Holder *innermost = holders_.find(level_, wanted.pids[0]);
		const Holder *holder = holders_.find(level_ - static_cast<int>(i), wanted.pids[i]);

		if (!holder)
			return nobody(judge(i, wanted.pids[i]));
		const std::string who = in_words(*holder);
		const bool leads = holder->kind == Holder::group || holder->kind == Holder::session;
		if (leads && !wanted.leads_only)
			return { Verdict::bad, "missing", who, holder };
		if (i && (!innermost || innermost->pid != holder->pid))
			return { Verdict::bad, "another", "another " + who, holder };
		/* It may have been one before, or have ended since. */
		if (holder->kind == Holder::zombie)
			return { Verdict::cannot_tell, "zombie", who, holder };
		return { Verdict::taken, "there", who, holder };
	}

	/* kernel.pid_max of a level, or a negative number if that is not known. */
	long pid_max_at(int level) const { return levels_[level_ - level].pid_max; }

	/* The highest PID that is asked for at each level. */
	const std::map<int, pid_t> &highest() const { return highest_; }

private:
	/* A PID for which no process or thread has been found, after a restore. */
	static Verdict nobody(const Verdict &before)
	{
		if (before.state == Verdict::taken)
			return { Verdict::cannot_tell, "hidden", before.text };
		if (before.state == Verdict::cannot_tell)
			return before;
		return { Verdict::free, "missing", "nobody has it" };
	}

	Verdict judge(size_t i, pid_t pid)
	{
		const int level = level_ - static_cast<int>(i);

		if (level < 0 && from_initial_ns())
			return { Verdict::bad, "too-many-pids", "there is no level for it" };
		if (i >= levels_.size())
			return { Verdict::cannot_tell, "hidden",
				 "the namespace is outside of the caller's" };
		const Level &in = levels_[i];
		if (pid < 1 || (in.pid_max > 0 && pid >= in.pid_max))
			return { Verdict::bad, "out-of-range", "not between 1 and pid_max - 1" };
		if (!restored_ && !in.may_choose)
			return { Verdict::bad, "no-capability",
				 "the caller has no capability in the user namespace that owns it" };
		highest_[level] = std::max(highest_[level], pid);
		if (const Holder *holder = holders_.find(level, pid))
			return { Verdict::taken, "in-use", in_words(*holder), holder };
		if (!asked_.insert({ level, pid }).second && !restored_)
			return { Verdict::taken, "in-use", "asked for twice" };
		if (in.own && pid_in_use(pid))
			return { Verdict::taken, "in-use", "somebody that /proc does not show" };
		if (holders_.is_unclear(level, pid))
			return { Verdict::cannot_tell, "hidden",
				 "a process with this PID may be there, or in another namespace" };
		if (hidden_)
			return { Verdict::cannot_tell, "hidden",
				 "/proc hides processes (hidepid)" };
		if (holders_.incomplete())
			return { Verdict::cannot_tell, "hidden", "a process cannot be looked at" };
		if (!holders_.has_init(level))
			return { Verdict::bad, "lost-init", "the namespace has no init" };
		if (in.pid_max < 0)
			return { Verdict::cannot_tell, "hidden", "pid_max cannot be read there" };
		return { Verdict::free, "free", "free" };
	}

	static std::string in_words(const Holder &holder)
	{
		const std::string comm = holder.comm(), line = holder.command_line();
		const std::string who = std::to_string(holder.pid) + " \"" + comm + "\"" +
					(line.empty() ? "" : " (" + line + ")");

		switch (holder.kind) {
		case Holder::process:
			return "process " + who;
		case Holder::exited_leader:
			return "process " + who + ", whose first thread has exited";
		case Holder::thread:
			return "thread " + who + " of process " + std::to_string(holder.tgid);
		case Holder::zombie:
			return "zombie " + who + ", until its parent waits for it";
		default:
			return std::string("only a ") + holder.name() + ": process " + who +
			       " is in it";
		}
	}

	struct Level {
		NsNumber ns;
		long pid_max;
		bool may_choose, own;
	};

	/* Level 0 is that of the machine, and not only what a container's /proc shows. */
	bool from_initial_ns() const
	{
		return static_cast<int>(levels_.size()) == level_ + 1 && !need::initial_pid_ns();
	}

	/* From the target outwards, as far as the kernel shows them: to the caller's own. */
	static std::vector<Level> look_at_levels(Fd ns)
	{
		const NsNumber own = own_ns_number("pid");
		std::vector<Level> levels;

		for (; ns.valid(); ns = Fd(ioctl(ns.get(), NS_GET_PARENT)))
			levels.push_back({ ns_number(ns), pid_max_in(ns), may_choose_in(ns),
					   ns_number(ns) == own });
		return levels;
	}
	std::vector<NsNumber> ns_numbers() const
	{
		std::vector<NsNumber> numbers;

		for (const Level &level : levels_)
			numbers.push_back(level.ns);
		return numbers;
	}

	int level_ = 0;
	std::vector<Level> levels_;
	bool hidden_;
	Holders holders_;
	std::map<int, pid_t> highest_;
	std::set<std::pair<int, pid_t>> asked_;
	const bool restored_;
};

inline std::string holder_json(const Verdict &verdict)
{
	if (!verdict.holder)
		return "null";
	const Holder &holder = *verdict.holder;

	return JsonObject{}
		.add("kind", json_string(holder.name()))
		.add("pid", holder.pid)
		.add("tgid", holder.tgid)
		.add("comm", json_string(holder.comm()))
		.add("command_line", json_string(holder.command_line()))
		.text();
}

/* The requests of --check, as they are judged. */
class CheckReport {
public:
	/* besides: how many more PIDs may be needed, above the highest. */
	CheckReport(Preflight &preflight, long besides) : preflight_(preflight), besides_(besides)
	{
	}

	void add(const Wanted &wanted)
	{
		static const char *const before[] = { "free", "taken", "bad", "cannot-tell" };
		static const char *const after[] = { "missing", "there", "bad", "cannot-tell" };
		const auto &names = preflight_.restored() ? after : before;
		const Pids &pids = wanted.pids;
		std::vector<std::string> levels;

		for (size_t i = pids.size(); i-- > 0;) {
			const Verdict verdict = preflight_.restored() ?
							preflight_.compare(wanted, i) :
							preflight_.judge(wanted, i);
			const int level = preflight_.level() - static_cast<int>(i);
			char line[64];

			counts_[verdict.state]++;
			snprintf(line, sizeof(line), "%5d  %9d  ", level, pids[i]);
			text_ += line + verdict.text + '\n';
			levels.push_back(JsonObject{}
						 .add("level", std::to_string(level))
						 .add("pid", std::to_string(pids[i]))
						 .add("state", json_string(names[verdict.state]))
						 .add("reason", json_string(verdict.reason))
						 .add("holder", holder_json(verdict))
						 .add("text", json_string(verdict.text))
						 .text());
		}
		requests_.push_back(json_array(levels));
	}

	int exit_status()
	{
		const auto wrong = preflight_.restored() ? Verdict::free : Verdict::taken;

		if (counts_[wrong] || counts_[Verdict::bad])
			return exit_not_free;
		return counts_[Verdict::cannot_tell] ? exit_cannot_tell : exit_all_free;
	}

	std::string text()
	{
		std::string all = std::string("level        PID  ") +
				  (preflight_.restored() ? "has" : "is") + '\n' + text_;

		if (preflight_.restored())
			return all;
		for (const auto &[level, pid] : preflight_.highest())
			all += "level " + std::to_string(level) + ": the highest is " +
			       std::to_string(pid) + advice(level, floor(pid)) + '\n';
		return all;
	}
	std::string json()
	{
		const std::string good = preflight_.restored() ? "restored" : "free";
		const std::string results[] = { good, "not-" + good, "cannot-tell" };
		std::vector<std::string> highest;

		for (const auto &[level, pid] : preflight_.highest())
			highest.push_back(JsonObject{}
						  .add("level", level)
						  .add("pid", pid)
						  .add("pid_min", floor(pid))
						  .text());
		JsonObject all;

		all.add("result", json_string(results[exit_status()]));
		all.add("requests", json_array(requests_));
		if (!preflight_.restored())
			all.add("highest", json_array(highest));
		return all.text() + '\n';
	}

private:
	/* The kernel.pid_min above all of them, and above what CRIU needs besides. */
	long floor(pid_t highest) const
	{
		return std::max<long>(highest, besides_ ? 300 : 0) + besides_ + 1;
	}

	std::string advice(int level, long floor) const
	{
		const long pid_max = preflight_.pid_max_at(level);

		if (pid_min() < 0)
			return "";
		if (pid_max > 0 && floor > pid_max - 300)
			return ", too high for --pid-min, which leaves 300 below pid_max";
		return ", --pid-min " + std::to_string(floor) + " keeps them free";
	}

	Preflight &preflight_;
	long besides_;
	std::string text_;
	std::vector<std::string> requests_;
	std::map<int, int> counts_;
};

/* One request a line; empty lines and what follows a # do not count. */
inline std::vector<Wanted> read_requests(FILE *file)
{
	std::vector<Wanted> requests;
	char *line = nullptr;
	size_t room = 0;
	long length;

	while ((length = getline(&line, &room, file)) >= 0) {
		std::string text(line, length);

		text = text.substr(0, text.find('#'));
		text.erase(text.find_last_not_of(" \t\r\n") + 1);
		text.erase(0, text.find_first_not_of(" \t"));
		if (!text.empty())
			requests.push_back({ parse_pids(text) });
	}
	free(line);
	if (ferror(file))
		fail("cannot read standard input", errno);
	return requests;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_PREFLIGHT_HPP */
