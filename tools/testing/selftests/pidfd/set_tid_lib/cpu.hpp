/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On which CPUs the caller runs.
 */
#ifndef SET_TID_LIB_CPU_HPP
#define SET_TID_LIB_CPU_HPP

#include <sched.h>

/* Keeps the caller on the CPU that it is on. */
inline void stay_on_this_cpu()
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
}

/* Keeps the caller off the CPU that it is on, if it may be on another one. */
inline void stay_off_this_cpu()
{
	const int here = sched_getcpu();
	cpu_set_t others;

	CPU_ZERO(&others);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (cpu != here)
			CPU_SET(cpu, &others);
	sched_setaffinity(0, sizeof(others), &others);
}

#endif /* SET_TID_LIB_CPU_HPP */
