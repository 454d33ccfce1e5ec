// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on kernel/pid_alloc.c and on the rules, see model.hpp.
 */

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "model/model.hpp"

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

static std::string name(int err)
{
	return err ? strerrorname_np(-err) : "0";
}

Model::Model()
{
	struct pid *init;

	shim_thread_enter();
	before_ = stats();
	shim_set_alloc(SHIM_ATOMIC, 0);
	shim_set_alloc(SHIM_SLEEPING, -1);
	shim_fail_nth(0);
	shim_fail_pidfs(false);
	for (struct user_namespace *&owner : owners_)
		owner = shim_user_ns_create(SHIM_CAP_SYS_ADMIN);
	shim_root_reset(owners_[0]);
	rules_.namespaces.push_back({ shim_root(), nullptr, 0 });

	expect(!shim_alloc_pid(shim_root(), nullptr, 0, &init), "the root does not take its init");
	rules_.root().init = true;
	rules_.publish(rules_.root(), { 1 }, 0, init);
}

void Model::step(const Op &op)
{
	draw_.start(op.value);
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
		if (op.mode / 4 % 4 == 3)
			change_pid_min(op);
		else
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

void Model::finish()
{
	compare(true);
	while (rules_.namespaces.size() > 1)
		take_down(rules_.youngest());
	shim_disable_pid_allocation(shim_root());
	rules_.root().adding = false;
	while (!rules_.root().used.empty())
		free(rules_.root().used.rbegin()->second);
	compare(true);
	shim_drop_preloaded();
	for (struct user_namespace *owner : owners_)
		shim_user_ns_destroy(owner);

	const shim_stats after = stats();

	expect(after.live_pids == before_.live_pids, "a struct pid leaks");
	expect(after.live_nodes == before_.live_nodes, "a node leaks");
	expect(after.live_namespaces == before_.live_namespaces, "a namespace leaks");
	expect(after.live_in_pidfs == before_.live_in_pidfs, "a PID stays in pidfs");
	expect(after.pending_callbacks == before_.pending_callbacks, "a callback is left");
}

/* Often one of the deepest. */
Ns &Model::pick_ns(uint8_t which)
{
	std::size_t i = which % rules_.namespaces.size();

	if (which >= 128)
		i = rules_.namespaces.size() - 1 - i % 2 % rules_.namespaces.size();
	return *std::next(rules_.namespaces.begin(), i);
}

Pids Model::choose_pids(const Op &op, Ns &ns)
{
	const auto nss = Rules::levels(ns);
	std::size_t size = op.size % 4 ? op.size / 4 % (nss.size() + 1) : 0;
	Pids wanted;

	if (op.size % 4 == 3)
		size = nss.size();
	if (op.mode % 64 == 63)
		size = nss.size() + 1;

	for (std::size_t i = 0; i < size; i++)
		wanted.push_back(draw_.good_pid(i < nss.size() ? *nss[i] : ns));
	if (size && op.mode % 2) {
		const std::size_t i = draw_.below(std::min(size, nss.size()));

		wanted[i] = draw_.special_pid(*nss[i], op.mode / 2);
	}
	return wanted;
}

void Model::allocate(const Op &op)
{
	Ns &ns = pick_ns(op.ns);

	if (rules_.processes.size() >= max_processes) {
		release(op);
		return;
	}

	const Pids wanted = choose_pids(op, ns);
	Answer expected = rules_.validate(ns, wanted);
	const bool invalid = expected.error;
	struct pid *pid = nullptr;
	Pids nrs;
	int err = 0;

	if (!invalid)
		expected = rules_.claim(ns, wanted, nrs);
	/* Every eighth has less memory than it wants. */
	const bool failed = op.mode / 16 % 8 == 7 && runs_short(ns, wanted, expected, invalid, pid);

	if (failed) {
		/* As if nothing had happened. */
		compare(true);
		short_of_memory++;
	}
	/* Every sixteenth is refused by pidfs after the claim. */
	if (op.mode / 16 == 13 && !expected.error && shim_pidfs_can_fail()) {
		refuse_in_pidfs(ns, wanted, nrs);
		nrs.clear();
		expected = rules_.claim(ns, wanted, nrs);
	}
	if (!pid)
		err = call(ns, wanted, expected, pid);
	if (trace)
		describe(ns, wanted, expected.error, err, pid, failed);
	answers[-err]++;
	if (err != expected.error)
		throw Mismatch("alloc_pid(): " + name(expected.error) + " expected, " + name(err) +
			       " returned");
	if (err)
		return;

	check(pid, ns, nrs);
	rules_.publish(ns, nrs, wanted.size(), pid);
	/* Most first processes become inits at once. */
	if (op.mode / 4 % 4)
		become_init(ns);
}

/* Row 29. */
static void check_refusal(const shim_refusal &before, const Pids &wanted, const Answer &expected)
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

int Model::call(const Ns &ns, const Pids &wanted, const Answer &expected, struct pid *&pid)
{
	shim_refusal before;
	int err;

	shim_get_refusal(&before);
	err = shim_alloc_pid(ns.real, wanted.data(), wanted.size(), &pid);
	if (err == expected.error)
		check_refusal(before, wanted, expected);
	return err;
}

/*
 * Makes the call with some allocations failing: true if it failed for that. If it
 * succeeds all the same, @pid is the result.
 */
bool Model::runs_short(const Ns &ns, const Pids &wanted, const Answer &expected, bool invalid,
		       struct pid *&pid)
{
	const shim_stats before = stats();
	const long n = draw_.below(4) ? draw_.below(6) : draw_.below(60);
	bool short_of;
	int err;

	if (draw_.below(2))
		shim_drop_preloaded();
	shim_set_alloc(SHIM_ATOMIC, draw_.below(2) ? 0 : -1);
	switch (draw_.below(2)) {
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

	expect(!invalid || !short_of, "memory is asked for before the request is validated");
	short_of = short_of && err == -ENOMEM;
	expect(!err || err == expected.error || short_of,
	       "alloc_pid() without memory: " + name(err));
	return short_of;
}

/*
 * Makes a call that is granted with a pidfs that refuses the PID: as if the process
 * had been there and had gone. Then the call can be made again.
 */
void Model::refuse_in_pidfs(Ns &ns, const Pids &wanted, const Pids &nrs)
{
	const Answer expected = { -ENOMEM, SHIM_NO_MEMORY, ns.level,
				  wanted.empty() ? 0 : wanted[0] };
	struct pid *pid;

	shim_fail_pidfs(true);
	const int err = call(ns, wanted, expected, pid);
	shim_fail_pidfs(false);
	expect(err == expected.error, "alloc_pid() when pidfs refuses: " + name(err));
	rules_.release(rules_.publish(ns, nrs, wanted.size(), nullptr));
	compare(true);
	refused_in_pidfs++;
}

void Model::check(struct pid *pid, Ns &ns, const Pids &nrs)
{
	expect(shim_pid_level(pid) == ns.level, "the level is wrong");
	expect(shim_pid_refs(pid) == 1, "not one reference");
	expect(shim_pid_is_fresh(pid), "a field is not initialized");
	expect(shim_pid_ino(pid) > last_ino_, "no new inode number");
	last_ino_ = shim_pid_ino(pid);
	for (Ns *each : Rules::levels(ns)) {
		const int nr = nrs[ns.level - each->level];
		const int real = shim_pid_nr(pid, each->level);

		expect(real == nr, "level " + std::to_string(each->level) + ": PID " +
					   std::to_string(nr) + " expected, " +
					   std::to_string(real) + " allocated");
		expect(shim_pid_ns(pid, each->level) == each->real, "a namespace is wrong");
	}
}

void Model::become_init(Ns &ns)
{
	if (Rules::become_init(ns))
		shim_ns_set_reaper(ns.real, true);
}

void Model::free(Process *p)
{
	shim_free_pid(p->real);
	rules_.release(p);
}

void Model::release(const Op &op)
{
	Process *p = draw_.process(pick_ns(op.ns));

	if (!p)
		return;
	if (trace)
		std::printf("free_pid   %s\n", rules_.name(*p).c_str());
	free(p);
}

void Model::attach(const Op &op)
{
	Ns &ns = pick_ns(op.ns);

	for (const auto &[nr, p] : ns.used)
		expect(shim_pid_may_attach(p->real, nullptr, 0) == Rules::may_attach(*p),
		       "pid_may_attach() of " + rules_.name(*p));
	if (trace)
		std::printf("attach     %s\n", rules_.name(ns).c_str());
	become_init(ns);
}

void Model::new_ns(const Op &op)
{
	Ns &parent = pick_ns(op.ns);

	if (rules_.namespaces.size() >= max_namespaces || !parent.init)
		return;

	const unsigned int owner = draw_.below(owners_.size());
	struct pid_namespace *real = shim_ns_create(parent.real, owners_[owner]);

	expect(!!real == (parent.level < SHIM_MAX_LEVEL), "a namespace is too deep");
	if (!real)
		return;

	Ns &ns = rules_.add_ns(real, parent, owner);

	/* Not the highest one: the ends of the range are to be met, too. */
	shim_ns_set_pid_max(real, ns.pid_max);
	if (trace)
		std::printf("new ns     %s, owner %u\n", rules_.name(ns).c_str(), owner);
}

void Model::move_cursor(const Op &op)
{
	Ns &ns = pick_ns(op.ns);

	/* What a write to ns_last_pid can do. */
	switch (op.mode % 4) {
	case 0:
		ns.cursor = 1 + draw_.below(ns.pid_max);
		break;
	case 1:
		ns.cursor = ns.pid_max - draw_.below(3);
		break;
	case 2:
		ns.cursor = 1 + draw_.below(310);
		break;
	default:
		ns.cursor = 298 + draw_.below(5);
		break;
	}
	shim_ns_set_cursor(ns.real, ns.cursor);
	if (trace)
		std::printf("cursor     %s = %u\n", rules_.name(ns).c_str(), ns.cursor);
}

void Model::set_pid_max(Ns &ns, int max) const
{
	ns.pid_max = max;
	shim_ns_set_pid_max(ns.real, max);
	if (trace)
		std::printf("pid_max    %s = %d\n", rules_.name(ns).c_str(), max);
}

/* Of one namespace or of all; of all if there is only one pid_max. */
void Model::change_pid_max(const Op &op)
{
	int max;

	switch (op.mode % 4) {
	case 0:
		max = 301 + draw_.below(SHIM_PID_MAX_LIMIT - 300);
		break;
	case 1:
		max = SHIM_PID_MAX_DEFAULT;
		break;
	default:
		max = 301 + draw_.below(8);
		break;
	}
	if (op.mode / 32 % 2 == 0 && shim_pid_max_per_ns()) {
		set_pid_max(pick_ns(op.ns), max);
		return;
	}
	for (Ns &ns : rules_.namespaces)
		set_pid_max(ns, max);
}

void Model::change_pid_min(const Op &op)
{
	Ns &ns = pick_ns(op.ns);
	int min;

	switch (op.mode % 4) {
	case 0:
		min = 1;
		break;
	case 1:
		min = 1 + draw_.below(ns.pid_max);
		break;
	case 2:
		/* The highest, if pid_max is more than 300. */
		min = std::max(1, ns.pid_max - 300 + static_cast<int>(draw_.below(5)) - 2);
		break;
	default:
		min = 298 + draw_.below(5);
		break;
	}

	const int expected = Rules::floor_fits(ns, min) ? 0 : -EINVAL;
	const int err = shim_set_pid_min(ns.real, min);

	if (trace)
		std::printf("pid_min    %s = %d: %s\n", rules_.name(ns).c_str(), min,
			    name(err).c_str());
	expect(err == expected, "set_pid_min(): " + name(err));
	if (!err)
		ns.pid_min = min;
}

void Model::disable(const Op &op)
{
	Ns &ns = pick_ns(op.ns);

	if (!ns.parent || !ns.init || draw_.below(8))
		return;
	if (trace)
		std::printf("disable    %s\n", rules_.name(ns).c_str());
	ns.adding = false;
	shim_disable_pid_allocation(ns.real);
}

/* The init of @ns exits, and everything inside with it. */
void Model::take_down(Ns &ns)
{
	std::vector<Ns *> inner;

	for (Ns &each : rules_.namespaces)
		if (each.parent == &ns)
			inner.push_back(&each);
	for (Ns *each : inner)
		take_down(*each);

	if (trace)
		std::printf("destroy    %s\n", rules_.name(ns).c_str());
	if (ns.init) {
		ns.adding = false;
		shim_disable_pid_allocation(ns.real);
	}
	/* The init goes last. */
	while (!ns.used.empty())
		free(ns.used.rbegin()->second);
	shim_ns_put(ns.real);
	rules_.remove_ns(ns);
}

void Model::destroy(const Op &op)
{
	Ns &ns = pick_ns(op.ns);

	if (ns.parent && (op.mode % 8 == 0 || !ns.adding))
		take_down(ns);
}

void Model::change_caps(const Op &op)
{
	const unsigned int owner = draw_.below(owners_.size());
	/* In most cases one capability or both. */
	const unsigned int caps = op.mode % 16 ? 1 + draw_.below(3) : 0;

	rules_.capable[owner] = caps;
	shim_user_ns_set_caps(owners_[owner], caps);
	if (trace)
		std::printf("caps       owner %u = %u\n", owner, caps);
}

void Model::compare(bool everything) const
{
	if (everything)
		shim_rcu_barrier();
	expect(stats().warnings == before_.warnings, "a warning");
	for (const Ns &ns : rules_.namespaces) {
		expect(shim_ns_cursor(ns.real) == ns.cursor,
		       rules_.name(ns) + ": cursor " + std::to_string(ns.cursor) +
			       " expected, is " + std::to_string(shim_ns_cursor(ns.real)));
		expect(shim_ns_pid_min(ns.real) == ns.pid_min, rules_.name(ns) + ": pid_min");
		expect(shim_ns_allocated(ns.real) ==
			       (ns.used.size() | (ns.adding ? SHIM_PIDNS_ADDING : 0)),
		       rules_.name(ns) + ": pid_allocated");
		expect(shim_ns_woken(ns.real) == ns.woken,
		       rules_.name(ns) + ": its init was not woken when due");
		if (everything)
			compare_used(ns);
	}
}

void Model::compare_used(const Ns &ns) const
{
	const NsState real(ns.real);
	std::size_t i = 0;

	expect(!ns.parent || real.refs == ns.refs, rules_.name(ns) + ": references");
	expect(!shim_pidfs_can_fail() || real.active == Rules::processes_of(ns),
	       rules_.name(ns) + ": active references");
	expect(real.used.size() == ns.used.size(),
	       rules_.name(ns) + ": " + std::to_string(ns.used.size()) +
		       " PIDs expected, there are " + std::to_string(real.used.size()));
	for (const auto &[nr, p] : ns.used) {
		expect(real.used[i++] == nr,
		       rules_.name(ns) + ": PID " + std::to_string(nr) + " is not in use");
		expect(shim_find_pid(nr, ns.real) == p->real,
		       rules_.name(ns) + ": PID " + std::to_string(nr) + " is not found");
	}
}

void Model::describe(const Ns &ns, const Pids &wanted, int expected, int err, const struct pid *pid,
		     bool failed) const
{
	Pids nrs;

	if (pid)
		for (unsigned int level = ns.level + 1; level--;)
			nrs.push_back(shim_pid_nr(pid, level));
	std::printf("alloc_pid  %s %s%s: %s expected, %s %s\n", rules_.name(ns).c_str(),
		    name(wanted).c_str(), failed ? " (after ENOMEM)" : "", name(expected).c_str(),
		    name(err).c_str(), pid ? name(nrs).c_str() : "");
}

void run_bytes(const std::string &bytes, bool trace)
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
