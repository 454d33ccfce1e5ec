/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kernel/pid_alloc.c, kernel/set_tid.c, lib/idr.c and lib/radix-tree.c
 * need from the rest of the kernel, for user space. The Makefile lists the
 * headers that this one replaces (FAKED) and those that are the kernel's own
 * (REAL).
 *
 * A thread is a CPU: per-CPU data is thread-local, and what the kernel keeps in
 * preempt_count() is counted for each thread.
 *
 * There are two flavours. The checked one verifies that each call is allowed in
 * its context (see struct shim_cpu), and fails allocations as a test demands.
 * SHIM_FAST has no checks: locks, slab and RCU take a few instructions, so that
 * callgrind counts the kernel's code and little else.
 *
 * Why is this not tools/testing/shared, with which tools/testing/radix-tree and
 * tools/testing/vma build lib/idr.c and lib/radix-tree.c? Its stubs leave out
 * what is tested here, or cannot be built in the ways that are needed:
 *
 * - Contexts: spin_lock_irq() is spin_lock(), local_lock() does nothing, and
 *   preempt_count is one number for all threads. An allocation that sleeps under
 *   pidmap_lock, or an unlock that turns interrupts on too early, goes unnoticed.
 * - Threads: a per-CPU variable is one variable that all threads share, so two
 *   threads would take preloaded nodes from the same list without a lock.
 *   ThreadSanitizer would report the stubs.
 * - Memory: an allocation with GFP_KERNEL never fails, so there is no way to fail
 *   the n-th one. Freed nodes are kept for the next allocation, which hides a use
 *   after free from AddressSanitizer.
 * - RCU is liburcu: one more library to install, built without ThreadSanitizer,
 *   whose instructions would be counted.
 * - Flags: shared.mk takes "static" and "inline" out of the files in lib/, compiles with -Og
 *   and AddressSanitizer, and puts objects beside the sources. Counting needs the
 *   code as the kernel compiles it, next to that of a second tree (PRISTINE=), and the
 *   tests run in several flavours (OUT=).
 *
 * What is left is what it does not have: struct pid, PID namespaces,
 * capabilities, user memory, tasks. tools/testing/vma brings such stubs of its
 * own, too. From tools/include comes what fits: bit operations, lists, errors,
 * GFP flags.
 */
#ifndef SHIM_FAKES_H
#define SHIM_FAKES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
/* The system's, and of no use to the kernel. */
#undef __CONCAT

#include <linux/compiler.h>
#include <linux/types.h>

/* One instruction, as in every kernel; the one in tools/ is a C loop. */
static __always_inline unsigned int __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/math.h>

/* A caller breaks the rules of an interface: stop, what follows would mean nothing. */
#define shim_bug_on(cond) do {						\
	if (unlikely(cond)) {						\
		fprintf(stderr, "%s:%d: BUG: %s\n", __FILE__, __LINE__,	\
			#cond);						\
		abort();						\
	}								\
} while (0)

/* A WARNING in the kernel's log; the tests count them. */
bool shim_warn(const char *file, int line, const char *what);

#undef BUG_ON
#undef BUG
#undef WARN
#undef WARN_ON
#undef WARN_ON_ONCE
#define BUG_ON(cond)		shim_bug_on(cond)
#define BUG()			shim_bug_on(true)
#define WARN_ON(cond)							\
	(unlikely(cond) ? shim_warn(__FILE__, __LINE__, #cond) : false)
#define WARN_ON_ONCE(cond)	WARN_ON(cond)
#define WARN(cond, ...)		((void)WARN_ON(cond))

#define pr_debug(...)		((void)0)
#define pr_cont(...)		((void)0)

/*
 * Marked accesses. Relaxed atomics compile to the same moves as the kernel's
 * volatile ones, and ThreadSanitizer knows them.
 */
#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, val)	__atomic_store_n(&(x), (val), __ATOMIC_RELAXED)

/* linux/atomic.h, as far as linux/refcount.h goes. */
#define ATOMIC_INIT(i)			{ (i) }
#define atomic_read(v)			READ_ONCE((v)->counter)
#define atomic_set(v, i)		WRITE_ONCE((v)->counter, (i))
#define atomic_set_release(v, i)					\
	__atomic_store_n(&(v)->counter, (i), __ATOMIC_RELEASE)
#define atomic_fetch_add_relaxed(i, v)					\
	__atomic_fetch_add(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic_fetch_sub_release(i, v)					\
	__atomic_fetch_sub(&(v)->counter, (i), __ATOMIC_ACQ_REL)
#define atomic_try_cmpxchg_relaxed(v, old, new)				\
	__atomic_compare_exchange_n(&(v)->counter, (old), (new), false,	\
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define atomic_try_cmpxchg_acquire(v, old, new)				\
	__atomic_compare_exchange_n(&(v)->counter, (old), (new), false,	\
				    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define atomic_try_cmpxchg_release(v, old, new)				\
	__atomic_compare_exchange_n(&(v)->counter, (old), (new), false,	\
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED)
/* atomic_fetch_sub_release() has acquired already. */
#define smp_acquire__after_ctrl_dep()	do { } while (0)

#define __uninitialized		__attribute__((__uninitialized__))
#undef __cond_acquires
#define __cond_acquires(...)
#define __cacheline_aligned_in_smp	__attribute__((aligned(64)))

/* linux/preempt.h, linux/local_lock.h, linux/percpu.h */
#ifndef SHIM_FAST
struct shim_cpu {
	unsigned int locked;	/* spin locks held */
	unsigned int preempt;	/* preempt_disable(), local_lock() */
	unsigned int readers;	/* rcu_read_lock() */
	bool irqs_off;
	bool tasklist;		/* tasklist_lock, for writing */
};

extern __thread struct shim_cpu shim_cpu;

#define shim_preempt_disable()	(shim_cpu.preempt++)
#define shim_preempt_enable() do {					\
	shim_bug_on(!shim_cpu.preempt);					\
	shim_cpu.preempt--;						\
} while (0)
#else
#define shim_preempt_disable()	((void)0)
#define shim_preempt_enable()	((void)0)
#endif

/* Checks that the caller may sleep. */
void might_sleep(void);

#define in_interrupt()		false

typedef struct { } local_lock_t;
#define INIT_LOCAL_LOCK(lock)	{ }
#define local_lock(lock)	((void)(lock), shim_preempt_disable())
#define local_unlock(lock) do {						\
	(void)(lock);							\
	shim_preempt_enable();						\
} while (0)

#define DECLARE_PER_CPU(type, name)	extern __thread type name
#define DEFINE_PER_CPU(type, name)	__thread type name
#define EXPORT_PER_CPU_SYMBOL_GPL(name)
#define this_cpu_ptr(ptr)		(ptr)
#define per_cpu(name, cpu)		(*((void)(cpu), &(name)))

/* linux/cpu.h: the shim keeps the teardown, which frees preloaded nodes. */
extern int (*shim_cpu_dead)(unsigned int cpu);
#define cpuhp_setup_state_nocalls(state, name, startup, teardown)	\
	({ shim_cpu_dead = (teardown); 0; })

/* linux/spinlock.h */
typedef struct {
	int locked;
} spinlock_t;

#define DEFINE_SPINLOCK(name)	spinlock_t name = { 0 }
#define __SPIN_LOCK_UNLOCKED(name)	{ 0 }
#define spin_lock_init(lock)	((lock)->locked = 0)

#ifndef SHIM_FAST
void spin_lock(spinlock_t *lock);
bool spin_trylock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void spin_lock_irq(spinlock_t *lock);
void spin_unlock_irq(spinlock_t *lock);
unsigned long shim_lock_irqsave(spinlock_t *lock);
void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags);
#define spin_lock_irqsave(lock, flags)	((flags) = shim_lock_irqsave(lock))
#else
static inline bool spin_trylock(spinlock_t *lock)
{
	return !__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE);
}

void shim_lock_slow(spinlock_t *lock);

#ifdef SHIM_HOLD
void shim_hold_begin(void);
void shim_hold_end(void);
#else
#define shim_hold_begin()	((void)0)
#define shim_hold_end()		((void)0)
#endif

static inline void spin_lock(spinlock_t *lock)
{
	if (unlikely(!spin_trylock(lock)))
		shim_lock_slow(lock);
	shim_hold_begin();
}

static inline void spin_unlock(spinlock_t *lock)
{
	shim_hold_end();
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}

#define spin_lock_irq(lock)			spin_lock(lock)
#define spin_unlock_irq(lock)			spin_unlock(lock)
#define spin_lock_irqsave(lock, flags)		\
	((flags) = 0, spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags)	\
	((void)(flags), spin_unlock(lock))
#endif
#define spin_lock_bh(lock)	spin_lock(lock)
#define spin_unlock_bh(lock)	spin_unlock(lock)

/* linux/sched/task.h: only whether the caller holds it matters. */
typedef struct { } rwlock_t;
extern rwlock_t tasklist_lock;

/* linux/lockdep.h */
#define lockdep_is_held(lock)		((lock)->locked)
#ifndef SHIM_FAST
/* There is one lock: see spin_lock(). */
#define lockdep_assert_held(lock)	shim_bug_on(!shim_cpu.locked)
/* And there is tasklist_lock. */
#define lockdep_assert_not_held(lock)	shim_bug_on(shim_cpu.tasklist)
#else
#define lockdep_assert_held(lock)	((void)(lock))
#define lockdep_assert_not_held(lock)	((void)(lock))
#endif

/* linux/rcupdate.h, linux/rculist.h; the loads acquire for ThreadSanitizer. */
struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#define __rcu
void rcu_read_lock(void);
void rcu_read_unlock(void);
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));

#define rcu_dereference(p)	__atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_dereference_raw(p)			rcu_dereference(p)
#define rcu_dereference_check(p, cond)		rcu_dereference(p)
#define rcu_dereference_protected(p, cond)	(p)
#define rcu_access_pointer(p)			READ_ONCE(p)
#define rcu_assign_pointer(p, v)					\
	__atomic_store_n(&(p), (typeof(p))(v), __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, v)	WRITE_ONCE(p, v)

/* linux/slab.h */
struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *object));
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *object);

/* For the IDA only, which nobody calls here. */
#define kzalloc(size, gfp)		((void)(gfp), calloc(1, size))
#define kfree(ptr)			free(ptr)

#define SLAB_PANIC			0
#define SLAB_RECLAIM_ACCOUNT		0
#define kmemleak_update_trace(ptr)	((void)(ptr))

/* linux/capability.h: the answers are those of the user namespace. */
struct user_namespace {
	unsigned int caps;	/* enum shim_caps */
	unsigned long asked;	/* how often */
};

bool ns_capable(struct user_namespace *ns, int cap);

#define CAP_SYS_ADMIN		21
#define CAP_CHECKPOINT_RESTORE	40

static inline bool checkpoint_restore_ns_capable(struct user_namespace *ns)
{
	return ns_capable(ns, CAP_CHECKPOINT_RESTORE) ||
	       ns_capable(ns, CAP_SYS_ADMIN);
}

/* linux/uaccess.h */
unsigned long copy_from_user(void *to, const void __user *from,
			     unsigned long n);
#define u64_to_user_ptr(x)	((void __user *)(uintptr_t)(x))

/* linux/wait.h, linux/sched.h */
typedef struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
} wait_queue_head_t;

void init_waitqueue_head(wait_queue_head_t *wq);

struct pid;
struct task_struct {
	struct pid *thread_pid;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	unsigned long woken;
};

int wake_up_process(struct task_struct *task);

#define PAGE_SIZE		4096
#define CONFIG_PID_NS		1
#define CONFIG_CHECKPOINT_RESTORE	1
#ifndef SHIM_FAST
#define CONFIG_TRACEPOINTS	1
#endif
#define __randomize_layout

#include "shim/base.h"

#endif /* SHIM_FAKES_H */
