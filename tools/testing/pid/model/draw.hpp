/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an operation leaves open is drawn: it follows from the operation's value,
 * so that the same bytes always do the same.
 */
#ifndef MODEL_DRAW_HPP
#define MODEL_DRAW_HPP

#include <array>
#include <climits>
#include <cstdint>

#include "model/rules.hpp"

class Draw {
public:
	void start(uint32_t value) { state_ = value; }

	uint32_t below(uint32_t limit)
	{
		state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
		return (state_ >> 33) % limit;
	}

	/* Probably free, and certainly in range. */
	pid_t good_pid(const Ns &ns)
	{
		pid_t nr = below(4) ? 1 + below(300) : 1 + below(ns.pid_max - 1);

		for (int tries = 0; ns.used.count(nr) && tries < 20; tries++)
			nr = nr % (ns.pid_max - 1) + 1;
		return ns.init ? nr : 1;
	}

	/* Where something changes: the ends of ranges, what is in use, no PID at all. */
	pid_t special_pid(const Ns &ns, unsigned int which)
	{
		switch (which % 8) {
		case 0:
			return ns.cursor + below(5) - 2;
		case 1: {
			auto it = ns.used.lower_bound(1 + below(400));

			return it == ns.used.end() ? 1 : it->first;
		}
		case 2:
			return ns.pid_max - 1 + below(3);
		case 3:
			return std::array{ 0, -1, INT_MIN, INT_MAX }[below(4)];
		case 4:
			return 1;
		case 5: {
			/* Where a node of the IDR ends. */
			const pid_t end = 64 << 3 * below(6);

			return end - 1 + below(2);
		}
		case 6:
			return SHIM_RESERVED_PIDS - 1 + below(3);
		default:
			return ns.used.empty() ? 1 : ns.used.rbegin()->first;
		}
	}

	/* Any process but an init that others still need, or none. */
	Process *process(Ns &ns)
	{
		auto it = ns.used.lower_bound(below(400));

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

private:
	uint64_t state_ = 0;
};

#endif /* MODEL_DRAW_HPP */
