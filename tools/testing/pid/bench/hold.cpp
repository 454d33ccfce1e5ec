// SPDX-License-Identifier: GPL-2.0
/*
 * How long pidmap_lock is held: one dump of callgrind's for each hold, with what
 * happened between lock and unlock. measure.py runs it.
 *
 * A case is what/level/nodes: which new nodes of each level's IDR it takes. All
 * PIDs have as many digits as there can be, so that each walk through an IDR is
 * as long as it can be.
 */

#include "bench/callgrind.hpp"
#include "bench/chain.hpp"

enum class Nodes {
	none,
	leaf, /* the last node on the way to the number */
	tree, /* all of them: the IDR has only its first node */
};

static constexpr pid_t last = SHIM_PID_MAX_LIMIT - 1;

class HoldChain : public Chain {
public:
	HoldChain(unsigned int deepest, Nodes wanted)
		: Chain(deepest, SHIM_CAP_SYS_ADMIN), wanted_(wanted)
	{
		/* Its node, or a neighbour of that, is where requests go. */
		keep(wanted == Nodes::tree ? Pids() : all(last - 20));
		set_cursors(request());
	}

	/* A free number that takes the nodes that are wanted. */
	pid_t request() const { return wanted_ == Nodes::leaf ? last - 640 : last - 5; }

	Pids all(pid_t nr) const { return Pids(levels(), nr); }

	/* No number is left at level 0; the others go on beside their init's. */
	void fill_root()
	{
		for (pid_t nr = 1; nr <= 300; nr++)
			keep_at_root(nr);
		shim_ns_set_pid_max(shim_root(), 301);
		set_cursors(50);
	}

	void set_cursors(unsigned int cursor)
	{
		cursor_ = cursor;
		for (std::size_t i = 0; i < levels(); i++)
			shim_ns_set_cursor(level(i), cursor);
	}

	/* Makes the call twice and measures the second one: the first fills the slab. */
	void measure(const std::string &name, const Pids &wanted, int expected)
	{
		for (const bool count : { false, true }) {
			struct pid *pid;

			shim_hold_name(count ? dump_name("alloc/" + name) : nullptr);
			const int err =
				shim_alloc_pid(target(), wanted.data(), wanted.size(), &pid);

			shim_hold_name(count && pid ? dump_name("free/" + name) : nullptr);
			if (pid)
				shim_free_pid(pid);
			shim_hold_name(nullptr);
			shim_rcu_barrier();
			/* Linux 6.12 looks for an init at the innermost level only. */
			if (err != expected && (err || expected != -ENOMEM))
				die(name, err);
			if (!expected)
				set_cursors(cursor_);
		}
	}

private:
	Nodes wanted_;
	unsigned int cursor_ = 0;
};

static void measure_level(unsigned int level)
{
	static const char *const names[] = { "none", "leaf", "tree" };

	for (const Nodes wanted : { Nodes::none, Nodes::leaf, Nodes::tree }) {
		HoldChain chain(level, wanted);
		const auto name = [&](const char *what) {
			return std::string(what) + "/" + std::to_string(level) + "/" +
			       names[static_cast<int>(wanted)];
		};
		const Pids free = chain.all(chain.request());
		Pids inner_busy = free, outer_busy = free;

		chain.measure(name("automatic"), {}, 0);
		chain.measure(name("requested"), free, 0);
		inner_busy.front() = chain.busy(level);
		chain.measure(name("innermost-taken"), inner_busy, -EEXIST);
		outer_busy.back() = chain.busy(0);
		chain.measure(name("outermost-taken"), outer_busy, -EEXIST);
		if (wanted == Nodes::none) {
			/* The number at the cursor is taken: a search finds the next. */
			chain.set_cursors(chain.busy(0));
			chain.measure(name("automatic-searched"), {}, 0);
		}
		if (level) {
			shim_disable_pid_allocation(chain.level(1));
			chain.measure(name("outermost-dead"), free, -ENOMEM);
		}
	}

	HoldChain chain(level, Nodes::tree);

	chain.fill_root();
	chain.measure("outermost-full/" + std::to_string(level) + "/none", {}, -EAGAIN);
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
