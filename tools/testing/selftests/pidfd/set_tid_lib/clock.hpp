/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time, and waiting with a limit.
 */
#ifndef SET_TID_LIB_CLOCK_HPP
#define SET_TID_LIB_CLOCK_HPP

#include <sched.h>
#include <stdint.h>
#include <time.h>

/* Of a clock that only goes forward, the same one in every process. */
inline uint64_t now_ns()
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * uint64_t{ 1000000000 } + now.tv_nsec;
}

/* What must happen by itself has this long, on the slowest machine. */
constexpr int limit_ms = 60000;

/* Waits until something is so; false if it does not come to that. */
template <typename Condition> bool wait_until(Condition is_so)
{
	const uint64_t end = now_ns() + uint64_t{ limit_ms } * 1000000;

	while (!is_so()) {
		if (now_ns() > end)
			return false;
		sched_yield();
	}
	return true;
}

#endif /* SET_TID_LIB_CLOCK_HPP */
