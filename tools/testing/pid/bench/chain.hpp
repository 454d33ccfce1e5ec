/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A chain of namespaces, one at each level, each with its init: where the
 * programs that measure make their calls. Allocations do not fail here, and
 * pid_max is as high as it can be.
 */
#ifndef BENCH_CHAIN_HPP
#define BENCH_CHAIN_HPP

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "shim/shim.h"

/* PIDs in the order of set_tid[], innermost namespace first. */
using Pids = std::vector<pid_t>;

[[noreturn]] inline void die(const std::string &what, int err)
{
	std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(-err));
	std::exit(1);
}

class Chain {
public:
	Chain(unsigned int deepest, unsigned int caps) : owner_(shim_user_ns_create(caps))
	{
		shim_root_reset(owner_);
		for (unsigned int level = 0; level <= deepest; level++) {
			chain_.push_back(level ? shim_ns_create(chain_.back(), owner_) :
						 shim_root());
			shim_ns_set_pid_max(chain_.back(), SHIM_PID_MAX_LIMIT);
			keep({});
			shim_ns_set_reaper(chain_.back(), true);
		}
	}

	Chain(const Chain &) = delete;
	Chain &operator=(const Chain &) = delete;

	~Chain()
	{
		for (struct pid_namespace *ns : chain_)
			shim_disable_pid_allocation(ns);
		for (; !live_.empty(); live_.pop_back())
			shim_free_pid(live_.back());
		for (std::size_t i = chain_.size(); --i;)
			shim_ns_put(chain_[i]);
		shim_rcu_barrier();
		shim_user_ns_destroy(owner_);
	}

	struct pid_namespace *level(std::size_t level) const { return chain_[level]; }

	struct pid_namespace *target() const { return chain_.back(); }

	std::size_t levels() const { return chain_.size(); }

	/* A process of the innermost namespace that stays until the end. */
	void keep(const Pids &wanted)
	{
		struct pid *pid;
		const int err = shim_alloc_pid(target(), wanted.data(), wanted.size(), &pid);

		if (err)
			die("a process to start with", err);
		live_.push_back(pid);
	}

	/* The same at level 0, unless the number is taken. */
	void keep_at_root(pid_t nr)
	{
		struct pid *pid;

		if (!shim_alloc_pid(shim_root(), &nr, 1, &pid))
			live_.push_back(pid);
	}

	/* The PID that the last process to stay has at @level. */
	pid_t busy(unsigned int level) const { return shim_pid_nr(live_.back(), level); }

private:
	struct user_namespace *owner_;
	std::vector<struct pid_namespace *> chain_;
	std::vector<struct pid *> live_;
};

#endif /* BENCH_CHAIN_HPP */
