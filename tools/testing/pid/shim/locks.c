// SPDX-License-Identifier: GPL-2.0
/*
 * Locks, and what a CPU may do in its context.
 */

#include <linux/pid.h>

#include <sched.h>

#ifdef SHIM_HOLD
#include <valgrind/callgrind.h>
#endif

#include "shim/internal.h"

/* Taken by this thread. Not counted with SHIM_FAST. */
static __thread unsigned long locks;

unsigned long locks_taken(void)
{
	return locks;
}

int (*shim_cpu_dead)(unsigned int cpu);

rwlock_t tasklist_lock;

static void lock_wait(spinlock_t *lock)
{
	unsigned int spins = 0;

	/* The holder is soon done, unless its thread does not run. */
	while (__atomic_load_n(&lock->locked, __ATOMIC_RELAXED) ||
	       __atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE))
		if (++spins % 1024 == 0)
			sched_yield();
}

#ifdef SHIM_FAST

void might_sleep(void)
{
}

void shim_lock_slow(spinlock_t *lock)
{
	lock_wait(lock);
}

#ifdef SHIM_HOLD
static const char *hold_name;

void shim_hold_name(const char *name)
{
	hold_name = name;
}

void shim_hold_begin(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

void shim_hold_end(void)
{
	CALLGRIND_TOGGLE_COLLECT;
	if (hold_name)
		CALLGRIND_DUMP_STATS_AT(hold_name);
	else
		CALLGRIND_ZERO_STATS;
}

void shim_hold_nothing(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	spin_unlock(&lock);
}
#endif

#else

__thread struct shim_cpu shim_cpu;

void might_sleep(void)
{
	shim_bug_on(shim_cpu.locked);
	shim_bug_on(shim_cpu.preempt);
	shim_bug_on(shim_cpu.readers);
	shim_bug_on(shim_cpu.irqs_off);
	shim_bug_on(shim_cpu.tasklist);
}

bool spin_trylock(spinlock_t *lock)
{
	if (__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE))
		return false;
	shim_cpu.locked++;
	locks++;
	return true;
}

void spin_lock(spinlock_t *lock)
{
	/* pid_alloc.c has one lock: to wait for a second is a deadlock. */
	shim_bug_on(shim_cpu.locked);
	/* Where interrupt handlers wait for it they must be off; else they stay on. */
	shim_bug_on(shim_cpu.irqs_off != BASE_LOCK_IRQS_OFF);
	if (spin_trylock(lock))
		return;
	lock_wait(lock);
	shim_cpu.locked++;
	locks++;
}

void spin_unlock(spinlock_t *lock)
{
	shim_bug_on(!shim_cpu.locked);
	shim_cpu.locked--;
	shim_bug_on(!__atomic_exchange_n(&lock->locked, 0, __ATOMIC_RELEASE));
}

void spin_lock_irq(spinlock_t *lock)
{
	/* The unlock would turn them on. */
	shim_bug_on(shim_cpu.irqs_off);
	shim_cpu.irqs_off = true;
	spin_lock(lock);
}

void spin_unlock_irq(spinlock_t *lock)
{
	spin_unlock(lock);
	shim_bug_on(!shim_cpu.irqs_off);
	shim_cpu.irqs_off = false;
}

unsigned long shim_lock_irqsave(spinlock_t *lock)
{
	unsigned long flags = shim_cpu.irqs_off;

	shim_cpu.irqs_off = true;
	spin_lock(lock);
	return flags;
}

void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	spin_unlock(lock);
	shim_cpu.irqs_off = flags;
}

void shim_lock_irqs_off(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock_irq(&lock);
	spin_unlock_irq(&lock);
}

void shim_lock_irqs_on(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	spin_unlock(&lock);
}

#endif
