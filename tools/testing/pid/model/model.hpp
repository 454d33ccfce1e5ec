/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of PID allocation, made of maps and of the rows of the table in
 * Documentation/userspace-api/set_tid.rst, that argues with
 * kernel/pid_alloc.c: it takes a list of operations, predicts what each one
 * answers and changes, makes the kernel's code do it, and compares.
 *
 * An operation is eight bytes that mean something in every state, so any list
 * of bytes is a test (fuzz.cpp), and a list with some left out still is one
 * (model_test.cpp makes failing ones short).
 */
#ifndef MODEL_MODEL_HPP
#define MODEL_MODEL_HPP

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/world.hpp"

struct Op {
	uint8_t kind;
	uint8_t ns;
	uint8_t size;
	uint8_t mode;
	uint32_t value;
};
static_assert(sizeof(Op) == 8);

/* A kernel that does not do what the model says. */
class Mismatch : public std::runtime_error {
public:
	using std::runtime_error::runtime_error;
};

class Model {
public:
	/* How often alloc_pid() has answered what, to see what was tried. */
	std::map<int, unsigned long> answers;
	unsigned long short_of_memory = 0;
	/* Says what each operation does. */
	bool trace = false;

	Model()
	{
		shim_thread_enter();
		before_ = stats();
		shim_set_alloc(SHIM_ATOMIC, 0);
		shim_set_alloc(SHIM_SLEEPING, -1);
		shim_fail_nth(0);
		for (struct user_namespace *&owner : owners_)
			owner = shim_user_ns_create(SHIM_CAP_SYS_ADMIN);
		caps_.fill(true);
		shim_root_reset(owners_[0]);
		namespaces_.push_back({ shim_root(), nullptr, 0 });

		struct pid *init;

		if (shim_alloc_pid(shim_root(), nullptr, 0, &init))
			throw Mismatch("the root does not take its init");
		root().init = true;
		publish(root(), { 1 }, 0, init);
	}

	Model(const Model &) = delete;
	Model &operator=(const Model &) = delete;

	void step(const Op &op)
	{
		draw_ = op.value;
		/* One in sixteen each, but for those that are there often. */
		switch (op.kind % 16) {
		default:
			allocate(op);
			break;
		case 6:
		case 7:
		case 8:
			release(op);
			break;
		case 9:
			attach(op);
			break;
		case 10:
			new_ns(op);
			break;
		case 11:
			move_cursor(op);
			break;
		case 12:
			change_pid_max(op);
			break;
		case 13:
			disable(op);
			break;
		case 14:
			destroy(op);
			break;
		case 15:
			change_caps(op);
			break;
		}
		compare(++steps_ % 32 == 0);
	}

	/* Takes everything down; nothing may be left. */
	void finish()
	{
		compare(true);
		while (namespaces_.size() > 1)
			take_down(youngest());
		shim_disable_pid_allocation(shim_root());
		root().adding = false;
		while (!root().used.empty())
			give_back(root().used.rbegin()->second);
		compare(true);
		shim_drop_preloaded();
		for (struct user_namespace *owner : owners_)
			shim_user_ns_destroy(owner);

		const shim_stats after = stats();

		expect(after.live_pids == before_.live_pids, "a struct pid leaks");
		expect(after.live_nodes == before_.live_nodes, "a node leaks");
		expect(after.live_namespaces == before_.live_namespaces, "a namespace leaks");
		expect(after.pending_callbacks == before_.pending_callbacks, "a callback is left");
	}

private:
	struct Process;

	struct Ns {
		struct pid_namespace *real;
		Ns *parent;
		unsigned int level;
		unsigned int owner = 0;
		bool adding = true;
		bool init = false;
		unsigned int cursor = 0;
		unsigned int refs = 1;
		unsigned long woken = 0;
		std::map<int, Process *> used = {};
	};

	struct Process {
		struct pid *real;
		Ns *ns;
		/* In the order of set_tid[]. */
		Pids nrs;
	};

	static constexpr std::size_t max_namespaces = 40;
	static constexpr std::size_t max_processes = 700;

	/*
	 * Drawing: what an operation leaves open follows from its value.
	 */

	uint32_t draw(uint32_t below)
	{
		draw_ = draw_ * 6364136223846793005ULL + 1442695040888963407ULL;
		return (draw_ >> 33) % below;
	}

	Ns &root() { return namespaces_.front(); }

	Ns &youngest() { return namespaces_.back(); }

	/* Often one of the deepest. */
	Ns &pick_ns(uint8_t which)
	{
		std::size_t i = which % namespaces_.size();

		if (which >= 128)
			i = namespaces_.size() - 1 - i % 2 % namespaces_.size();
		return *std::next(namespaces_.begin(), i);
	}

	/* From the innermost level outwards. */
	static std::vector<Ns *> levels(Ns &ns)
	{
		std::vector<Ns *> nss;

		for (Ns *each = &ns; each; each = each->parent)
			nss.push_back(each);
		return nss;
	}

	/* Probably free, and certainly in range. */
	pid_t good_tid(const Ns &ns)
	{
		pid_t nr = draw(4) ? 1 + draw(300) : 1 + draw(pid_max_ - 1);

		for (int tries = 0; ns.used.count(nr) && tries < 20; tries++)
			nr = nr % (pid_max_ - 1) + 1;
		return ns.init ? nr : 1;
	}

	pid_t special_tid(const Ns &ns, unsigned int which)
	{
		switch (which % 8) {
		case 0:
			return ns.cursor + draw(5) - 2;
		case 1: {
			auto it = ns.used.lower_bound(1 + draw(400));

			return it == ns.used.end() ? 1 : it->first;
		}
		case 2:
			return pid_max_ - 1 + draw(3);
		case 3:
			return std::array{ 0, -1, INT_MIN, INT_MAX }[draw(4)];
		case 4:
			return 1;
		case 5:
			/* Where a node of the IDR ends. */
			return (64 << 3 * draw(6)) - 1 + draw(2);
		case 6:
			return 300 - 1 + draw(3);
		default:
			return ns.used.empty() ? 1 : ns.used.rbegin()->first;
		}
	}

	/*
	 * The rules.
	 */

	static int next_free(const Ns &ns, unsigned int from, unsigned int last)
	{
		for (auto it = ns.used.lower_bound(from);
		     from <= last && it != ns.used.end() && it->first == static_cast<int>(from);
		     ++it)
			from++;
		return from <= last ? from : 0;
	}

	int automatic(const Ns &ns) const
	{
		const unsigned int first = ns.cursor > 300 ? 300 : 1;
		const unsigned int last = pid_max_ - 1;
		const int nr = next_free(ns, std::max(ns.cursor, first), last);

		return nr ? nr : next_free(ns, first, last);
	}

	/* An answer, and what is reported of it. */
	struct Answer {
		int error = 0;
		shim_reason reason = {};
		unsigned int level = 0;
		int nr = 0;
	};

	/* Rows 7 to 10. */
	Answer validate(Ns &ns, const Pids &wanted) const
	{
		const Ns *each = &ns;

		if (wanted.size() > ns.level + 1)
			return { -EINVAL, SHIM_TOO_MANY, ns.level, wanted[ns.level + 1] };
		for (pid_t nr : wanted) {
			if (nr < 1 || nr >= pid_max_)
				return { -EINVAL, SHIM_OUT_OF_RANGE, each->level, nr };
			if (nr != 1 && !each->init)
				return { -EINVAL, SHIM_NO_INIT_YET, each->level, nr };
			if (!caps_[each->owner])
				return { -EPERM, SHIM_NO_CAPABILITY, each->level, nr };
			each = each->parent;
		}
		return {};
	}

	/* Rows 9 and 11 to 13: the PIDs, or why there are none. */
	Answer claim(Ns &ns, const Pids &wanted, Pids &nrs) const
	{
		for (Ns *each : levels(ns)) {
			const std::size_t i = nrs.size();
			const bool asked = i < wanted.size();
			int nr = asked ? wanted[i] : 0;

			if (asked && each->used.count(nr))
				return { -EEXIST, SHIM_IN_USE, each->level, nr };
			if (!each->adding)
				return { -ENOMEM, SHIM_LOST_INIT, each->level, nr };
			if (!asked && !each->init && each->used.count(1))
				return { -EINVAL, SHIM_NO_INIT_YET, each->level, 0 };
			if (!asked)
				nr = each->init ? automatic(*each) : 1;
			if (!nr)
				return { -EAGAIN, SHIM_NONE_FREE, each->level, 0 };
			nrs.push_back(nr);
		}
		return {};
	}

	/* Row 29. */
	static void check_refusal(const shim_refusal &before, const Pids &wanted,
				  const Answer &expected)
	{
		shim_refusal last;

		shim_get_refusal(&last);
		if (wanted.empty() || !expected.error) {
			expect(last.count == before.count, "a refusal is reported");
			return;
		}
		expect(last.count == before.count + 1, "the refusal is not reported once");
		expect(last.error == expected.error && last.reason == expected.reason &&
			       last.level == expected.level && last.nr == expected.nr,
		       "another refusal is reported");
	}

	void publish(Ns &ns, const Pids &nrs, std::size_t requested, struct pid *real)
	{
		auto p = std::make_unique<Process>(Process{ real, &ns, nrs });
		std::size_t i = 0;

		for (Ns *each : levels(ns)) {
			each->used[nrs[i]] = p.get();
			if (i >= requested)
				each->cursor = nrs[i] + 1;
			i++;
		}
		if (ns.parent)
			ns.refs++;
		processes_.emplace(p.get(), std::move(p));
	}

	void give_back(Process *p)
	{
		std::size_t i = 0;

		shim_free_pid(p->real);
		for (Ns *each : levels(*p->ns)) {
			each->used.erase(p->nrs[i++]);
			if (each->adding && each->used.empty())
				each->cursor = 0;
			if (!each->adding && (each->used.size() == 1 || each->used.size() == 2))
				each->woken++;
		}
		if (p->ns->parent)
			p->ns->refs--;
		processes_.erase(p);
	}

	/*
	 * The operations.
	 */

	void allocate(const Op &op)
	{
		Ns &ns = pick_ns(op.ns);
		const auto nss = levels(ns);
		Pids wanted, nrs;
		std::size_t size = op.size % 4 ? op.size / 4 % (nss.size() + 1) : 0;

		if (processes_.size() >= max_processes) {
			release(op);
			return;
		}
		if (op.size % 4 == 3)
			size = nss.size();
		if (op.mode % 64 == 63)
			size = nss.size() + 1;

		for (std::size_t i = 0; i < size; i++)
			wanted.push_back(good_tid(i < nss.size() ? *nss[i] : ns));
		if (size && op.mode % 2) {
			const std::size_t i = draw(std::min(size, nss.size()));

			wanted[i] = special_tid(*nss[i], op.mode / 2);
		}

		Answer expected = validate(ns, wanted);
		const bool invalid = expected.error;

		if (!invalid)
			expected = claim(ns, wanted, nrs);
		/* Every eighth has less memory than it wants. */
		const bool failed = op.mode / 16 % 8 == 7 &&
				    runs_short(ns, wanted, expected.error, invalid);
		struct pid *pid = nullptr;
		int err = 0;

		if (failed) {
			/* As if nothing had happened. */
			compare(true);
			short_of_memory++;
		}
		if (!pending_) {
			shim_refusal before;

			shim_get_refusal(&before);
			err = shim_alloc_pid(ns.real, wanted.data(), wanted.size(), &pid);
			if (err == expected.error)
				check_refusal(before, wanted, expected);
		} else {
			std::swap(pid, pending_);
		}
		if (trace)
			describe(ns, wanted, expected.error, err, pid, failed);
		answers[-err]++;
		if (err != expected.error)
			throw Mismatch("alloc_pid(): " + name(expected.error) + " expected, " +
				       name(err) + " returned");
		if (err)
			return;

		check(pid, ns, nrs);
		publish(ns, nrs, wanted.size(), pid);
		/* Most first processes become inits at once. */
		if (op.mode / 4 % 4)
			become_init(ns);
	}

	/*
	 * Makes the call with some allocations failing: true if it failed for
	 * that. If it succeeds, pending_ is the result.
	 */
	bool runs_short(Ns &ns, const Pids &wanted, int expected, bool invalid)
	{
		const shim_stats before = stats();
		const long n = draw(4) ? draw(6) : draw(60);
		struct pid *pid;
		bool short_of;
		int err;

		if (draw(2))
			shim_drop_preloaded();
		shim_set_alloc(SHIM_ATOMIC, draw(2) ? 0 : -1);
		switch (draw(2)) {
		case 0:
			shim_fail_nth(n + 1);
			err = shim_alloc_pid(ns.real, wanted.data(), wanted.size(), &pid);
			short_of = !shim_fail_pending();
			break;
		default:
			shim_set_alloc(SHIM_SLEEPING, n);
			err = shim_alloc_pid(ns.real, wanted.data(), wanted.size(), &pid);
			short_of = stats().sleeping > before.sleeping + n;
			break;
		}
		shim_fail_nth(0);
		shim_set_alloc(SHIM_ATOMIC, 0);
		shim_set_alloc(SHIM_SLEEPING, -1);

		expect(!invalid || !short_of,
		       "memory is asked for before the request is validated");
		short_of = short_of && err == -ENOMEM;
		expect(!err || err == expected || short_of,
		       "alloc_pid() without memory: " + name(err));
		if (!err)
			pending_ = pid;
		return short_of;
	}

	void check(struct pid *pid, Ns &ns, const Pids &nrs)
	{
		expect(shim_pid_level(pid) == ns.level, "the level is wrong");
		expect(shim_pid_refs(pid) == 1, "not one reference");
		expect(shim_pid_is_fresh(pid), "a field is not initialized");
		expect(shim_pid_ino(pid) > last_ino_, "no new inode number");
		last_ino_ = shim_pid_ino(pid);
		for (Ns *each : levels(ns)) {
			const int nr = nrs[ns.level - each->level];
			const int real = shim_pid_nr(pid, each->level);

			expect(real == nr, "level " + std::to_string(each->level) + ": PID " +
						   std::to_string(nr) + " expected, " +
						   std::to_string(real) + " allocated");
			expect(shim_pid_ns(pid, each->level) == each->real, "a namespace is wrong");
		}
	}

	static bool may_attach(const Process &p)
	{
		for (const Ns *each : levels(*p.ns))
			if (each->level && !each->adding)
				return false;
		return true;
	}

	void become_init(Ns &ns)
	{
		const auto it = ns.used.find(1);

		if (ns.init || it == ns.used.end() || it->second->ns != &ns ||
		    !may_attach(*it->second))
			return;
		ns.init = true;
		shim_ns_set_reaper(ns.real, true);
	}

	/* Any process but an init that still has something to do. */
	Process *pick_process(Ns &ns)
	{
		auto it = ns.used.lower_bound(draw(400));

		if (it == ns.used.end())
			it = ns.used.begin();
		if (it == ns.used.end())
			return nullptr;

		Process *p = it->second;
		const bool init = p->nrs[0] == 1 && p->ns->init;

		if (init && (p->ns->adding || p->ns->used.size() > 1))
			return nullptr;
		return p;
	}

	void release(const Op &op)
	{
		Process *p = pick_process(pick_ns(op.ns));

		if (!p)
			return;
		if (trace)
			std::printf("free_pid   %s\n", name(*p).c_str());
		give_back(p);
	}

	void attach(const Op &op)
	{
		Ns &ns = pick_ns(op.ns);

		for (const auto &[nr, p] : ns.used)
			expect(shim_pid_may_attach(p->real, nullptr, 0) == may_attach(*p),
			       "pid_may_attach() of " + name(*p));
		if (trace)
			std::printf("attach     %s\n", name(ns).c_str());
		become_init(ns);
	}

	void new_ns(const Op &op)
	{
		Ns &parent = pick_ns(op.ns);
		struct pid_namespace *real;

		if (namespaces_.size() >= max_namespaces || !parent.init)
			return;
		const unsigned int owner = draw(owners_.size());

		real = shim_ns_create(parent.real, owners_[owner]);
		expect(!!real == (parent.level < SHIM_MAX_LEVEL), "a namespace is too deep");
		if (!real)
			return;
		parent.refs += !!parent.parent;
		namespaces_.push_back({ real, &parent, parent.level + 1, owner });
		if (trace)
			std::printf("new ns     %s, owner %u\n", name(youngest()).c_str(), owner);
	}

	void move_cursor(const Op &op)
	{
		Ns &ns = pick_ns(op.ns);

		/* What a write to ns_last_pid can do. */
		ns.cursor = op.mode % 4 == 0 ? 1 + draw(pid_max_) :
			    op.mode % 4 == 1 ? pid_max_ - draw(3) :
			    op.mode % 4 == 2 ? 1 + draw(310) :
					       298 + draw(5);
		shim_ns_set_cursor(ns.real, ns.cursor);
		if (trace)
			std::printf("cursor     %s = %u\n", name(ns).c_str(), ns.cursor);
	}

	void change_pid_max(const Op &op)
	{
		switch (op.mode % 4) {
		case 0:
			pid_max_ = 301 + draw(SHIM_PID_MAX_LIMIT - 300);
			break;
		case 1:
			pid_max_ = SHIM_PID_MAX_DEFAULT;
			break;
		default:
			pid_max_ = 301 + draw(8);
			break;
		}
		shim_set_pid_max(pid_max_);
		if (trace)
			std::printf("pid_max    = %d\n", pid_max_);
	}

	void disable(const Op &op)
	{
		Ns &ns = pick_ns(op.ns);

		if (!ns.parent || !ns.init || draw(8))
			return;
		if (trace)
			std::printf("disable    %s\n", name(ns).c_str());
		ns.adding = false;
		shim_disable_pid_allocation(ns.real);
	}

	/* Its init exits, and with it everything inside. */
	void take_down(Ns &ns)
	{
		std::vector<Ns *> inner;

		for (Ns &each : namespaces_)
			if (each.parent == &ns)
				inner.push_back(&each);
		for (Ns *each : inner)
			take_down(*each);

		if (trace)
			std::printf("destroy    %s\n", name(ns).c_str());
		if (ns.init) {
			ns.adding = false;
			shim_disable_pid_allocation(ns.real);
		}
		/* The init goes last. */
		while (!ns.used.empty())
			give_back(ns.used.rbegin()->second);
		if (ns.parent->parent)
			ns.parent->refs--;
		shim_ns_put(ns.real);
		namespaces_.remove_if([&](const Ns &each) { return &each == &ns; });
	}

	void destroy(const Op &op)
	{
		Ns &ns = pick_ns(op.ns);

		if (ns.parent && (op.mode % 8 == 0 || !ns.adding))
			take_down(ns);
	}

	void change_caps(const Op &op)
	{
		const unsigned int owner = draw(owners_.size());
		/* Mostly somebody may. */
		const unsigned int caps = op.mode % 16 ? 1 + draw(3) : 0;

		caps_[owner] = caps;
		shim_user_ns_set_caps(owners_[owner], caps);
		if (trace)
			std::printf("caps       owner %u = %u\n", owner, caps);
	}

	/*
	 * Comparing.
	 */

	void compare(bool everything)
	{
		if (everything)
			shim_rcu_barrier();
		expect(stats().warnings == before_.warnings, "a warning");
		for (const Ns &ns : namespaces_) {
			expect(shim_ns_cursor(ns.real) == ns.cursor,
			       name(ns) + ": cursor " + std::to_string(ns.cursor) +
				       " expected, is " + std::to_string(shim_ns_cursor(ns.real)));
			expect(shim_ns_allocated(ns.real) ==
				       (ns.used.size() | (ns.adding ? SHIM_PIDNS_ADDING : 0)),
			       name(ns) + ": pid_allocated");
			expect(shim_ns_woken(ns.real) == ns.woken,
			       name(ns) + ": its init was not woken when due");
			if (everything)
				compare_used(ns);
		}
	}

	void compare_used(const Ns &ns)
	{
		const NsState real(ns.real);

		expect(!ns.parent || real.refs == ns.refs, name(ns) + ": references");
		expect(real.used.size() == ns.used.size(),
		       name(ns) + ": " + std::to_string(ns.used.size()) +
			       " PIDs expected, there are " + std::to_string(real.used.size()));
		std::size_t i = 0;

		for (const auto &[nr, p] : ns.used) {
			expect(real.used[i++] == nr,
			       name(ns) + ": PID " + std::to_string(nr) + " is not in use");
			expect(shim_find_pid(nr, ns.real) == p->real,
			       name(ns) + ": PID " + std::to_string(nr) + " is not found");
		}
	}

	static void expect(bool as_expected, const std::string &otherwise)
	{
		if (!as_expected)
			throw Mismatch(otherwise);
	}

	static void expect(bool as_expected, const char *otherwise)
	{
		if (!as_expected)
			throw Mismatch(otherwise);
	}

	static std::string name(int err) { return err ? strerrorname_np(-err) : "0"; }

	std::string name(const Ns &ns) const
	{
		std::size_t i = 0;

		for (const Ns &each : namespaces_) {
			if (&each == &ns)
				break;
			i++;
		}
		return "ns " + std::to_string(i) + " (level " + std::to_string(ns.level) + ")";
	}

	static std::string name(const Pids &nrs)
	{
		std::string s = "{";

		for (pid_t nr : nrs)
			s += " " + std::to_string(nr);
		return s + " }";
	}

	std::string name(const Process &p) const { return name(*p.ns) + " " + name(p.nrs); }

	void describe(const Ns &ns, const Pids &wanted, int expected, int err,
		      const struct pid *pid, bool failed) const
	{
		Pids nrs;

		if (pid)
			for (unsigned int level = ns.level + 1; level--;)
				nrs.push_back(shim_pid_nr(pid, level));
		std::printf("alloc_pid  %s %s%s: %s expected, %s %s\n", name(ns).c_str(),
			    name(wanted).c_str(), failed ? " (after ENOMEM)" : "",
			    name(expected).c_str(), name(err).c_str(),
			    pid ? name(nrs).c_str() : "");
	}

	std::list<Ns> namespaces_;
	std::map<Process *, std::unique_ptr<Process>> processes_;
	std::array<struct user_namespace *, 4> owners_;
	std::array<bool, 4> caps_;
	int pid_max_ = SHIM_PID_MAX_DEFAULT;
	uint64_t last_ino_ = 0;
	uint64_t draw_ = 0;
	unsigned long steps_ = 0;
	struct pid *pending_ = nullptr;
	shim_stats before_;
};

/* The operations that @bytes are; a rest of less than one does not count. */
inline void run_bytes(const std::string &bytes, bool trace)
{
	Model model;

	model.trace = trace;
	for (std::size_t at = 0; at + sizeof(Op) <= bytes.size(); at += sizeof(Op)) {
		Op op;

		std::memcpy(&op, bytes.data() + at, sizeof(op));
		model.step(op);
	}
	model.finish();
}

#endif /* MODEL_MODEL_HPP */
