/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of failing allocations: a task that the kernel does not write to.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_FAULT_RSEQ_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_FAULT_RSEQ_HPP

#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

/*
 * Unregisters the calling thread's restartable sequences, which glibc has registered.
 * When a thread was preempted, the kernel writes to their area before it goes on. After
 * a fork() that page has to be copied first, and if there is no memory for the copy the
 * kernel does not try again, as it does for the thread's own writes, but sends SIGSEGV.
 * Does nothing if they are not registered, or not any more.
 */
inline void unregister_rseq()
{
#if __has_include(<sys/rseq.h>)
	auto *area = reinterpret_cast<struct rseq *>(
		static_cast<char *>(__builtin_thread_pointer()) + __rseq_offset);
	/* Older headers have no names for them: AT_RSEQ_FEATURE_SIZE, AT_RSEQ_ALIGN. */
	const unsigned int features = getauxval(27), align = getauxval(28);
	const unsigned int grown = align ? (features + align - 1) / align * align : 0;

	/* One of enum rseq_cpu_id_state, below 0, unless it is a processor. */
	if (static_cast<int>(area->cpu_id) < 0)
		return;
	/* It has to be the size that was registered, of which glibc may name a part only. */
	for (auto size : { 32U, grown, __rseq_size }) {
		if (!syscall(SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG))
			return;
	}
	abort();
#endif
}

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_FAULT_RSEQ_HPP */
