/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Read in front of kernel/fork.c in the kernels that are measured: how much
 * time alloc_pid() took since boot, in /sys/module/fork/parameters/alloc_pid_ns.
 *
 * The unit is a tick of the time stamp counter. QEMU with -icount shift=0 lets
 * it count instructions, and that of a program in the guest nanoseconds.
 */
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/timex.h>

/* Its size is all there is to it: scripts/bench/static. */
const char sizeof_struct_pid[sizeof(struct pid)];

static unsigned long alloc_pid_ns;
module_param(alloc_pid_ns, ulong, 0444);

#define alloc_pid(...) ({					\
	const cycles_t start_ = get_cycles();			\
	struct pid *pid_ = alloc_pid(__VA_ARGS__);		\
								\
	alloc_pid_ns += get_cycles() - start_;			\
	pid_;							\
})
