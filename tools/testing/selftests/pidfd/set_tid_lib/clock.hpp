/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time, and waiting with a limit.
 */
#ifndef SET_TID_LIB_CLOCK_HPP
#define SET_TID_LIB_CLOCK_HPP

#include <sched.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of a clock that never goes back and is the same in all processes. */
inline uint64_t now_ns()
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * uint64_t{ 1000000000 } + now.tv_nsec;
}

/* How long tests wait for something that must happen, for the slowest machine. */
constexpr int limit_ms = 60000;

/* Waits until the condition is true; returns false after limit_ms. */
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
