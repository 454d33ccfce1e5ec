// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid against a model of it: random callers make random
 * requests in random namespaces, and each answer and effect is compared with
 * what Documentation/userspace-api/set_tid.rst makes of it.
 *
 * The model knows namespaces and their owners, the callers' capabilities, who
 * holds which PID (processes, threads, zombies, process groups, sessions),
 * pid_max and the automatic sequences. A caller may have entered a namespace that
 * has no init yet, which somebody else has created, and create it there.
 *
 * One worker has its namespaces to itself, and exactly one answer is right.
 * Several workers share theirs: each has PIDs that only it asks for (one answer
 * is right), and some that all ask for (got, or in use if somebody may have it).
 * No PID ever has two holders.
 *
 * As a command it runs for as long as it is told to:
 *
 *	set_tid_model_test --minutes N [--workers K] [--seed S]
 *
 * As a test it takes SET_TID_MODEL_SECONDS for each of its two parts (10 if not
 * set) and SET_TID_MODEL_SEED, if set. What one worker did can be replayed: on a
 * machine that has just been started and does nothing else the same seed makes
 * the same calls. A mismatch is cut down to a few calls.
 *
 * SET_TID_MODEL_STARVE=1 lets it lower kernel.pid_max so far that for moments
 * nobody on the machine can create a process: for a machine that has nothing
 * else to do.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/errno.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/initless_ns.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/stack.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace
{
/*
 * Chance. Everything random comes from a seed, and parts that can be left out
 * have seeds of their own.
 */
class Random {
public:
	explicit Random(uint64_t seed) : state_(seed) {}

	uint64_t next()
	{
		uint64_t z = state_ += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		return z ^ z >> 31;
	}
	/* 0 to count - 1 */
	uint64_t below(uint64_t count) { return next() % count; }
	bool percent(unsigned int chance) { return below(100) < chance; }
	template <typename List> auto of(const List &list)
	{
		return *std::next(list.begin(), below(list.size()));
	}
	template <typename T> T of(std::initializer_list<T> list)
	{
		return list.begin()[below(list.size())];
	}

private:
	uint64_t state_;
};

/*
 * The model
 */

constexpr pid_t reserved = 300; /* where automatic PIDs start again */
const bool may_starve = getenv("SET_TID_MODEL_STARVE");
constexpr int max_requested = 33;

struct UserNs {
	int parent;
	int level;
};

struct PidNs {
	int parent = -1;
	int level = 0;
	int owner = 0; /* a user namespace */
	enum { unborn, alive, dead } state = alive;
	bool private_to_actor = false;
	std::map<pid_t, int> held; /* and how many hold it */
	/*
	 * What ns_last_pid may be: one number, but for after calls that may or
	 * may not have used up one. Nothing is known if others create
	 * processes here.
	 */
	std::set<pid_t> last;
};

struct Actor {
	int active = 0; /* the namespace that it is in */
	int target = 0; /* and that of its children */
	int user = 0;
	int joined = 0; /* the PID namespace whose owner that is */
	enum Power { full, none, admin, checkpoint, nobody } power = full;
};

/* What the child does once it is there. */
enum class Role { leaves, sleeps, zombie, group, session, thread, init };

enum class Array { readable, missing, unmapped, half };

struct Call {
	Pids pids;
	Array array = Array::readable;
	uint64_t set_tid_size = 0; /* if not that of pids */
	uint64_t flags = 0;
	uint64_t exit_signal = SIGCHLD;
	size_t size = sizeof(clone_args);
	bool tail = false; /* something behind what is known of the structure */
	bool bad_pidfd = false;
	int64_t cgroup = -1;
	bool stack_without_size = false;
	Role role = Role::leaves;
};

/* The answers that are right: errnos, 0 for success. */
using Answers = std::set<int>;

struct Prediction {
	Answers answers;
	bool after_claim = false; /* fails there */
};

/* A PID that all workers ask for, and the range of one of them. */
struct Shares {
	pid_t contended = 0;
	int contended_count = 0;
	pid_t own = 0;
	int own_count = 0;

	bool is_contended(pid_t pid) const
	{
		return pid >= contended && pid < contended + contended_count;
	}
	bool is_reserved(pid_t pid) const { return contended && pid >= contended; }
};

struct Model {
	std::vector<UserNs> users = { { -1, 0 } };
	std::vector<PidNs> spaces = { {} };
	pid_t pid_max = 0;
	Shares shares;
	std::set<pid_t> foreign; /* at level 0 */
	bool cgroups = false;

	/* The target's levels, innermost first. */
	std::vector<int> levels(int target) const
	{
		std::vector<int> list;

		for (; target >= 0; target = spaces[target].parent)
			list.push_back(target);
		return list;
	}

	/* Whether a user namespace is another one or inside of it. */
	bool is_inside(int user, int outer) const
	{
		while (user > outer)
			user = users[user].parent;
		return user == outer;
	}
	bool has_admin(const Actor &a) const
	{
		return a.power == Actor::full || a.power == Actor::admin;
	}
	/* Either of the two, in a user namespace, as capabilities(7) has it. */
	bool may_choose(const Actor &a, int user) const
	{
		for (;; user = users[user].parent) {
			if (user == a.user)
				return a.power != Actor::none && a.power != Actor::nobody;
			if (users[user].level <= users[a.user].level)
				return false;
			/* All user namespaces have been created by uid 0. */
			if (users[user].parent == a.user && a.power != Actor::nobody)
				return true;
		}
	}

	/* The automatic PID that comes after one, or 0. */
	pid_t automatic(const PidNs &ns, pid_t last) const
	{
		const pid_t first = last + 1 > reserved ? reserved : 1;
		const pid_t start = std::max(last + 1, first);

		for (pid_t pid : { start, first }) {
			while (pid < pid_max && ns.held.count(pid))
				pid++;
			if (pid < pid_max)
				return pid;
		}
		return 0;
	}

	Prediction predict(const Actor &a, const Call &c, const clone_args &seen,
			   const Pids &pids) const;
	std::string check(const Actor &a, bool init, const Pids &asked, const Pids &got);
	void failed_late(const Actor &a, bool init, const Pids &asked);
	Answers claim(const std::vector<int> &levels, const Pids &pids, bool init) const;

	void hold(int target, const Pids &pids)
	{
		size_t i = 0;

		for (int ns : levels(target)) {
			if (i < pids.size())
				spaces[ns].held[pids[i++]]++;
		}
	}
	void release(int target, const Pids &pids)
	{
		size_t i = 0;

		for (int ns : levels(target)) {
			auto &held = spaces[ns].held;
			if (i >= pids.size())
				break;
			const auto it = held.find(pids[i++]);

			if (it != held.end() && !--it->second)
				held.erase(it);
		}
	}
};

/* The rows 11 to 13, for levels that have been judged. */
Answers Model::claim(const std::vector<int> &levels, const Pids &pids, bool init) const
{
	Answers also;
	size_t i = init; /* PID 1 of a new namespace is there to be had */

	for (int space : levels) {
		const PidNs &ns = spaces[space];
		const pid_t pid = i < pids.size() ? pids[i] : 0;

		i++;
		if (pid && ns.held.count(pid)) {
			also.insert(EEXIST);
			return also;
		}
		if (ns.state == PidNs::dead) {
			also.insert(ENOMEM);
			return also;
		}
		if (pid && shares.is_contended(pid))
			also.insert(EEXIST);
		if (pid)
			continue;
		if (ns.last.empty()) {
			/* Others may have all of the few that are left. */
			if (pid_max < 1000)
				also.insert(EAGAIN);
			continue;
		}
		bool any = false;
		for (pid_t last : ns.last)
			any = any || automatic(ns, last);
		if (!any) {
			also.insert(EAGAIN);
			return also;
		}
	}
	also.insert(0);
	return also;
}

/*
 * What comes out of a call with this structure, as far as the kernel gets to
 * see it, and these PIDs, in the order in which things are looked at.
 */
Prediction Model::predict(const Actor &a, const Call &c, const clone_args &seen,
			  const Pids &pids) const
{
	const uint64_t flags = seen.flags;
	const bool init = flags & CLONE_NEWPID;

	/* 3, 4, 5 */
	if (c.size < CLONE_ARGS_SIZE_VER0)
		return { { EINVAL } };
	if (c.size > size_t(sysconf(_SC_PAGESIZE)) || (c.tail && c.size > sizeof(seen)))
		return { { E2BIG } };
	if (!seen.set_tid != !seen.set_tid_size || seen.set_tid_size > max_requested)
		return { { EINVAL } };

	/* The exit signal and the number of the cgroup, then 6 */
	if (seen.exit_signal > 64)
		return { { EINVAL } };
	if (flags & CLONE_INTO_CGROUP && (seen.cgroup > INT_MAX || c.size < CLONE_ARGS_SIZE_VER2))
		return { { EINVAL } };
	if (seen.set_tid && c.array != Array::readable)
		return { { EFAULT } };

	/* Flags and stack */
	if (flags & ~(CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP | UINT32_MAX) ||
	    flags & CLONE_DETACHED)
		return { { EINVAL } };
	if (flags & CLONE_SIGHAND && flags & CLONE_CLEAR_SIGHAND)
		return { { EINVAL } };
	if (flags & (CLONE_THREAD | CLONE_PARENT) && seen.exit_signal)
		return { { EINVAL } };
	if (!seen.stack != !seen.stack_size)
		return { { EINVAL } };

	/* What clone3() checks before it allocates a PID */
	if (flags & CLONE_NEWUSER && flags & CLONE_FS)
		return { { EINVAL } };
	if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
		return { { EINVAL } };
	if (flags & CLONE_SIGHAND && !(flags & CLONE_VM))
		return { { EINVAL } };
	if (flags & CLONE_THREAD && (flags & CLONE_NEWUSER || init || a.active != a.target))
		return { { EINVAL } };
	if (init && !(flags & CLONE_NEWUSER) && !has_admin(a))
		return { { EPERM } };
	if (init && a.active != a.target)
		return { { EINVAL } };
	if (init && !is_inside(a.user, spaces[a.target].owner))
		return { { EINVAL } };
	if (init && spaces[a.target].level == max_pid_ns_level)
		return { { ENOSPC } };

	/* 7 to 10 */
	const std::vector<int> levels = this->levels(a.target);
	if (pids.size() > levels.size() + init)
		return { { EINVAL } };
	for (size_t i = 0; i < pids.size(); i++) {
		/* The new namespace is owned by the new user namespace, or the caller's. */
		const bool its_own = i < init;
		const PidNs *ns = its_own ? nullptr : &spaces[levels[i - init]];

		if (pids[i] < 1 || pids[i] >= pid_max)
			return { { EINVAL } };
		if (pids[i] != 1 && (its_own || ns->state == PidNs::unborn))
			return { { EINVAL } };
		if (its_own ? !(flags & CLONE_NEWUSER) && !may_choose(a, a.user) :
			      !may_choose(a, ns->owner))
			return { { EPERM } };
	}

	/* 11 to 13, and what comes after the claim */
	Prediction p = { claim(levels, pids, init) };
	if (p.answers.count(0) && (c.bad_pidfd || flags & CLONE_INTO_CGROUP)) {
		p.after_claim = true;
		p.answers.erase(0);
		p.answers.insert(c.bad_pidfd ? EFAULT : EBADF);
	}
	return p;
}

/* A child has come out with these PIDs: is that right? Moves the sequences. */
std::string Model::check(const Actor &a, bool init, const Pids &asked, const Pids &got)
{
	const std::vector<int> levels = this->levels(a.target);

	if (got.size() != levels.size() + init)
		return "has " + std::to_string(got.size()) + " PIDs";
	if (init && got[0] != 1)
		return "is not the first process";
	for (size_t i = init; i < got.size(); i++) {
		PidNs &ns = spaces[levels[i - init]];

		if (ns.held.count(got[i]))
			return "has a PID that is in use";
		if (i < asked.size() && got[i] != asked[i])
			return "has not got what it asked for";
		if (i < asked.size())
			continue;
		if (got[i] < 1 || got[i] >= pid_max || shares.is_reserved(got[i]))
			return "has a PID out of range";
		if (ns.last.empty())
			continue;
		bool right = false;
		for (pid_t last : ns.last)
			right = right || automatic(ns, last) == got[i];
		if (!right)
			return "has not got the next PID at level " + std::to_string(ns.level) +
			       ", after " + to_string(Pids(ns.last.begin(), ns.last.end()));
		ns.last = { got[i] };
	}
	return {};
}

/* A claim was made and given back: it may have used up automatic PIDs. */
void Model::failed_late(const Actor &a, bool init, const Pids &asked)
{
	size_t i = init;

	for (int space : levels(a.target)) {
		PidNs &ns = spaces[space];

		if (i++ < asked.size() || ns.state == PidNs::unborn)
			continue;
		for (pid_t last : std::set<pid_t>(ns.last)) {
			if (const pid_t pid = automatic(ns, last))
				ns.last.insert(pid);
		}
	}
}

/*
 * The calls
 */

/* What a call has to point to. The same in an actor and in who replays it. */
struct Memory {
	const size_t page = sysconf(_SC_PAGESIZE);
	char *half; /* two pages, of which the second cannot be touched */
	pid_t pids[64];
	int pidfd = -1;

	Memory()
	{
		half = static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		mprotect(half + page, page, PROT_NONE);
	}
};

clone_args arguments(const Call &c, Memory &memory, uint64_t stack)
{
	clone_args args = {};

	args.flags = c.flags;
	args.exit_signal = c.exit_signal;
	if (!c.pids.empty() || c.set_tid_size) {
		std::fill(std::begin(memory.pids), std::end(memory.pids), 1);
		std::copy(c.pids.begin(), c.pids.end(), memory.pids);
		args.set_tid = reinterpret_cast<uintptr_t>(memory.pids);
		args.set_tid_size = c.set_tid_size ? c.set_tid_size : c.pids.size();
	}
	switch (c.array) {
	case Array::readable:
		break;
	case Array::missing:
		/* One of the two: for a size of 0 see draw_call(). */
		args.set_tid = args.set_tid_size ? 0 : 1;
		break;
	case Array::unmapped:
		args.set_tid = ~0ULL;
		break;
	case Array::half:
		args.set_tid = reinterpret_cast<uintptr_t>(memory.half + memory.page) -
			       args.set_tid_size * sizeof(pid_t) + 1;
		break;
	}
	if (c.flags & CLONE_VM || c.stack_without_size) {
		args.stack = stack;
		args.stack_size = c.stack_without_size ? 0 : Stack::size;
	}
	if (c.flags & CLONE_PIDFD)
		args.pidfd = c.bad_pidfd ? ~0ULL - 7 : reinterpret_cast<uintptr_t>(&memory.pidfd);
	if (c.flags & CLONE_INTO_CGROUP)
		args.cgroup = c.cgroup;
	return args;
}

/* What the kernel gets to see of that: what is behind the size counts as 0. */
clone_args visible(const Call &c, const clone_args &args)
{
	clone_args seen = {};

	memcpy(&seen, &args, std::min(c.size, sizeof(args)));
	return seen;
}

/* The array that it sees, if it gets so far. arguments() fills it up with 1. */
Pids requested(const Call &c, const clone_args &seen)
{
	Pids pids;

	if (seen.set_tid && seen.set_tid_size <= max_requested) {
		pids = c.pids;
		pids.resize(seen.set_tid_size, 1);
	}
	return pids;
}

pid_t draw_pid(const Model &m, Random &random, int space, bool level_0)
{
	const pid_t end = m.pid_max;

	if (random.percent(3))
		return random.of<pid_t>({ 0, -1, end, end + 1, INT_MAX, INT_MIN });
	if (space < 0)
		return random.percent(90) ? 1 : 2 + random.below(400);
	const PidNs &ns = m.spaces[space];
	if (ns.state == PidNs::unborn)
		return random.percent(85) ? 1 : 2 + random.below(400);
	if (random.percent(8) && !ns.held.empty())
		return random.of(ns.held).first;
	if (m.shares.own) {
		if (random.percent(25))
			return m.shares.contended + random.below(m.shares.contended_count);
		return m.shares.own + random.below(m.shares.own_count);
	}
	if (random.percent(10) && !ns.last.empty())
		return std::clamp<pid_t>(*ns.last.begin() + 1 + random.below(4), 1, end - 1);
	if (random.percent(3))
		return end - 1;
	/* The low ones at level 0 belong to those that come and go there. */
	pid_t pid;
	do
		pid = level_0 ? end / 2 + random.below(end / 2) : 1 + random.below(end - 1);
	while (level_0 && m.foreign.count(pid));
	return pid;
}

Call draw_call(const Model &m, const Actor &a, Random &random)
{
	Call c;

	/* The structure */
	if (random.percent(8)) {
		c.size = random.of<size_t>(
			{ 0, 63, 64, 65, 68, 72, 76, 79, 80, 80, 80, 81, 88, 89, 96, 4096, 4097 });
		c.tail = random.percent(20);
	}
	/* The flags, and what the child is for */
	const unsigned int kind = random.below(100);
	if (kind < 66) {
		c.flags = CLONE_VM | CLONE_VFORK;
	} else if (kind < 72) {
		c.flags = random.of<uint64_t>({ 0, CLONE_VFORK, CLONE_FILES, CLONE_CLEAR_SIGHAND });
	} else if (kind < 80) {
		c.flags = Request::thread_flags;
		c.exit_signal = 0;
		c.role = Role::thread;
	} else if (kind < 87) {
		c.flags = CLONE_PARENT;
		c.exit_signal = 0;
		c.role = random.of<Role>(
			{ Role::sleeps, Role::sleeps, Role::zombie, Role::group, Role::session });
	} else if (kind < 93) {
		c.flags = CLONE_NEWPID | CLONE_VFORK;
		if (random.percent(40))
			c.flags |= CLONE_NEWUSER;
	} else {
		c.flags = random.of<uint64_t>({ CLONE_VM | CLONE_FS | CLONE_FILES, CLONE_DETACHED,
						1ULL << 40, CLONE_THREAD | CLONE_VM, CLONE_SIGHAND,
						CLONE_VM | CLONE_SIGHAND | CLONE_CLEAR_SIGHAND,
						CLONE_NEWUSER | CLONE_FS,
						CLONE_THREAD | CLONE_NEWPID, CLONE_PARENT });
	}
	if (random.percent(2))
		c.exit_signal = random.of<uint64_t>({ 0, SIGUSR1, 64, 65, 255, 256, 1ULL << 32 });
	/* A failure after the claim; more of them for first processes */
	const bool unborn = m.spaces[a.target].state == PidNs::unborn;
	if (random.percent(unborn ? 35 : 7)) {
		c.flags |= CLONE_PIDFD;
		c.bad_pidfd = true;
	} else if (random.percent(4) && m.cgroups) {
		c.flags |= CLONE_INTO_CGROUP;
		c.cgroup = random.of<int64_t>({ INT_MAX, INT_MAX, 1LL << 31 });
	} else if (random.percent(3)) {
		c.flags |= CLONE_PIDFD;
	}
	c.stack_without_size = random.percent(1);

	/* The PIDs */
	const bool init = c.flags & CLONE_NEWPID;
	const std::vector<int> levels = m.levels(a.target);
	const size_t most = levels.size() + init;
	size_t size = random.percent(4) ? most + 1 : random.below(most + 1);
	size = std::min<size_t>(size, 40);
	for (size_t i = 0; i < size; i++) {
		const size_t level = i - init;
		const int space = i < init ? -1 : levels[std::min(level, levels.size() - 1)];

		c.pids.push_back(draw_pid(m, random, space, space == 0));
	}
	if (random.percent(6)) {
		c.array = random.of({ Array::missing, Array::unmapped, Array::half });
		if (c.pids.empty() && c.array == Array::half)
			c.array = Array::missing;
	} else if (random.percent(3)) {
		c.set_tid_size = random.of<uint64_t>(
			{ 34, 64, 1ULL << 31, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 62, ~0ULL });
	}
	return c;
}

/*
 * In words
 */

std::string flags_in_words(uint64_t flags)
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

std::string in_words(const Model &m, const Actor &a, const Call &c)
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

std::string in_words(const Answers &answers)
{
	std::string text;

	for (int error : answers)
		text += (text.empty() ? "" : " or ") + std::string(errno_name(error));
	return text;
}

/*
 * Making the calls. All of this is shared by the workers.
 */

/* What a child says of itself: its PIDs, innermost first. */
struct Report {
	std::atomic<int> count = 0;
	pid_t pids[max_requested] = {};

	Pids get() const { return Pids(pids, pids + std::max(count.load(), 0)); }
	/* Makes bare system calls only: for children that share memory. */
	void fill()
	{
		char text[2048];
		const int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
		const ssize_t size = read(fd, text, sizeof(text) - 1);
		int n = 0;

		close(fd);
		text[std::max<ssize_t>(size, 0)] = 0;
		const char *at = strstr(text, "\nNSpid:");
		pid_t outer[max_requested + 1];
		for (at = at ? at + 7 : ""; *at == '\t' && n < max_requested; n++) {
			int pid = 0;

			for (at++; *at >= '0' && *at <= '9'; at++)
				pid = pid * 10 + *at - '0';
			outer[n] = pid;
		}
		for (int i = 0; i < n; i++)
			pids[i] = outer[n - 1 - i];
		count = n ? n : -1;
	}
};

struct Result {
	long ret;
	Report child, member;
	std::atomic<int> go; /* the thread may leave */
};

constexpr int batch_calls = 48;

/* Between an actor and its worker. */
struct Exchange {
	Result results[batch_calls];
	std::atomic<int> done; /* so many calls */
	std::atomic<bool> ready;
	std::atomic<pid_t> start; /* with this pid_max */
	char wrong[160];
};

/* Who holds a PID that several ask for. */
struct Contended {
	std::atomic<int> asking, successes;
};

constexpr int max_spaces = 16, max_contended = 8, table_size = 32768;

struct Table {
	std::atomic<uint8_t> holder[max_spaces][table_size];
	Contended contended[max_spaces][max_contended];
	std::atomic<bool> stop;
};

[[noreturn]] void sleep_for_ever()
{
	for (;;)
		pause();
}

struct Started {
	Role role;
	Result *result;
};

/* What the child of a call does. */
int child_main(void *arg)
{
	const Started *started = static_cast<Started *>(arg);
	Result &result = *started->result;

	if (started->role != Role::thread)
		die_with_parent();
	result.child.fill();
	switch (started->role) {
	case Role::leaves:
	case Role::zombie:
		break;
	case Role::thread:
		while (!result.go)
			syscall(__NR_sched_yield);
		break;
	case Role::sleeps:
	case Role::init:
		sleep_for_ever();
	case Role::group:
	case Role::session: {
		const bool session = started->role == Role::session;
		const clone_args args = Request{}.sibling().args();

		session ? setsid() : setpgid(0, 0);
		const long member = sys_clone3(&args, sizeof(args));
		if (member < 0)
			result.member.count = member;
		if (!member) {
			die_with_parent();
			if (session)
				setpgid(0, 0);
			result.member.fill();
			sleep_for_ever();
		}
		while (!result.member.count)
			sched_yield();
		break;
	}
	}
	return 0;
}

/*
 * Makes calls and waits for what comes of them. With a table, what others could
 * be told meanwhile, and who holds what, is written down there.
 */
class Caller {
public:
	Caller(Table *table, int worker) : table_(table), worker_(worker) {}

	clone_args args(const Call &c) { return arguments(c, memory_, stack_.base()); }

	/* Returns what is wrong, as far as the model need not be asked. */
	std::string make(const Model &m, const Actor &a, const Call &c, Result &result)
	{
		const clone_args args = this->args(c);
		const Pids asked = requested(c, visible(c, args));
		const bool init = c.flags & CLONE_NEWPID;
		std::vector<std::pair<Contended *, std::pair<int, int>>> contended;
		Started started = { c.role, &result };
		alignas(clone_args) char large[8192] = {};
		std::string wrong;
		size_t i = init;

		for (int space : m.levels(a.target)) {
			if (i < asked.size() && table_ && m.shares.is_contended(asked[i])) {
				auto &number =
					table_->contended[space][asked[i] - m.shares.contended];
				const int asking = number.asking++;

				contended.push_back({ &number, { asking, number.successes } });
			}
			i++;
		}
		memcpy(large, &args, sizeof(args));
		large[sizeof(args)] = c.tail;
		const long ret = c.flags & CLONE_VM ?
					 sys_clone3_on_stack(large, c.size, child_main, &started) :
					 sys_clone3(large, c.size);
		if (!ret)
			_exit(child_main(&started));
		result.ret = ret;

		/* It has had its PIDs, if only for a moment. */
		if (result.ret > 0 || result.ret == -EFAULT || result.ret == -EBADF) {
			for (auto &number : contended)
				number.first->successes++;
		}
		if (result.ret > 0)
			wrong = finish(m, a, c, result);
		bool meanwhile = false;
		const bool stays = result.ret > 0 &&
				   (c.flags & CLONE_PARENT || c.role == Role::init);
		for (auto &[number, before] : contended) {
			/* Who stays has it until it is released. */
			const int others = stays ? 0 : --number->asking;

			meanwhile = meanwhile || before.first || others ||
				    before.second != number->successes;
		}
		if (result.ret == -EEXIST && !contended.empty() && !meanwhile) {
			/* Without those that others may have: is one still in use? */
			Model alone = m;

			alone.shares.contended_count = 0;
			if (!alone.claim(m.levels(a.target), asked, init).count(EEXIST))
				wrong = "a PID is in use that nobody has had meanwhile";
		}
		return wrong;
	}

	/* No PID has two holders. */
	std::string mark(const Model &m, int target, const Pids &pids)
	{
		std::string wrong;

		each(m, target, pids, [&](int space, pid_t pid) {
			const int other = table_->holder[space][pid].exchange(worker_ + 1);

			if (other)
				wrong = "worker " + std::to_string(other - 1) + " has PID " +
					std::to_string(pid) + " in namespace " +
					std::to_string(space) + ", too";
		});
		return wrong;
	}
	void unmark(const Model &m, int target, const Pids &pids)
	{
		each(m, target, pids,
		     [&](int space, pid_t pid) { table_->holder[space][pid] = 0; });
	}

	/* Somebody who stayed has been reaped. */
	void given_back(const Model &m, int target, const Pids &pids)
	{
		each(m, target, pids, [&](int space, pid_t pid) {
			if (m.shares.is_contended(pid))
				--table_->contended[space][pid - m.shares.contended].asking;
		});
	}

private:
	template <typename Fn> void each(const Model &m, int target, const Pids &pids, Fn fn)
	{
		size_t i = 0;

		for (int space : m.levels(target)) {
			if (table_ && i < pids.size() && m.spaces[space].state == PidNs::alive &&
			    !m.spaces[space].private_to_actor && space < max_spaces &&
			    pids[i] > 0 && pids[i] < table_size)
				fn(space, pids[i]);
			i++;
		}
	}

	/* Waits for the child's report, and unless it stays for its end. */
	std::string finish(const Model &m, const Actor &a, const Call &c, Result &result)
	{
		const bool sibling = c.flags & CLONE_PARENT, thread = c.flags & CLONE_THREAD;
		const bool leads = sibling && (c.role == Role::group || c.role == Role::session);
		const pid_t pid = result.ret;
		std::string wrong;

		if (c.flags & CLONE_PIDFD)
			close(memory_.pidfd);
		while (!result.child.count || (leads && !result.member.count))
			sched_yield();
		Pids got = result.child.get();
		if (c.flags & CLONE_NEWPID && !got.empty())
			got.erase(got.begin());
		wrong = mark(m, a.target, got);
		if (leads && wrong.empty())
			wrong = mark(m, a.target, result.member.get());
		if (sibling || c.role == Role::init)
			return wrong;

		unmark(m, a.target, got);
		if (thread) {
			result.go = 1;
			while (!syscall(__NR_tgkill, getpid(), pid, 0))
				sched_yield();
			/* Waits for tasklist_lock, under which its PID is given back. */
			kill(-pid, 0);
		} else {
			while (waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR)
				;
		}
		return wrong;
	}

	Table *table_;
	int worker_;
	Stack stack_;
	Memory memory_;
};

/* The namespaces of a run. */
class World {
public:
	/* Up to two chains; in each of them levels with and without an owner. */
	World(Model &m, Random &random, bool deep)
	{
		const int count = deep ? 1 : 1 + random.below(2);

		for (int i = 0; i < count && error_.empty(); i++) {
			const int depth = deep ? max_pid_ns_level : 1 + random.below(5);

			chains_.push_back(std::make_unique<NsChain>());
			add_chain(m, random, *chains_.back(), depth);
		}
	}

	const std::string &error() const { return error_; }
	const Fd &ns(int space) const
	{
		const auto &[chain, level] = places_[space];

		return chains_[chain]->ns(level);
	}
	/* A namespace without an init below that one, owned by the same user namespace. */
	InitlessNs below(int space, int owner) const
	{
		auto join = [&] {
			return owner && setns(ns(space).get(), CLONE_NEWUSER) ? errno : 0;
		};

		if (!space)
			return InitlessNs({}, children_ns_by_proc);
		const auto &[chain, level] = places_[space];
		return InitlessNs(*chains_[chain], children_ns_by_proc, join, level);
	}
	/* Runs fn() in a child in that namespace. */
	template <typename Fn> Spawned run_in(int space, Fn fn) const
	{
		const auto &[chain, level] = places_[space];

		return space ? chains_[chain]->run_at(level, std::move(fn)) :
			       run_in_child(std::move(fn));
	}

private:
	void add_chain(Model &m, Random &random, NsChain &chain, int depth)
	{
		int above = 0, creator = 0;
		const bool owned = !missing_user_ns();

		for (int level = 1; level <= depth; level++) {
			const bool new_user = owned && level <= 20 && random.percent(35);

			if (const int error = chain.add(new_user ? CLONE_NEWUSER : 0)) {
				error_ = std::string("cannot create a namespace: ") +
					 errno_name(error);
				return;
			}
			PidNs ns;
			ns.parent = above;
			ns.level = level;
			ns.owner = creator;
			if (new_user) {
				m.users.push_back({ creator, m.users[creator].level + 1 });
				ns.owner = m.users.size() - 1;
			}
			creator = ns.owner;
			above = m.spaces.size();
			m.spaces.push_back(ns);
			places_.emplace_back(chains_.size() - 1, level);
			m.hold(above, nspids(chain.init(level)));
		}
		/* Where the sequences are: others than those of level 0 are ours. */
		Spawned probe = chain.run_deepest([] { return 0; });
		const Pids pids = nspids(probe.child);
		size_t i = 0;
		for (int space : m.levels(above)) {
			if (space && i < pids.size())
				m.spaces[space].last = { pids[i] };
			i++;
		}
	}

	std::vector<std::unique_ptr<NsChain>> chains_;
	std::vector<std::pair<int, int>> places_ = { { 0, 0 } }; /* chain and level */
	std::string error_;
};

/* One actor's calls; each has a seed of its own, so that any can be left out. */
struct Batch {
	uint64_t seed;
	std::vector<uint64_t> calls;
};

struct Plan {
	uint64_t world;
	bool deep;
	std::vector<Batch> batches;
};

Plan draw_plan(uint64_t seed, int batches)
{
	Random random(seed);
	Plan plan = { random.next(), random.percent(8), {} };

	for (int i = 0; i < batches; i++) {
		Batch batch = { random.next(), {} };
		const int calls = 8 + random.below(batch_calls - 7);

		for (int k = 0; k < calls; k++)
			batch.calls.push_back(random.next());
		plan.batches.push_back(std::move(batch));
	}
	return plan;
}

/* What came of a plan; shared between who carries it out and who asked for it. */
struct Outcome {
	std::atomic<bool> mismatch;
	std::atomic<long> calls, successes, disturbed;
	std::atomic<int> batches, last_calls; /* begun; of the last one */
	char text[32768];

	void add(const std::string &line)
	{
		const size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "# %s\n", line.c_str());
	}
};

/*
 * A worker looks after the model and what is held; calls are made by actors,
 * one after the other. An actor takes the model with it and stops at the first
 * mismatch. The worker follows, with the same chance and the actor's results.
 */
class Worker {
public:
	Worker(Model model, const World &world, Outcome &outcome, Table *table, int number)
		: model_(std::move(model)), world_(world), outcome_(outcome),
		  alone_(!model_.shares.own), caller_(table, number)
	{
	}
	Worker(const Worker &) = delete;
	~Worker()
	{
		while (!holders_.empty())
			release(holders_.size() - 1);
	}

	/* Returns false if that is the end of it. */
	bool run(const Batch &batch)
	{
		Random random(batch.seed);

		while (holders_.size() > 12 || (!holders_.empty() && random.percent(50)))
			release(random.below(holders_.size()));

		const Actor actor = draw_actor(random);
		const bool fresh = actor.active == actor.target && random.percent(25) &&
				   model_.spaces[actor.active].level < max_pid_ns_level &&
				   model_.is_inside(actor.user, model_.spaces[actor.active].owner);
		const bool enters = !fresh && random.percent(25) &&
				    model_.spaces[actor.target].level < max_pid_ns_level;
		const bool writes = alone_ && actor.active && random.percent(25);
		const pid_t last = random.percent(30) ? model_.pid_max - 1 - random.below(3) :
							1 + random.below(model_.pid_max - 1);
		const bool limits = alone_ && random.percent(12);
		/* Level 0 has others. It needs a sequence that is past the first PIDs. */
		pid_t limit = random.of<pid_t>({ 301, 302, 303, 320, 1000, 5000 });
		if (last_pid() < reserved || !may_starve)
			limit = std::max(limit, 1000);

		memset(static_cast<void *>(&*exchange_), 0, sizeof(Exchange));
		std::optional<Entered> entered;
		if (enters && !create_for(actor, entered))
			return false;
		if (enters && random.percent(50))
			end_creator(*entered);
		/* Where the actor's target is none of the world's. */
		const New target = { fresh || enters, enters ? actor.target : actor.active,
				     enters ? model_.spaces[actor.target].owner : actor.user,
				     enters ? &entered->ns.ns() : nullptr };
		Spawned task = world_.run_in(actor.active, [&] {
			return act(batch, actor, target, writes ? last : 0);
		});
		if (task.error)
			return mismatch("an actor in namespace " + std::to_string(actor.active) +
					" cannot be created: " + errno_name(task.error));
		const Pids pids = nspids(task.child);
		if (!born(actor, pids, writes ? last : 0))
			return false;
		const std::string twice = caller_.mark(model_, actor.active, pids);
		if (!twice.empty())
			return mismatch(twice);
		while (!exchange_->ready) {
			if (exits_within(task.child, 0))
				return mismatch(
					std::string("an actor cannot become what it is to be: ") +
					exchange_->wrong);
			sched_yield();
		}

		ExitStatus status;
		{
			Sysctl pid_max("kernel/pid_max");

			if (limits && limit < model_.pid_max && !pid_max.set(limit))
				exchange_->start = limit;
			else
				exchange_->start = model_.pid_max;
			status = task.child.wait_zombie();
		}
		const bool right = follow(batch, actor, target, status);
		caller_.unmark(model_, actor.active, pids);
		task.child.wait();
		model_.release(actor.active, pids);
		if (enters)
			end_creator(*entered);
		return right;
	}

private:
	/* A child of the worker that is there until it is released. */
	struct Holder {
		int target;
		std::vector<Pids> pids; /* of a process, or of a leader that has gone and a member */
	};

	/* A namespace that somebody has created for an actor to enter. */
	struct Entered {
		InitlessNs ns;
		int space; /* above it, where the creator is */
		Pids creator;
	};

	/* A namespace without an init that an actor is the only one in. */
	struct New {
		bool is_target;
		int parent, owner;
		const Fd *entered; /* or else the actor creates it */
	};

	struct Made {
		Actor actor;
		Call call;
		long ret;
		Pids pids;
	};

	/* The actor leaves it to the worker to say so. */
	bool mismatch(const std::string &text)
	{
		if (acting_)
			return false;
		for (const Made &made : recent_) {
			outcome_.add(in_words(model_, made.actor, made.call) + " = " +
				     (made.ret < 0 ? errno_name(-made.ret) : to_string(made.pids)));
		}
		outcome_.add("mismatch: " + text);
		outcome_.mismatch = true;
		return false;
	}

	Actor draw_actor(Random &random) const
	{
		const size_t spaces = model_.spaces.size();
		Actor a;

		a.active = random.percent(55) ? 0 : random.below(spaces);
		do
			a.target = random.percent(25) ? a.active : random.below(spaces);
		while (!is_inside(a.target, a.active));
		if (random.percent(45)) {
			/* The target's owner, or that of a level further out. */
			a.joined = a.target;
			while (a.joined && random.percent(40))
				a.joined = model_.spaces[a.joined].parent;
			a.user = model_.spaces[a.joined].owner;
		}
		if (random.percent(40))
			a.power = random.of(
				{ Actor::none, Actor::admin, Actor::checkpoint, Actor::nobody });
		return a;
	}
	bool is_inside(int space, int outer) const
	{
		while (space > outer)
			space = model_.spaces[space].parent;
		return space == outer;
	}

	/* The actor itself is a child like any other. */
	bool born(const Actor &actor, const Pids &pids, pid_t last)
	{
		Actor creator;

		creator.target = actor.active;
		const std::string wrong = model_.check(creator, false, {}, pids);
		if (!wrong.empty())
			return mismatch("an actor in namespace " + std::to_string(actor.active) +
					" " + wrong + ": " + to_string(pids));
		model_.hold(actor.active, pids);
		if (last)
			model_.spaces[actor.active].last = { last };
		return true;
	}

	/* So is somebody who creates a namespace below the actor's target. */
	bool create_for(const Actor &actor, std::optional<Entered> &entered)
	{
		const int space = actor.target;
		Actor creator;

		creator.active = space;
		entered = { world_.below(space, model_.spaces[space].owner), space, {} };
		if (entered->ns.error())
			return mismatch("a namespace below " + std::to_string(space) +
					" cannot be entered: " + errno_name(entered->ns.error()));
		entered->creator = nspids(entered->ns.creator());
		if (!born(creator, entered->creator, 0))
			return false;
		const std::string twice = caller_.mark(model_, space, entered->creator);
		return twice.empty() || mismatch(twice);
	}
	void end_creator(Entered &entered)
	{
		caller_.unmark(model_, entered.space, entered.creator);
		entered.ns.creator().end();
		model_.release(entered.space, entered.creator);
		entered.creator.clear();
	}

	bool fails_at(const char *step)
	{
		snprintf(exchange_->wrong, sizeof(exchange_->wrong), "%s: %s", step,
			 errno_name(errno));
		return false;
	}

	/* Becomes what the actor is to be. */
	bool become(const Actor &a, const New &target, pid_t last)
	{
		static const std::map<Actor::Power, std::initializer_list<int>> kept = {
			{ Actor::none, {} },
			{ Actor::admin, { CAP_SYS_ADMIN } },
			{ Actor::checkpoint, { CAP_CHECKPOINT_RESTORE } },
		};

		/* The children's exit signals. */
		signal(SIGUSR1, SIG_IGN);
		signal(64, SIG_IGN);
		if (last && set_last_pid(last))
			return fails_at("ns_last_pid");
		const bool created = target.is_target && !target.entered;
		if (target.entered && setns(target.entered->get(), CLONE_NEWPID))
			return fails_at("setns() to a namespace without an init");
		if (!target.is_target && a.target != a.active &&
		    setns(world_.ns(a.target).get(), CLONE_NEWPID))
			return fails_at("setns() to the PID namespace");
		if (a.user && setns(world_.ns(a.joined).get(), CLONE_NEWUSER))
			return fails_at("setns() to the user namespace");
		if (created && unshare(CLONE_NEWPID))
			return fails_at("unshare()");
		if (a.power == Actor::nobody && seteuid(65534))
			return fails_at("seteuid()");
		if (kept.count(a.power) && keep_capabilities(kept.at(a.power)))
			return fails_at("the capabilities");
		die_with_parent();
		return true;
	}

	/* The actor's target, if it is one without an init, is in its model only. */
	Actor enter_new(Actor a, const New &target)
	{
		if (target.is_target) {
			PidNs ns;

			ns.parent = target.parent;
			ns.level = model_.spaces[target.parent].level + 1;
			ns.owner = target.owner;
			ns.state = PidNs::unborn;
			ns.private_to_actor = true;
			ns.last = { 0 };
			a.target = model_.spaces.size();
			model_.spaces.push_back(ns);
		}
		return a;
	}
	/* With what is left there. */
	void leave_new(const Actor &a, const New &target)
	{
		model_.release(a.target, init_);
		init_.clear();
		if (target.is_target)
			model_.spaces.pop_back();
	}

	Call draw(const Actor &a, uint64_t seed)
	{
		Random random(seed);
		Call c = draw_call(model_, a, random);
		const PidNs &target = model_.spaces[a.target];

		if (!target.private_to_actor)
			return c;
		/* Who would stay there could not be released. */
		if (c.flags & CLONE_PARENT) {
			c.flags &= ~CLONE_PARENT;
			c.exit_signal = SIGCHLD;
			c.role = Role::leaves;
		}
		/* But the first process may: with memory of its own, and nobody waits for it. */
		if (target.state == PidNs::unborn && c.role == Role::leaves &&
		    !(c.flags & (CLONE_NEWPID | CLONE_THREAD)) && random.percent(40)) {
			c.flags &=
				~(CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | CLONE_FS | CLONE_FILES);
			c.role = Role::init;
		}
		return c;
	}

	/* What the actor does. */
	int act(const Batch &batch, const Actor &actor, const New &target, pid_t last)
	{
		acting_ = true;
		if (!born(actor, nspids_of_self(), last) || !become(actor, target, last))
			return 99;
		exchange_->ready = true;
		while (!exchange_->start)
			sched_yield();
		model_.pid_max = exchange_->start;
		const Actor a = enter_new(actor, target);
		const int status = make_calls(batch, a);

		if (!init_.empty())
			end_init(a);
		return status;
	}
	int make_calls(const Batch &batch, const Actor &a)
	{
		for (uint64_t seed : batch.calls) {
			const Call c = draw(a, seed);
			Result &result = exchange_->results[exchange_->done];
			const std::string wrong = caller_.make(model_, a, c, result);

			++exchange_->done;
			if (!wrong.empty()) {
				snprintf(exchange_->wrong, sizeof(exchange_->wrong), "%s",
					 wrong.c_str());
				return 1;
			}
			if (!judge(a, c, result))
				return 1;
			if (c.role == Role::init && result.ret > 0)
				init_pid_ = result.ret;
		}
		return 0;
	}
	/* The init of the actor's own target: nobody else would. */
	void end_init(const Actor &a)
	{
		caller_.unmark(model_, a.target, init_);
		kill(init_pid_, SIGKILL);
		while (waitpid(init_pid_, nullptr, __WALL) < 0 && errno == EINTR)
			;
		caller_.given_back(model_, a.target, init_);
	}

	/* And what the worker makes of it. */
	bool follow(const Batch &batch, const Actor &actor, const New &target,
		    const ExitStatus &status)
	{
		const pid_t usual = std::exchange(model_.pid_max, exchange_->start);
		const Actor a = enter_new(actor, target);
		bool right = true;

		for (int i = 0; i < exchange_->done && right; i++) {
			const Call c = draw(a, batch.calls[i]);
			const Result &result = exchange_->results[i];

			recent_.push_back({ a, c, result.ret, result.child.get() });
			if (recent_.size() > 20)
				recent_.pop_front();
			keep(a, c, result);
			right = judge(a, c, result);
			outcome_.last_calls = i + 1;
			++outcome_.calls;
			outcome_.successes += result.ret > 0;
		}
		leave_new(a, target);
		model_.pid_max = usual;
		/* Leaders have left by now: their PIDs are those of what they led. */
		for (const Holder &holder : holders_) {
			if (holder.pids.size() > 1)
				waitpid(holder.pids[0].back(), nullptr, __WALL);
		}
		if (right && *exchange_->wrong)
			return mismatch(exchange_->wrong);
		if (right && status.code)
			return mismatch("an actor has ended with " + std::to_string(status.code) +
					", signal " + std::to_string(status.signal));
		return right;
	}

	/*
	 * Who stays is to be released, whatever the model makes of it: a namespace
	 * whose init is killed waits until its zombies are reaped.
	 */
	void keep(const Actor &a, const Call &c, const Result &result)
	{
		if (!(c.flags & CLONE_PARENT) || result.child.count < 1)
			return;
		Holder holder = { a.target, { result.child.get() } };
		if (result.member.count > 0)
			holder.pids.push_back(result.member.get());
		holders_.push_back(std::move(holder));
	}

	/* Compares a result with the model, and brings that up to date. */
	bool judge(const Actor &a, const Call &c, const Result &result)
	{
		const clone_args seen = visible(c, caller_.args(c));
		const Pids asked = requested(c, seen), got = result.child.get();
		const Prediction p = model_.predict(a, c, seen, asked);
		const bool init = c.flags & CLONE_NEWPID;
		const int error = result.ret < 0 ? -result.ret : 0;
		PidNs &target = model_.spaces[a.target];

		if (!p.answers.count(error)) {
			if (error == EEXIST && taken_by_others(a, init, asked))
				return disturbed();
			return mismatch(std::string(errno_name(error)) + ", is to be " +
					in_words(p.answers));
		}
		if (error) {
			if (p.after_claim)
				model_.failed_late(a, init, asked);
			return true;
		}

		const std::string wrong = model_.check(a, init, asked, got);
		if (!wrong.empty())
			return mismatch("the child " + wrong);
		const size_t depth = model_.spaces[a.target].level - model_.spaces[a.active].level;
		if (got[depth + init] != result.ret)
			return mismatch("returned " + std::to_string(result.ret));
		if (target.state == PidNs::unborn)
			target.state = c.role == Role::init ? PidNs::alive : PidNs::dead;
		if (c.role == Role::init) {
			init_ = got;
			model_.hold(a.target, got);
		}
		if (c.flags & CLONE_PARENT)
			return stays(a, got, result.member);
		return true;
	}

	bool stays(const Actor &a, const Pids &pids, const Report &member)
	{
		bool right = true;

		model_.hold(a.target, pids);
		if (member.count > 0) {
			Actor creator;

			creator.target = a.target;
			const std::string wrong = model_.check(creator, false, {}, member.get());
			if (!wrong.empty())
				right = mismatch("the member " + wrong + ": " +
						 to_string(member.get()));
			model_.hold(a.target, member.get());
		} else if (member.count < 0 &&
			   !model_.claim(model_.levels(a.target), {}, false).count(-member.count)) {
			right = mismatch("a member cannot be created");
		}
		return right;
	}

	/*
	 * At level 0 there are others: they come and go. An actor elsewhere does not
	 * see them; it stops here in either case, and the worker decides.
	 */
	bool taken_by_others(const Actor &a, bool init, const Pids &asked) const
	{
		const size_t level_0 = model_.levels(a.target).size() - 1 + init;

		return level_0 < asked.size() && pid_in_use(asked[level_0]) &&
		       !model_.spaces[0].held.count(asked[level_0]);
	}
	bool disturbed()
	{
		outcome_.disturbed += !acting_;
		return false;
	}

	void release(size_t i)
	{
		const Holder holder = holders_[i];

		holders_.erase(holders_.begin() + i);
		for (const Pids &pids : holder.pids)
			caller_.unmark(model_, holder.target, pids);
		/* A leader has been reaped already, and nothing else is its PID's. */
		kill(holder.pids.back().back(), SIGKILL);
		while (waitpid(holder.pids.back().back(), nullptr, __WALL) < 0 && errno == EINTR)
			;
		for (const Pids &pids : holder.pids) {
			caller_.given_back(model_, holder.target, pids);
			model_.release(holder.target, pids);
		}
	}

	Model model_;
	const World &world_;
	Outcome &outcome_;
	const bool alone_;
	bool acting_ = false;
	const Shared<Exchange> exchange_;
	Caller caller_;
	std::vector<Holder> holders_;
	std::deque<Made> recent_;
	/* The init of an actor's target, if it is one that only the actor has. */
	Pids init_;
	pid_t init_pid_ = 0;
};

/*
 * Runs
 */

std::set<pid_t> numbers_in(const std::string &path)
{
	std::set<pid_t> numbers;
	DIR *dir = opendir(path.c_str());

	while (const dirent *entry = dir ? readdir(dir) : nullptr) {
		if (const pid_t number = atoi(entry->d_name))
			numbers.insert(number);
	}
	if (dir)
		closedir(dir);
	return numbers;
}

/* The PIDs in use: of processes, threads, process groups and sessions. */
std::set<pid_t> pids_in_use()
{
	std::set<pid_t> pids;

	for (pid_t pid : numbers_in("/proc")) {
		pids.merge(numbers_in("/proc/" + std::to_string(pid) + "/task"));
		for (pid_t lead : { getpgid(pid), getsid(pid) }) {
			if (lead > 0)
				pids.insert(lead);
		}
	}
	return pids;
}

Model new_model()
{
	Model m;

	m.pid_max = pid_max();
	m.foreign = pids_in_use();
	m.cgroups = !access("/proc/self/cgroup", F_OK);
	return m;
}

const char *missing()
{
	for (auto what :
	     { missing_root, missing_pid_ns, missing_initial_pid_ns, missing_last_pid }) {
		if (const char *text = what())
			return text;
	}
	return pid_max() < 8000 ? "needs a kernel.pid_max of 8000" : nullptr;
}

uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

double seconds_since(uint64_t start_ns)
{
	return (now_ns() - start_ns) / 1e9;
}

/* What takes longer hangs. Both tests may, in the time that the program has. */
int hangs_after_ms()
{
	return number_from("kselftest_timeout", 300) * 1000 / 3;
}

/* Carries out a plan in a process of its own. */
void carry_out(const Plan &plan, Outcome &outcome, int within_ms)
{
	Sysctl pid_max("kernel/pid_max");

	memset(static_cast<void *>(&outcome), 0, sizeof(outcome));
	Spawned runner = run_in_child([&] {
		Random random(plan.world);
		Model m = new_model();
		const World world(m, random, plan.deep);

		if (!world.error().empty()) {
			outcome.add(world.error());
			outcome.mismatch = true;
			return 1;
		}
		Worker worker(std::move(m), world, outcome, nullptr, 0);
		for (const Batch &batch : plan.batches) {
			++outcome.batches;
			if (!worker.run(batch))
				break;
		}
		return 0;
	});

	if (!exits_within(runner.child, within_ms)) {
		outcome.add("mismatch: it hangs");
		outcome.mismatch = true;
	} else if (runner.child.wait().signal) {
		outcome.add("mismatch: a worker was killed");
		outcome.mismatch = true;
	}
	pid_max.set(pid_max.saved());
}

/* Leaves out what is not needed for a mismatch, as far as that comes out in time. */
Plan shrink(Plan plan, Outcome &outcome, int seconds)
{
	const Shared<Outcome> trial;
	const uint64_t start = now_ns();

	/* Nothing has come of what is behind the mismatch. */
	plan.batches.resize(std::clamp<size_t>(outcome.batches, 1, plan.batches.size()));
	auto &last = plan.batches.back().calls;
	if (outcome.last_calls && size_t(outcome.last_calls) < last.size())
		last.resize(outcome.last_calls);
	auto still = [&](const Plan &shorter) {
		const int left_ms = (seconds - seconds_since(start)) * 1000;

		if (left_ms <= 0)
			return false;
		carry_out(shorter, *trial, left_ms);
		/* What the end of the time has stopped does not count. */
		if (!trial->mismatch || seconds_since(start) > seconds)
			return false;
		memcpy(static_cast<void *>(&outcome), static_cast<void *>(&*trial),
		       sizeof(outcome));
		plan = shorter;
		return true;
	};

	/* Mostly it is only the last ones that matter. */
	for (size_t count : { 1, 2, 4, 8 }) {
		if (plan.batches.size() > count &&
		    still({ plan.world,
			    plan.deep,
			    { plan.batches.end() - count, plan.batches.end() } }))
			break;
	}
	for (size_t count : { 1, 2, 4, 8 }) {
		Plan shorter = plan;
		auto &calls = shorter.batches.back().calls;

		if (calls.size() <= count)
			continue;
		calls.erase(calls.begin(), calls.end() - count);
		if (still(shorter))
			break;
	}
	for (size_t count = plan.batches.size(); count; count /= 2) {
		for (size_t at = 0; at < plan.batches.size();) {
			Plan shorter = plan;
			auto &batches = shorter.batches;

			batches.erase(batches.begin() + at,
				      batches.begin() + std::min(at + count, batches.size()));
			if (!still(shorter))
				at += count;
		}
	}
	for (size_t i = plan.batches.size(); i--;) {
		for (size_t count = plan.batches[i].calls.size(); count; count /= 2) {
			for (size_t at = 0; at < plan.batches[i].calls.size();) {
				Plan shorter = plan;
				auto &calls = shorter.batches[i].calls;

				calls.erase(calls.begin() + at,
					    calls.begin() + std::min(at + count, calls.size()));
				if (!still(shorter))
					at += count;
			}
		}
	}
	return plan;
}

struct Totals {
	long calls = 0, successes = 0;
	int runs = 0, disturbed = 0;
	std::string mismatch;
};

using Progress = std::function<void(const Totals &)>;

/* One worker, for a time: plans whose seeds follow from one another. */
Totals run_alone(uint64_t seed, double seconds, const Progress &progress)
{
	const Shared<Outcome> outcome;
	Totals totals;
	const uint64_t start = now_ns();

	do {
		const Plan plan = draw_plan(seed, 40);

		carry_out(plan, *outcome, hangs_after_ms());
		totals.calls += outcome->calls;
		totals.successes += outcome->successes;
		totals.disturbed += outcome->disturbed;
		totals.runs++;
		if (outcome->mismatch) {
			totals.mismatch = outcome->text;
			progress(totals);
			const Plan few = shrink(plan, *outcome, 30);
			size_t left = 0;

			for (const Batch &batch : few.batches)
				left += batch.calls.size();
			totals.mismatch = "seed " + std::to_string(seed) + ", cut down to " +
					  std::to_string(left) + " calls:\n" + outcome->text;
			break;
		}
		seed = Random(seed).next();
		progress(totals);
	} while (seconds_since(start) < seconds ||
		 (totals.disturbed == totals.runs && totals.runs < 3));
	/* Others may get in the way at level 0, but not as a rule. */
	if (totals.mismatch.empty() &&
	    (totals.disturbed > 2 + totals.runs / 10 || totals.disturbed == totals.runs))
		totals.mismatch = "others have used PIDs of level 0 in " +
				  std::to_string(totals.disturbed) + " of " +
				  std::to_string(totals.runs) + " runs\n";
	return totals;
}

/* Where each worker's PIDs are, and those that all ask for. */
constexpr pid_t sequence_end = 3000, contended_from = 15000, own_from = 16000;
constexpr int own_count = 1000, max_workers = 16;

/* Keeps the automatic PIDs of a namespace away from those that are asked for. */
int lead_sequence(const Shared<Table> &table)
{
	while (!table->stop) {
		if (last_pid() > sequence_end)
			set_last_pid(reserved);
		usleep(20000);
	}
	return 0;
}

const char *missing_for_workers()
{
	return pid_max() < own_from + own_count * max_workers || pid_max() > table_size ?
		       "needs a kernel.pid_max of 32768" :
		       nullptr;
}

/* Several workers in the same namespaces. */
Totals run_together(uint64_t seed, double seconds, int workers, const Progress &progress)
{
	struct Outcomes {
		Outcome of[max_workers];
	};
	const Shared<Outcomes> outcomes;
	const Shared<Table> table;
	Random random(seed);
	Model m = new_model();
	Totals totals;
	const uint64_t start = now_ns();

	const World world(m, random, false);
	if (!world.error().empty()) {
		totals.mismatch = world.error() + "\n";
		return totals;
	}
	/* They end before the namespaces do. */
	std::vector<Child> keepers, runners;

	m.shares.contended = contended_from;
	m.shares.contended_count = max_contended;
	m.shares.own_count = own_count;
	for (size_t space = 0; space < m.spaces.size(); space++) {
		m.spaces[space].last.clear();
		Spawned keeper = world.run_in(space, [&] { return lead_sequence(table); });

		if (keeper.error) {
			totals.mismatch = std::string("cannot keep a sequence low: ") +
					  errno_name(keeper.error) + "\n";
			return totals;
		}
		keepers.push_back(std::move(keeper.child));
	}
	/* Somebody who has come here before may be in the way. */
	if (last_pid() > sequence_end)
		set_last_pid(reserved);
	for (pid_t pid : pids_in_use()) {
		if (pid >= contended_from)
			m.spaces[0].held[pid]++;
	}
	for (int i = 0; i < workers; i++) {
		m.shares.own = own_from + i * own_count;
		const uint64_t own_seed = random.next();

		auto body = [&] {
			Random own(own_seed);
			Worker worker(m, world, outcomes->of[i], &*table, i);

			while (!table->stop) {
				const Plan plan = draw_plan(own.next(), 1);

				const long disturbed = outcomes->of[i].disturbed;
				if (!worker.run(plan.batches[0]) &&
				    disturbed == outcomes->of[i].disturbed) {
					table->stop = true;
					return 1;
				}
			}
			return 0;
		};
		runners.push_back(run_in_child(body).child);
	}
	auto count = [&] {
		totals.calls = totals.successes = totals.disturbed = 0;
		for (int i = 0; i < workers; i++) {
			totals.calls += outcomes->of[i].calls;
			totals.successes += outcomes->of[i].successes;
			totals.disturbed += outcomes->of[i].disturbed;
		}
	};
	/* The wait for the first to end paces the progress. */
	while (!table->stop && seconds_since(start) < seconds) {
		if (exits_within(runners[0], 200))
			break;
		count();
		progress(totals);
	}
	table->stop = true;
	const uint64_t stopped = now_ns();
	for (int i = 0; i < workers; i++) {
		const int left_ms = hangs_after_ms() - int(seconds_since(stopped) * 1000);

		if (!exits_within(runners[i], std::max(left_ms, 0))) {
			totals.mismatch += "worker " + std::to_string(i) + " hangs\n";
			/* What it holds would keep the namespaces from ending. */
			runners[i].end();
			continue;
		}
		const ExitStatus status = runners[i].wait();
		if (status.code)
			totals.mismatch +=
				"seed " + std::to_string(seed) + ", worker " + std::to_string(i) +
				", ended with " + std::to_string(status.code) + ", signal " +
				std::to_string(status.signal) + ":\n" + outcomes->of[i].text;
	}
	for (Child &keeper : keepers)
		keeper.wait();
	count();
	totals.runs = 1;
	/* Others may get in the way at level 0, but not as a rule. */
	if (totals.mismatch.empty() && totals.disturbed > 2 + totals.calls / 1000)
		totals.mismatch = "others have used PIDs of level 0 in " +
				  std::to_string(totals.disturbed) + " of " +
				  std::to_string(totals.calls) + " calls\n";
	return totals;
}

uint64_t new_seed()
{
	uint64_t seed = 0;

	getrandom(&seed, sizeof(seed), 0);
	return seed >> 32;
}

} // namespace

FIXTURE(model)
{
	uint64_t seed;
	double seconds;
};

FIXTURE_SETUP(model)
{
	SKIP_IF_MISSING(missing());
	self->seed = number_from("SET_TID_MODEL_SEED", new_seed());
	self->seconds = number_from("SET_TID_MODEL_SECONDS", 10);
}

FIXTURE_TEARDOWN(model)
{
}

TEST_F_TIMEOUT(model, all_rows_one_worker, 3600)
{
	TH_LOG("seed %llu", (unsigned long long)self->seed);
	const Totals t = run_alone(self->seed, self->seconds, [](const Totals &) {});

	TH_LOG("%ld calls, %ld processes, %d runs", t.calls, t.successes, t.runs);
	EXPECT_TEXT("", t.mismatch);
	EXPECT_LT(0, t.successes);
}

TEST_F_TIMEOUT(model, all_rows_several_workers, 3600)
{
	SKIP_IF_MISSING(missing_for_workers());
	TH_LOG("seed %llu", (unsigned long long)self->seed);
	const Totals t = run_together(self->seed, self->seconds, 3, [](const Totals &) {});

	TH_LOG("%ld calls, %ld processes", t.calls, t.successes);
	EXPECT_TEXT("", t.mismatch);
	EXPECT_LT(0, t.successes);
}

/* Who stops the command finds kernel.pid_max as it was. */
static char pid_max_saved[16];

static void put_pid_max_back(int sig)
{
	const int fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);

	if (write(fd, pid_max_saved, strlen(pid_max_saved)) < 0)
		_exit(KSFT_FAIL);
	_exit(128 + sig);
}

/* As a command: one line of progress every ten seconds, and one at the end. */
static int soak(double minutes, int workers, uint64_t seed)
{
	const uint64_t start = now_ns();
	const char *what = missing();
	double next = 10;

	if (!what && workers > 1)
		what = missing_for_workers();
	if (what) {
		fprintf(stderr, "set_tid_model_test: %s\n", what);
		return KSFT_SKIP;
	}
	snprintf(pid_max_saved, sizeof(pid_max_saved), "%ld", static_cast<long>(pid_max()));
	for (int sig : { SIGINT, SIGTERM, SIGHUP })
		signal(sig, put_pid_max_back);
	auto report = [&](const Totals &t) {
		const double seconds = seconds_since(start);

		printf("set_tid_model_test: %.0f s, seed %llu, workers %d: %ld calls (%.0f/s), %ld processes, %s\n",
		       seconds, (unsigned long long)seed, workers, t.calls, t.calls / seconds,
		       t.successes, t.mismatch.empty() ? "no mismatch" : "MISMATCH");
		fflush(stdout);
	};
	/* At once, if it is over: to cut the calls down takes its time. */
	auto progress = [&](const Totals &t) {
		if (seconds_since(start) < next && t.mismatch.empty())
			return;
		report(t);
		next += 10;
	};
	const Totals t = workers > 1 ? run_together(seed, minutes * 60, workers, progress) :
				       run_alone(seed, minutes * 60, progress);
	report(t);
	fputs(t.mismatch.c_str(), stdout);
	return t.mismatch.empty() ? KSFT_PASS : KSFT_FAIL;
}

int main(int argc, char **argv)
{
	uint64_t seed = number_from("SET_TID_MODEL_SEED", new_seed());
	double minutes = -1;
	int workers = 1;

	for (int i = 1; i < argc && !strncmp(argv[i], "--", 2); i += 2) {
		const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
		char *end = nullptr;

		if (name == "--minutes")
			minutes = strtod(value.c_str(), &end);
		else if (name == "--workers")
			workers = strtol(value.c_str(), &end, 10);
		else if (name == "--seed")
			seed = strtoull(value.c_str(), &end, 0);
		if (!end || *end || value.empty() || workers < 1 || workers > max_workers) {
			fprintf(stderr,
				"usage: %s --minutes N [--workers 1..%d] [--seed S], or as a test: %s -h\n",
				argv[0], max_workers, argv[0]);
			return KSFT_FAIL;
		}
	}
	if (minutes >= 0)
		return soak(minutes, workers, seed);
	return test_harness_run(argc, argv);
}
