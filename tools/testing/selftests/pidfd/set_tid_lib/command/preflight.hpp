/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: --check, whether requests would be granted now. It has the kernel
 * look PIDs up, and asks /proc who has them, but does not call clone3().
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_PREFLIGHT_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_PREFLIGHT_HPP

#include "failure.hpp"
#include "images.hpp"
#include "inside.hpp"
#include "json.hpp"
#include "options.hpp"
#include "target.hpp"
#include "tasks.hpp"
#include "../capability.hpp"
#include "../errno.hpp"
#include "../fd.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../requirement.hpp"
#include "../shared.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bitset>
#include <map>
#include <optional>
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

/* No pid_max is higher (PID_MAX_LIMIT). */
constexpr pid_t pid_limit = 4194304;

/* What shows only inside of a PID namespace. */
struct Inside {
	int error = 0; /* why nobody could look; ESRCH: it has lost its init */
	long pid_max = -1;
	std::set<pid_t> in_use; /* those that were asked about */
};

/*
 * The kernel looks numbers up for whoever is in the namespace (F_SETOWN, which does
 * nothing else), and pid_max is read there: since Linux 6.14 each has its own. For another
 * namespace than the caller's a process is in it for a moment.
 */
inline Inside look_inside(const Fd &ns, const std::set<pid_t> &pids)
{
	struct Seen {
		std::atomic<long> pid_max;
		std::bitset<pid_limit> in_use;
	};
	const Shared<Seen> seen;
	const bool here = ns_number(ns) == own_ns_number("pid");
	auto possible = [](pid_t pid) { return pid > 0 && pid < pid_limit; };
	Inside inside;

	auto look = [&] {
		for (pid_t pid : pids) {
			/* This process has a PID there, too. */
			if (!possible(pid) || (!here && pid == getpid()))
				continue;
			if (!fcntl(ns.get(), F_SETOWN, pid))
				seen->in_use[pid] = true;
			else if (errno != ESRCH)
				return errno;
		}
		seen->pid_max = pid_max();
		return 0;
	};
	const int per_pid_us = 100;
	const int limit_ms = inside_limit_ms + pids.size() * per_pid_us / 1000;

	inside.error = abs(here ? look() : run_inside(ns, look, limit_ms));
	if (inside.error)
		return inside;
	inside.pid_max = seen->pid_max;
	for (pid_t pid : pids)
		if (possible(pid) && seen->in_use[pid])
			inside.in_use.insert(pid);
	return inside;
}

/* One PID that is asked for, and what speaks against it. */
struct Verdict {
	enum State { free, taken, bad, cannot_tell } state;
	std::string reason;
	std::string text;
	std::optional<NamedHolder> holder;
};

class Preflight {
public:
	Preflight(const Options &options, const std::vector<Wanted> &requests)
		: levels_(look_at_levels(open_target(options, level_), requests)),
		  holders_(ns_numbers(), level_), restored_(options.report)
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
		const std::optional<Holder> found =
			holders_.find(level_ - static_cast<int>(i), wanted.pids[i]);

		if (!found)
			return nobody(i, wanted.pids[i]);
		const NamedHolder holder(*found);
		const bool leads = holder.kind == Holder::group || holder.kind == Holder::session;
		if (leads && !wanted.leads_only)
			return { Verdict::bad, "missing", holder.in_words(), holder };
		if (i) {
			const std::optional<Holder> innermost =
				holders_.find(level_, wanted.pids[0]);

			if (!innermost || innermost->pid != holder.pid)
				return { Verdict::bad, "another", "another " + holder.in_words(),
					 holder };
		}
		/* It may have been one before, or have ended since. */
		if (holder.kind == Holder::zombie)
			return { Verdict::cannot_tell, "zombie", holder.in_words(), holder };
		return { Verdict::taken, "there", holder.in_words(), holder };
	}

	/* kernel.pid_max of a level, or a negative number if that is not known. */
	long pid_max_at(int level) const { return levels_[level_ - level].inside.pid_max; }

	/* The highest PID at each level of those that may be asked for. */
	const std::map<int, pid_t> &highest() const { return highest_; }

private:
	/* Of a PID for which no process or thread has been found, after a restore. */
	Verdict nobody(size_t i, pid_t pid) const
	{
		const int level = level_ - static_cast<int>(i);
		const bool no_level = level < 0 && from_initial_ns();

		if (!no_level && (level < 0 || i >= levels_.size()))
			return cannot_tell(outside);
		if (!no_level && levels_[i].inside.in_use.count(pid))
			return cannot_tell(unnamed);
		if (!no_level && levels_[i].inside.error)
			return cannot_look(levels_[i].inside.error);
		return { Verdict::free, "missing", "nobody has it", {} };
	}

	Verdict judge(size_t i, pid_t pid)
	{
		const int level = level_ - static_cast<int>(i);

		if (level < 0 && from_initial_ns())
			return bad("too-many-pids", "there is no level for it");
		if (level < 0 || i >= levels_.size())
			return cannot_tell(outside);
		const Level &in = levels_[i];
		const long end = in.inside.pid_max > 0 ? in.inside.pid_max : pid_limit;
		if (pid < 1 || pid >= end)
			return bad("out-of-range", "not between 1 and pid_max - 1");
		if (!in.may_choose)
			return bad(
				"no-capability",
				"the caller has no capability in the user namespace that owns it");
		highest_[level] = std::max(highest_[level], pid);
		if (const std::optional<Holder> found = holders_.find(level, pid)) {
			const NamedHolder holder(*found);

			return { Verdict::taken, "in-use", holder.in_words(), holder };
		}
		if (!asked_.insert({ level, pid }).second)
			return taken("asked for twice");
		if (in.inside.in_use.count(pid))
			return taken(unnamed);
		if (in.inside.error == ESRCH)
			return bad("lost-init", "the namespace has no init");
		if (in.inside.error)
			return cannot_look(in.inside.error);
		if (in.inside.pid_max < 0)
			return cannot_tell("pid_max cannot be read there");
		return { Verdict::free, "free", "free", {} };
	}

	static constexpr const char *outside = "the namespace is outside of the caller's";
	static constexpr const char *unnamed = "somebody; /proc does not say who";

	static Verdict taken(std::string text)
	{
		return { Verdict::taken, "in-use", std::move(text), {} };
	}
	static Verdict bad(std::string reason, std::string text)
	{
		return { Verdict::bad, std::move(reason), std::move(text), {} };
	}
	static Verdict cannot_tell(std::string text)
	{
		return { Verdict::cannot_tell, "hidden", std::move(text), {} };
	}
	static Verdict cannot_look(int error)
	{
		return cannot_tell(std::string("nobody can look there (") + errno_name(error) +
				   ")");
	}

	struct Level {
		NsNumber ns;
		bool may_choose;
		Inside inside;
	};

	/* Level 0 is that of the machine, and not only what a container's /proc shows. */
	bool from_initial_ns() const
	{
		return static_cast<int>(levels_.size()) == level_ + 1 && !need::initial_pid_ns();
	}

	/* From the target outwards, as far as the kernel shows them: to the caller's own. */
	static std::vector<Level> look_at_levels(Fd ns, const std::vector<Wanted> &requests)
	{
		std::vector<Level> levels;

		for (; ns.valid(); ns = Fd(ioctl(ns.get(), NS_GET_PARENT))) {
			const std::set<pid_t> pids = wanted_at(requests, levels.size());

			levels.push_back({ ns_number(ns), may_choose_in(ns),
					   pids.empty() ? Inside{} : look_inside(ns, pids) });
		}
		return levels;
	}
	/* The ith PIDs of all requests. */
	static std::set<pid_t> wanted_at(const std::vector<Wanted> &requests, size_t i)
	{
		std::set<pid_t> pids;

		for (const Wanted &wanted : requests)
			if (i < wanted.pids.size())
				pids.insert(wanted.pids[i]);
		return pids;
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
	Holders holders_;
	std::map<int, pid_t> highest_;
	std::set<std::pair<int, pid_t>> asked_;
	const bool restored_;
};

/* The requests of --check, as they are judged. */
class CheckReport {
public:
	/* besides: how many more PIDs may be needed, above the highest. */
	CheckReport(Preflight &preflight, long besides, bool as_json)
		: preflight_(preflight), besides_(besides), as_json_(as_json)
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
			if (!as_json_) {
				snprintf(line, sizeof(line), "%5d  %9d  ", level, pids[i]);
				text_ += line + verdict.text + '\n';
				continue;
			}
			levels.push_back(JsonObject{}
						 .add("level", std::to_string(level))
						 .add("pid", std::to_string(pids[i]))
						 .add("state", json_string(names[verdict.state]))
						 .add("reason", json_string(verdict.reason))
						 .add("holder", verdict.holder ?
									verdict.holder->json() :
									"null")
						 .add("text", json_string(verdict.text))
						 .text());
		}
		if (as_json_)
			requests_.push_back(json_array(levels));
	}

	int exit_status()
	{
		const auto wrong = preflight_.restored() ? Verdict::free : Verdict::taken;

		if (counts_[wrong] || counts_[Verdict::bad])
			return exit_not_free;
		return counts_[Verdict::cannot_tell] ? exit_cannot_tell : exit_all_free;
	}

	std::string text() { return as_json_ ? json() : words(); }

private:
	std::string words()
	{
		std::string all = std::string("level        PID  ") +
				  (preflight_.restored() ? "has" : "is") + '\n' + text_;

		if (preflight_.restored())
			return all;
		for (const auto &[level, pid] : preflight_.highest())
			all += "level " + std::to_string(level) + ": the highest is " +
			       std::to_string(pid) + advice(level, pid) + '\n';
		return all;
	}
	std::string json()
	{
		const std::string good = preflight_.restored() ? "restored" : "free";
		const std::string results[] = { good, "not-" + good, "cannot-tell" };
		std::vector<std::string> highest;

		for (const auto &[level, pid] : preflight_.highest())
			highest.push_back(
				JsonObject{}
					.add("level", std::to_string(level))
					.add("pid", std::to_string(pid))
					.add("pid_min", has_room(level, pid) ?
								std::to_string(floor(pid)) :
								"null")
					.text());
		JsonObject all;

		all.add("result", json_string(results[exit_status()]));
		all.add("requests", json_array(requests_));
		if (!preflight_.restored())
			all.add("highest", json_array(highest));
		return all.text() + '\n';
	}

	/* The kernel.pid_min above all of them, and above what CRIU needs besides. */
	long floor(pid_t highest) const
	{
		return std::max<long>(highest, besides_ ? 300 : 0) + besides_ + 1;
	}

	/* Does that leave enough PIDs below pid_max? */
	bool has_room(int level, long highest) const
	{
		const long pid_max = preflight_.pid_max_at(level);

		return pid_max < 0 || floor(highest) <= pid_max - 300;
	}

	std::string advice(int level, long highest) const
	{
		if (pid_min() < 0)
			return "";
		if (!has_room(level, highest))
			return ", too high for --pid-min, which leaves 300 below pid_max";
		return ", --pid-min " + std::to_string(floor(highest)) + " keeps them free";
	}

	Preflight &preflight_;
	const long besides_;
	const bool as_json_;
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
	const int error = errno;
	free(line);
	/* Without memory there is an error, but not in ferror(). */
	if (!feof(file))
		fail("cannot read standard input", error);
	/* Who has made a list, and has lost it, is not told that all is well. */
	if (requests.empty())
		fail("standard input has no PIDs");
	return requests;
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_PREFLIGHT_HPP */
