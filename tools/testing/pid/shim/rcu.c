// SPDX-License-Identifier: GPL-2.0
/*
 * RCU. A reader notes which grace period it began in; a grace period waits for
 * the readers that began before it. Callbacks wait for shim_rcu_barrier().
 */

#include <linux/pid.h>

#include <pthread.h>
#include <sched.h>

#include "shim/internal.h"

static unsigned long grace_period = 1;

static struct reader {
	unsigned long since;	/* 0 outside of a read-side section */
	struct reader *next;
	bool registered;
} *readers;

static __thread struct reader reader;
static __thread unsigned int nesting;
static pthread_mutex_t readers_lock = PTHREAD_MUTEX_INITIALIZER;

/* What this thread has queued. */
static __thread struct rcu_head *callbacks;
static long pending;

long rcu_pending(void)
{
	return READ_ONCE(pending);
}

void rcu_read_lock(void)
{
#ifndef SHIM_FAST
	shim_cpu.readers++;
#endif
	if (!nesting++)
		__atomic_exchange_n(&reader.since,
				    __atomic_load_n(&grace_period,
						    __ATOMIC_SEQ_CST),
				    __ATOMIC_SEQ_CST);
}

void rcu_read_unlock(void)
{
#ifndef SHIM_FAST
	shim_bug_on(!shim_cpu.readers);
	shim_cpu.readers--;
#endif
	if (!--nesting)
		__atomic_store_n(&reader.since, 0, __ATOMIC_RELEASE);
}

static void synchronize(void)
{
	unsigned long now, since;
	struct reader *r;

	pthread_mutex_lock(&readers_lock);
	now = __atomic_add_fetch(&grace_period, 1, __ATOMIC_SEQ_CST);
	for (r = readers; r; r = r->next) {
		while ((since = __atomic_load_n(&r->since, __ATOMIC_SEQ_CST)) &&
		       since < now)
			sched_yield();
	}
	pthread_mutex_unlock(&readers_lock);
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	head->next = callbacks;
	callbacks = head;
#ifndef SHIM_FAST
	__atomic_fetch_add(&pending, 1, __ATOMIC_RELAXED);
#endif
}

void shim_rcu_barrier(void)
{
	/* Callbacks may queue more. */
	while (callbacks) {
		struct rcu_head *head = callbacks, *next;

		callbacks = NULL;
		might_sleep();
		synchronize();
		for (; head; head = next) {
			next = head->next;
			head->func(head);
#ifndef SHIM_FAST
			__atomic_fetch_sub(&pending, 1,
					   __ATOMIC_RELAXED);
#endif
		}
	}
}

void rcu_add_reader(void)
{
	pthread_mutex_lock(&readers_lock);
	if (!reader.registered) {
		reader.registered = true;
		reader.next = readers;
		readers = &reader;
	}
	pthread_mutex_unlock(&readers_lock);
}

void rcu_remove_reader(void)
{
	struct reader **r;

	pthread_mutex_lock(&readers_lock);
	for (r = &readers; *r; r = &(*r)->next) {
		if (*r == &reader) {
			*r = reader.next;
			break;
		}
	}
	reader.registered = false;
	pthread_mutex_unlock(&readers_lock);
}
