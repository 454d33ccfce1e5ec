/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is measured: a chain of namespaces, one at each level, with some PIDs in
 * use, and a request that is made of it again and again.
 */
#ifndef PID_CASES_HPP
#define PID_CASES_HPP

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "shim/shim.h"

enum class request {
	plain,
	one,
	all,
	inner_busy,
	second_busy,
	outer_busy,
};

struct pid_case {
	request kind;
	unsigned int level;
	/* Processes of the innermost namespace. */
	int live;
	/* 101 numbers apart, so that no two share a node of the IDR. */
	bool scattered;

	std::string name() const
	{
		static const char *const kinds[] = { "plain",	   "one",	  "all",
						     "inner-busy", "second-busy", "outer-busy" };

		return std::string(kinds[static_cast<int>(kind)]) + "/" + std::to_string(level) +
		       "/" + std::to_string(live) + (scattered ? "s" : "");
	}

	bool fails() const { return kind >= request::inner_busy; }
};

class pid_world {
public:
	explicit pid_world(const pid_case &c)
		: c_(c),
		  owner_(shim_user_ns_create(SHIM_CAP_SYS_ADMIN | SHIM_CAP_CHECKPOINT_RESTORE))
	{
		struct pid_namespace *ns = shim_root();

		shim_root_reset(owner_);
		shim_set_pid_max(SHIM_PID_MAX_LIMIT);
		for (unsigned int level = 0; level <= c.level; level++) {
			if (level)
				ns = shim_ns_create(ns, owner_);
			chain_.push_back(ns);
			/* The init. */
			keep(nullptr, 0);
			shim_ns_set_reaper(ns, true);
		}

		std::vector<pid_t> tids(c.level + 1);

		for (int i = 1; i < c.live; i++) {
			if (c.scattered) {
				tids.assign(c.level + 1, 1000 + 101 * i);
				keep(tids.data(), tids.size());
			} else {
				keep(nullptr, 0);
			}
		}
		busy_ = shim_pid_nr(live_.back(), c.level);
		busy_second_ = shim_pid_nr(live_.back(), c.level ? c.level - 1 : 0);
		busy_outer_ = shim_pid_nr(live_.back(), 0);
	}

	pid_world(const pid_world &) = delete;
	pid_world &operator=(const pid_world &) = delete;

	~pid_world()
	{
		for (struct pid_namespace *ns : chain_)
			shim_disable_pid_allocation(ns);
		for (struct pid *pid : live_)
			shim_free_pid(pid);
		for (std::size_t i = chain_.size(); --i;)
			shim_ns_put(chain_[i]);
		shim_rcu_barrier();
		shim_user_ns_destroy(owner_);
	}

	struct pid_namespace *target() const { return chain_.back(); }

	/* The PIDs that call @i asks for. */
	std::vector<pid_t> request_of(int i) const
	{
		const pid_t nr = busy_outer_ + ahead + (c_.scattered ? 101 * i : i);
		std::vector<pid_t> tids;

		switch (c_.kind) {
		case request::plain:
			break;
		case request::one:
			tids = { nr };
			break;
		case request::all:
		case request::inner_busy:
		case request::second_busy:
		case request::outer_busy:
			tids.assign(c_.level + 1, nr);
			break;
		}
		if (c_.kind == request::inner_busy)
			tids.front() = busy_;
		if (c_.kind == request::second_busy)
			tids[c_.level ? 1 : 0] = busy_second_;
		if (c_.kind == request::outer_busy)
			tids.back() = busy_outer_;
		return tids;
	}

private:
	/* Requests are for numbers that the automatic sequence won't reach. */
	static constexpr pid_t ahead = 1000;

	void keep(const pid_t *tids, std::size_t size)
	{
		struct pid *pid;
		const int err = shim_alloc_pid(chain_.back(), tids, size, &pid);

		if (err) {
			std::fprintf(stderr, "%s: cannot fill: %d\n", c_.name().c_str(), err);
			std::exit(1);
		}
		live_.push_back(pid);
	}

	pid_case c_;
	struct user_namespace *owner_;
	std::vector<struct pid_namespace *> chain_;
	std::vector<struct pid *> live_;
	pid_t busy_ = 0;
	pid_t busy_second_ = 0;
	pid_t busy_outer_ = 0;
};

inline std::vector<pid_case> pid_cases()
{
	std::vector<pid_case> cases;

	for (request kind : { request::plain, request::one, request::all })
		for (unsigned int level : { 0, 1, 4, 16, 32 })
			cases.push_back({ kind, level, 1, false });
	for (request kind : { request::plain, request::all })
		for (int live : { 1000, 30000 })
			for (bool scattered : { false, true })
				for (unsigned int level : { 0, 4 })
					cases.push_back({ kind, level, live, scattered });
	for (request kind : { request::inner_busy, request::second_busy, request::outer_busy })
		for (unsigned int level : { 0, 1, 4, 16, 32 })
			cases.push_back({ kind, level, 1, false });
	return cases;
}

#endif /* PID_CASES_HPP */
