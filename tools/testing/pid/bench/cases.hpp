/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cases of which instructions and time are measured: a chain of namespaces
 * with some PIDs in use, and a request that is made there again and again.
 */
#ifndef BENCH_CASES_HPP
#define BENCH_CASES_HPP

#include "bench/chain.hpp"

enum class Request {
	plain,
	one,
	all,
	inner_busy,
	second_busy,
	outer_busy,
};

struct Case {
	Request request;
	unsigned int level;
	/* Processes of the innermost namespace. */
	int live;
	/* 101 numbers apart, so that no two share a node of the IDR. */
	bool scattered;

	std::string name() const
	{
		static const char *const names[] = { "plain",	   "one",	  "all",
						     "inner-busy", "second-busy", "outer-busy" };

		return std::string(names[static_cast<int>(request)]) + "/" + std::to_string(level) +
		       "/" + std::to_string(live) + (scattered ? "s" : "");
	}

	bool fails() const { return request >= Request::inner_busy; }
};

class CaseChain : public Chain {
public:
	explicit CaseChain(const Case &c)
		: Chain(c.level, SHIM_CAP_SYS_ADMIN | SHIM_CAP_CHECKPOINT_RESTORE), case_(c)
	{
		for (int i = 1; i < c.live; i++)
			keep(c.scattered ? Pids(levels(), 1000 + 101 * i) : Pids());
	}

	/* The PIDs that call @i asks for: beyond what is in use and what is next. */
	Pids request(int i) const
	{
		const pid_t nr = busy(0) + 1000 + (case_.scattered ? 101 * i : i);
		const unsigned int second = case_.level ? case_.level - 1 : 0;
		Pids pids(levels(), nr);

		switch (case_.request) {
		case Request::plain:
			return {};
		case Request::one:
			return { nr };
		case Request::all:
			break;
		case Request::inner_busy:
			pids.front() = busy(case_.level);
			break;
		case Request::second_busy:
			pids[case_.level - second] = busy(second);
			break;
		case Request::outer_busy:
			pids.back() = busy(0);
			break;
		}
		return pids;
	}

private:
	Case case_;
};

inline std::vector<Case> all_cases()
{
	std::vector<Case> cases;

	for (Request request : { Request::plain, Request::one, Request::all })
		for (unsigned int level : { 0, 1, 4, 16, 32 })
			cases.push_back({ request, level, 1, false });
	/* Each PID takes a new node at each level. */
	for (unsigned int level : { 0, 1, 4, 16, 32 })
		cases.push_back({ Request::all, level, 1, true });
	for (Request request : { Request::plain, Request::all })
		for (int live : { 1000, 30000 })
			for (bool scattered : { false, true })
				for (unsigned int level : { 0, 4 })
					cases.push_back({ request, level, live, scattered });
	for (Request request : { Request::inner_busy, Request::second_busy, Request::outer_busy })
		for (unsigned int level : { 0, 1, 4, 16, 32 })
			cases.push_back({ request, level, 1, false });
	return cases;
}

#endif /* BENCH_CASES_HPP */
