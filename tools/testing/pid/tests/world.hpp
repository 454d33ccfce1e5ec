/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests and model share: namespaces and processes that are released at the end,
 * and the state of a namespace, for comparison.
 *
 * PIDs are written in the order of set_tid[], innermost namespace first.
 */
#ifndef TESTS_WORLD_HPP
#define TESTS_WORLD_HPP

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <ostream>
#include <system_error>
#include <vector>

#include "shim/shim.h"

using Pids = std::vector<pid_t>;

/* Everything about a namespace that a failed call must leave alone. */
struct NsState {
	std::vector<int> used;
	unsigned int cursor;
	unsigned int allocated;
	unsigned int refs;
	long active;
	std::size_t nodes;

	explicit NsState(const struct pid_namespace *ns)
		: used(shim_ns_used(ns, nullptr, 0)), cursor(shim_ns_cursor(ns)),
		  allocated(shim_ns_allocated(ns)), refs(shim_ns_refs(ns)),
		  active(shim_ns_active(ns)), nodes(shim_ns_nodes(ns))
	{
		shim_ns_used(ns, used.data(), used.size());
	}

	bool operator==(const NsState &) const = default;

	friend std::ostream &operator<<(std::ostream &out, const NsState &s)
	{
		out << "{ cursor " << s.cursor << ", allocated " << std::hex << s.allocated
		    << std::dec << ", refs " << s.refs << ", active " << s.active << ", nodes "
		    << s.nodes << ", used";
		for (int nr : s.used)
			out << ' ' << nr;
		return out << " }";
	}
};

/*
 * The root namespace with its init, and what a test adds to it. The destructor
 * releases everything in the order in which the kernel does.
 */
class World {
public:
	World()
	{
		shim_thread_enter();
		shim_set_alloc(SHIM_ATOMIC, 0);
		shim_set_alloc(SHIM_SLEEPING, -1);
		shim_fail_nth(0);
		shim_fail_pidfs(false);
		shim_set_user_end(nullptr);
		shim_root_reset(owner());
		namespaces_.push_back(shim_root());
		alloc(shim_root());
	}

	World(const World &) = delete;
	World &operator=(const World &) = delete;

	~World()
	{
		for (struct pid_namespace *ns : namespaces_) {
			shim_ns_set_reaper(ns, true);
			shim_disable_pid_allocation(ns);
		}
		for (struct pid *pid : live_)
			shim_free_pid(pid);
		for (std::size_t i = namespaces_.size(); --i;)
			shim_ns_put(namespaces_[i]);
		shim_rcu_barrier();
		shim_drop_preloaded();
		for (struct user_namespace *owner : owners_)
			shim_user_ns_destroy(owner);
	}

	struct user_namespace *owner(unsigned int caps = SHIM_CAP_SYS_ADMIN)
	{
		return owners_.emplace_back(shim_user_ns_create(caps));
	}

	/* A namespace without an init. */
	struct pid_namespace *new_ns(struct pid_namespace *parent,
				     struct user_namespace *owner = nullptr)
	{
		return namespaces_.emplace_back(
			shim_ns_create(parent, owner ? owner : owners_.front()));
	}

	/* Of all namespaces that there are. */
	void set_pid_max(int max)
	{
		for (struct pid_namespace *ns : namespaces_)
			shim_ns_set_pid_max(ns, max);
	}

	/* Its first process, which becomes its init. */
	struct pid *start_init(struct pid_namespace *ns)
	{
		struct pid *init = alloc(ns);

		shim_ns_set_reaper(ns, true);
		return init;
	}

	/* Namespaces at the levels 0 to @deepest, each with its init. */
	std::vector<struct pid_namespace *> chain(unsigned int deepest)
	{
		std::vector<struct pid_namespace *> nss = { shim_root() };

		while (nss.size() <= deepest) {
			nss.push_back(new_ns(nss.back()));
			start_init(nss.back());
		}
		return nss;
	}

	/* 0 or a negative errno. */
	int try_alloc(struct pid_namespace *ns, const Pids &set_tid = {},
		      struct pid **result = nullptr)
	{
		struct pid *pid;
		const int err = shim_alloc_pid(ns, set_tid.data(), set_tid.size(), &pid);

		if (!err)
			live_.push_back(pid);
		if (result)
			*result = pid;
		return err;
	}

	/* Throws if the claim fails: nothing after it would make sense. */
	struct pid *alloc(struct pid_namespace *ns, const Pids &set_tid = {})
	{
		struct pid *pid;
		const int err = try_alloc(ns, set_tid, &pid);

		if (err)
			throw std::system_error(-err, std::generic_category(), "alloc_pid()");
		return pid;
	}

	void free(struct pid *pid)
	{
		std::erase(live_, pid);
		shim_free_pid(pid);
	}

private:
	std::deque<struct user_namespace *> owners_;
	std::vector<struct pid_namespace *> namespaces_;
	std::vector<struct pid *> live_;
};

inline std::vector<NsState> states(const std::vector<pid_namespace *> &nss)
{
	return { nss.begin(), nss.end() };
}

inline shim_stats stats()
{
	shim_stats s;

	shim_get_stats(&s);
	return s;
}

#endif /* TESTS_WORLD_HPP */
