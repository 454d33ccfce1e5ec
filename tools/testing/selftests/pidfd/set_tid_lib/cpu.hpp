/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On which CPUs the caller runs.
 */
#ifndef SET_TID_LIB_CPU_HPP
#define SET_TID_LIB_CPU_HPP

#include <sched.h>

/* Keeps the caller on that CPU. */
inline void stay_on_cpu(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	sched_setaffinity(0, sizeof(only), &only);
}

/* Keeps the caller on the CPU that it is on. */
inline void stay_on_this_cpu()
{
	stay_on_cpu(sched_getcpu());
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
