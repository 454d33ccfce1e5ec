// SPDX-License-Identifier: GPL-2.0
/*
 * How long pidmap_lock is held, with interrupts off in the kernel: one dump of
 * callgrind's for each hold, with what happened between lock and unlock.
 * hold.sh runs it.
 *
 * A case is what/level/nodes: which new nodes of each level's IDR it takes. All
 * PIDs have as many digits as there can be, so that each walk through an IDR is
 * as long as it can be.
 */

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "shim/shim.h"

using tids = std::vector<pid_t>;

enum class nodes {
	none,
	leaf, /* the last node on the way to the number */
	tree, /* all of them: the IDR has only its first node */
};

static constexpr pid_t last = SHIM_PID_MAX_LIMIT - 1;

/* Callgrind reads the name of a dump later. */
static const char *lasting(const std::string &name)
{
	static std::deque<std::string> names;

	return names.emplace_back(name).c_str();
}

static void die(const std::string &what, int err)
{
	std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(-err));
	std::exit(1);
}

/* Namespaces at the levels 0 to @deepest, and a process in the innermost. */
class hold_world {
public:
	hold_world(unsigned int deepest, nodes wanted)
		: owner_(shim_user_ns_create(SHIM_CAP_SYS_ADMIN)), wanted_(wanted)
	{
		shim_root_reset(owner_);
		shim_set_pid_max(SHIM_PID_MAX_LIMIT);
		for (unsigned int level = 0; level <= deepest; level++) {
			chain_.push_back(level ? shim_ns_create(chain_.back(), owner_) :
						 shim_root());
			alloc({});
			shim_ns_set_reaper(chain_.back(), true);
		}
		/* Its node, or a neighbour of that, is where requests go. */
		alloc(wanted == nodes::tree ? tids{} : all(last - 20));
		set_cursors(request());
	}

	hold_world(const hold_world &) = delete;
	hold_world &operator=(const hold_world &) = delete;

	~hold_world()
	{
		for (struct pid_namespace *ns : chain_)
			shim_disable_pid_allocation(ns);
		while (!live_.empty()) {
			shim_free_pid(live_.back());
			live_.pop_back();
		}
		for (std::size_t i = chain_.size(); --i;)
			shim_ns_put(chain_[i]);
		shim_rcu_barrier();
		shim_user_ns_destroy(owner_);
	}

	/* A free number that takes the nodes that are wanted. */
	pid_t request() const { return wanted_ == nodes::leaf ? last - 640 : last - 5; }

	/* One that is taken. */
	pid_t busy(unsigned int level) const { return shim_pid_nr(live_.back(), level); }

	tids all(pid_t nr) const { return tids(chain_.size(), nr); }

	struct pid_namespace *level(std::size_t level) const { return chain_[level]; }

	/* No number is left at level 0; the others go on beside their init's. */
	void fill_root()
	{
		/* Some have been taken in between. */
		for (pid_t nr = 1; nr <= 300; nr++) {
			struct pid *pid;

			if (!shim_alloc_pid(shim_root(), &nr, 1, &pid))
				live_.push_back(pid);
		}
		shim_set_pid_max(301);
		set_cursors(50);
	}

	void set_cursors(unsigned int cursor)
	{
		cursor_ = cursor;
		for (struct pid_namespace *ns : chain_)
			shim_ns_set_cursor(ns, cursor);
	}

	/* Makes the call twice, for the second one's sake: the first fills the slab. */
	void measure(const std::string &name, const tids &wanted, int expected)
	{
		for (const bool count : { false, true }) {
			struct pid *pid;

			shim_hold_name(count ? lasting("alloc/" + name) : nullptr);
			const int err =
				shim_alloc_pid(chain_.back(), wanted.data(), wanted.size(), &pid);

			shim_hold_name(count && pid ? lasting("free/" + name) : nullptr);
			if (pid)
				shim_free_pid(pid);
			shim_hold_name(nullptr);
			shim_rcu_barrier();
			/* The base looks for an init at the innermost level only. */
			if (err != expected && (err || expected != -ENOMEM))
				die(name, err);
			if (!expected)
				set_cursors(cursor_);
		}
	}

private:
	void alloc(const tids &wanted)
	{
		struct pid *pid;
		const int err = shim_alloc_pid(chain_.back(), wanted.data(), wanted.size(), &pid);

		if (err)
			die("cannot fill", err);
		live_.push_back(pid);
	}

	struct user_namespace *owner_;
	nodes wanted_;
	unsigned int cursor_ = 0;
	std::vector<struct pid_namespace *> chain_;
	std::vector<struct pid *> live_;
};

static void measure_level(unsigned int level)
{
	static const char *const names[] = { "none", "leaf", "tree" };

	for (const nodes wanted : { nodes::none, nodes::leaf, nodes::tree }) {
		hold_world w(level, wanted);
		const auto name = [&](const char *what) {
			return std::string(what) + "/" + std::to_string(level) + "/" +
			       names[static_cast<int>(wanted)];
		};
		const tids free = w.all(w.request());
		tids inner_busy = free, outer_busy = free;

		w.measure(name("automatic"), {}, 0);
		w.measure(name("requested"), free, 0);
		inner_busy.front() = w.busy(level);
		w.measure(name("innermost-taken"), inner_busy, -EEXIST);
		outer_busy.back() = w.busy(0);
		w.measure(name("outermost-taken"), outer_busy, -EEXIST);
		if (wanted == nodes::none) {
			/* The number at the cursor is taken: a search finds the next. */
			w.set_cursors(w.busy(0));
			w.measure(name("automatic-searched"), {}, 0);
		}
		if (level) {
			shim_disable_pid_allocation(w.level(1));
			w.measure(name("outermost-dead"), free, -ENOMEM);
		}
	}

	hold_world w(level, nodes::tree);

	w.fill_root();
	w.measure("outermost-full/" + std::to_string(level) + "/none", {}, -EAGAIN);
}

int main()
{
	shim_thread_enter();
	shim_hold_name("nothing");
	shim_hold_nothing();
	shim_hold_name(nullptr);
	for (unsigned int level : { 0, 4, 32 })
		measure_level(level);
	shim_thread_exit();
}
