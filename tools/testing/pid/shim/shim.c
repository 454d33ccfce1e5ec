// SPDX-License-Identifier: GPL-2.0
/*
 * The fakes that fakes.h declares, and the facade that shim.h declares.
 */

#include <linux/idr.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/threads.h>

#include <pthread.h>
#include <sched.h>

#ifdef SHIM_HOLD
#include <valgrind/callgrind.h>
#endif

#include "radix-tree.h"

#include "shim/shim.h"
#ifndef SHIM_BASE
#include "set_tid.h"
#endif

/* What a thread is the owner of. */
static __thread struct {
	unsigned long locks;
	unsigned long tried[2];
	long succeed[2];
	unsigned long fail_nth;
	struct rcu_head *callbacks;
} self = {
	.succeed = { [SHIM_ATOMIC] = 0, [SHIM_SLEEPING] = -1 },
};

static unsigned long warnings;
static long live_namespaces;
static long pending_callbacks;

bool shim_warn(const char *file, int line, const char *what)
{
	__atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED);
	fprintf(stderr, "%s:%d: WARNING: %s\n", file, line, what);
	return true;
}

void refcount_warn_saturate(refcount_t *r, enum refcount_saturation_type type)
{
	refcount_set(r, REFCOUNT_SATURATED);
	shim_warn(__FILE__, __LINE__, "a reference too many, or too few");
}

/*
 * Contexts and locks.
 */

int (*shim_cpu_dead)(unsigned int cpu);

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
}

bool spin_trylock(spinlock_t *lock)
{
	if (__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE))
		return false;
	shim_cpu.locked++;
	self.locks++;
	return true;
}

void spin_lock(spinlock_t *lock)
{
	/* pid_alloc.c has one lock: to wait for a second is a deadlock. */
	shim_bug_on(shim_cpu.locked);
	if (spin_trylock(lock))
		return;
	lock_wait(lock);
	shim_cpu.locked++;
	self.locks++;
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

#endif

/*
 * RCU. A reader notes which grace period it began in; a grace period waits for
 * the readers that began before it. Callbacks wait for shim_rcu_barrier().
 */

static unsigned long grace_period = 1;

static struct reader {
	unsigned long since;	/* 0 outside of a read-side section */
	struct reader *next;
	bool registered;
} *readers;

static __thread struct reader reader;
static __thread unsigned int nesting;
static pthread_mutex_t readers_lock = PTHREAD_MUTEX_INITIALIZER;

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
	head->next = self.callbacks;
	self.callbacks = head;
#ifndef SHIM_FAST
	__atomic_fetch_add(&pending_callbacks, 1, __ATOMIC_RELAXED);
#endif
}

void shim_rcu_barrier(void)
{
	/* Callbacks may queue more. */
	while (self.callbacks) {
		struct rcu_head *head = self.callbacks, *next;

		self.callbacks = NULL;
		might_sleep();
		synchronize();
		for (; head; head = next) {
			next = head->next;
			head->func(head);
#ifndef SHIM_FAST
			__atomic_fetch_sub(&pending_callbacks, 1,
					   __ATOMIC_RELAXED);
#endif
		}
	}
}

/*
 * The slab.
 */

struct kmem_cache {
	size_t size;
	size_t align;
	void (*ctor)(void *object);
	unsigned int index;
	long live;
};

enum {
	NR_CACHES = 1 + SHIM_MAX_LEVEL + 1,
};

static struct kmem_cache caches[NR_CACHES];
static unsigned int nr_caches;
static struct kmem_cache *pid_caches[SHIM_MAX_LEVEL + 1];

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *object))
{
	struct kmem_cache *cache = &caches[nr_caches];

	shim_bug_on(nr_caches == NR_CACHES);
	cache->index = nr_caches++;
	cache->size = ALIGN(size, 64);
	cache->align = 64;
	cache->ctor = ctor;
	return cache;
}

static void *slab_new(struct kmem_cache *cache, size_t size)
{
	void *object = aligned_alloc(cache->align, ALIGN(size, cache->align));

	shim_bug_on(!object);
	/* Nobody may take memory for zeroed that was not asked for so. */
	memset(object, 0xa5, size);
	if (cache->ctor)
		cache->ctor(object);
	return object;
}

#ifdef SHIM_FAST

/* Free objects of this thread, linked behind each one's end. */
static __thread void *slab_free[NR_CACHES];

static void **slab_link(struct kmem_cache *cache, void *object)
{
	return object + cache->size;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *object = slab_free[cache->index];

	if (unlikely(!object))
		return slab_new(cache, cache->size + sizeof(void *));
	slab_free[cache->index] = *slab_link(cache, object);
	return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	*slab_link(cache, object) = slab_free[cache->index];
	slab_free[cache->index] = object;
}

#else

static bool slab_fails(enum shim_alloc kind)
{
	self.tried[kind]++;
	if (self.fail_nth && !--self.fail_nth)
		return true;
	if (self.succeed[kind] > 0)
		self.succeed[kind]--;
	else if (!self.succeed[kind])
		return true;
	return false;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	enum shim_alloc kind = SHIM_ATOMIC;

	if (gfpflags_allow_blocking(gfp)) {
		might_sleep();
		kind = SHIM_SLEEPING;
	}
	if (slab_fails(kind))
		return NULL;

	__atomic_fetch_add(&cache->live, 1, __ATOMIC_RELAXED);
	return slab_new(cache, cache->size);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	shim_bug_on(!object);
	__atomic_fetch_sub(&cache->live, 1, __ATOMIC_RELAXED);
	memset(object, 0x6b, cache->size);
	free(object);
}

#endif

/*
 * Credentials, user memory, tasks.
 */

bool ns_capable(struct user_namespace *ns, int cap)
{
	__atomic_fetch_add(&ns->asked, 1, __ATOMIC_RELAXED);
	switch (cap) {
	case CAP_SYS_ADMIN:
		return ns->caps & SHIM_CAP_SYS_ADMIN;
	case CAP_CHECKPOINT_RESTORE:
		return ns->caps & SHIM_CAP_CHECKPOINT_RESTORE;
	default:
		return false;
	}
}

static const void *user_end;

unsigned long copy_from_user(void *to, const void __user *from,
			     unsigned long n)
{
	unsigned long room = n;

	might_sleep();
	if (user_end && from + n > user_end)
		room = from < user_end ? user_end - from : 0;
	if (room)
		memcpy(to, from, room);
	return n - room;
}

void init_waitqueue_head(wait_queue_head_t *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}

int wake_up_process(struct task_struct *task)
{
	shim_bug_on(!task);
	__atomic_fetch_add(&task->woken, 1, __ATOMIC_RELAXED);
	return 1;
}

/*
 * Namespaces.
 */

int pid_max = PID_MAX_DEFAULT;
static struct task_struct init_task;

struct pid_namespace init_pid_ns = {
	.ns.count = REFCOUNT_INIT(2),
	.idr = IDR_INIT(init_pid_ns.idr),
	.pid_allocated = PIDNS_ADDING,
	.child_reaper = &init_task,
};

struct shim_ns {
	struct pid_namespace ns;
	struct task_struct reaper;
};

static void free_ns(struct rcu_head *head)
{
	struct pid_namespace *ns = container_of(head, struct pid_namespace, rcu);

	free(container_of(ns, struct shim_ns, ns));
	__atomic_fetch_sub(&live_namespaces, 1, __ATOMIC_RELAXED);
}

/* As the kernel's: the last reference also gives back the one to the parent. */
void put_pid_ns(struct pid_namespace *ns)
{
	while (ns != &init_pid_ns && refcount_dec_and_test(&ns->ns.count)) {
		struct pid_namespace *parent = ns->parent;

		idr_destroy(&ns->idr);
		call_rcu(&ns->rcu, free_ns);
		ns = parent;
	}
}

/*
 * The facade.
 */

void radix_tree_init(void);

static void init_once(void)
{
	unsigned int level;

	radix_tree_init();
	for (level = 0; level <= SHIM_MAX_LEVEL; level++)
		pid_caches[level] =
			kmem_cache_create("pid", sizeof(struct pid) +
					  (level + 1) * sizeof(struct upid),
					  0, 0, NULL);
	init_pid_ns.pid_cachep = pid_caches[0];
}

void shim_thread_enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	BUILD_BUG_ON(SHIM_MAX_LEVEL != MAX_PID_NS_LEVEL);
	BUILD_BUG_ON(SHIM_RESERVED_PIDS != RESERVED_PIDS);
	BUILD_BUG_ON(SHIM_PID_MAX_DEFAULT != PID_MAX_DEFAULT);
	BUILD_BUG_ON(SHIM_PID_MAX_LIMIT != PID_MAX_LIMIT);
	BUILD_BUG_ON(SHIM_PIDNS_ADDING != PIDNS_ADDING);

	pthread_once(&once, init_once);
	pthread_mutex_lock(&readers_lock);
	if (!reader.registered) {
		reader.registered = true;
		reader.next = readers;
		readers = &reader;
	}
	pthread_mutex_unlock(&readers_lock);
}

void shim_thread_exit(void)
{
	struct reader **r;

	shim_rcu_barrier();
	shim_drop_preloaded();
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

struct user_namespace *shim_user_ns_create(unsigned int caps)
{
	struct user_namespace *ns = calloc(1, sizeof(*ns));

	shim_bug_on(!ns);
	ns->caps = caps;
	return ns;
}

void shim_user_ns_destroy(struct user_namespace *ns)
{
	free(ns);
}

void shim_user_ns_set_caps(struct user_namespace *ns, unsigned int caps)
{
	ns->caps = caps;
}

unsigned long shim_user_ns_asked(const struct user_namespace *ns)
{
	return READ_ONCE(ns->asked);
}

struct pid_namespace *shim_root(void)
{
	return &init_pid_ns;
}

void shim_root_reset(struct user_namespace *owner)
{
	idr_destroy(&init_pid_ns.idr);
	idr_init(&init_pid_ns.idr);
	init_pid_ns.pid_allocated = PIDNS_ADDING;
	init_pid_ns.child_reaper = &init_task;
	init_pid_ns.user_ns = owner;
	init_task.woken = 0;
	pid_max = PID_MAX_DEFAULT;
}

struct pid_namespace *shim_ns_create(struct pid_namespace *parent,
				     struct user_namespace *owner)
{
	struct shim_ns *new;
	struct pid_namespace *ns;

	if (parent->level == MAX_PID_NS_LEVEL)
		return NULL;
	new = calloc(1, sizeof(*new));
	shim_bug_on(!new);
	__atomic_fetch_add(&live_namespaces, 1, __ATOMIC_RELAXED);

	ns = &new->ns;
	idr_init(&ns->idr);
	ns->level = parent->level + 1;
	ns->pid_cachep = pid_caches[ns->level];
	ns->parent = get_pid_ns(parent);
	ns->user_ns = owner;
	ns->pid_allocated = PIDNS_ADDING;
	refcount_set(&ns->ns.count, 1);
	return ns;
}

void shim_ns_put(struct pid_namespace *ns)
{
	put_pid_ns(ns);
}

void shim_ns_set_owner(struct pid_namespace *ns, struct user_namespace *owner)
{
	ns->user_ns = owner;
}

unsigned int shim_ns_refs(const struct pid_namespace *ns)
{
	return refcount_read(&ns->ns.count);
}

static struct task_struct *ns_reaper(const struct pid_namespace *ns)
{
	struct shim_ns *owner = container_of(ns, struct shim_ns, ns);

	return ns == &init_pid_ns ? &init_task : &owner->reaper;
}

void shim_ns_set_reaper(struct pid_namespace *ns, bool there)
{
	WRITE_ONCE(ns->child_reaper, there ? ns_reaper(ns) : NULL);
}

unsigned long shim_ns_woken(const struct pid_namespace *ns)
{
	return READ_ONCE(ns_reaper(ns)->woken);
}

unsigned int shim_ns_allocated(const struct pid_namespace *ns)
{
	return READ_ONCE(ns->pid_allocated);
}

unsigned int shim_ns_cursor(const struct pid_namespace *ns)
{
	return idr_get_cursor(&ns->idr);
}

void shim_ns_set_cursor(struct pid_namespace *ns, unsigned int cursor)
{
	idr_set_cursor((struct idr *)&ns->idr, cursor);
}

struct walk {
	int *nrs;
	size_t room;
	size_t used;
	size_t nodes;
};

static void walk_node(struct walk *walk, const struct radix_tree_node *node,
		      unsigned long base)
{
	unsigned int i;

	walk->nodes++;
	for (i = 0; i < RADIX_TREE_MAP_SIZE; i++) {
		void *entry = (void *)node->slots[i];
		unsigned long nr = base + ((unsigned long)i << node->shift);

		if (node->shift) {
			if (radix_tree_is_internal_node(entry))
				walk_node(walk,
					  entry - RADIX_TREE_INTERNAL_NODE, nr);
		} else if (!test_bit(i, node->tags[IDR_FREE])) {
			if (walk->used < walk->room)
				walk->nrs[walk->used] = nr;
			walk->used++;
		}
	}
}

static struct walk walk_ns(const struct pid_namespace *ns, int *nrs,
			   size_t room)
{
	void *entry = (void *)ns->idr.idr_rt.xa_head;
	struct walk walk = { .nrs = nrs, .room = room };

	/* An entry right at the head would be number 0. */
	shim_bug_on(entry && !radix_tree_is_internal_node(entry));
	if (entry)
		walk_node(&walk, entry - RADIX_TREE_INTERNAL_NODE, 0);
	return walk;
}

size_t shim_ns_used(const struct pid_namespace *ns, int *nrs, size_t room)
{
	return walk_ns(ns, nrs, room).used;
}

size_t shim_ns_nodes(const struct pid_namespace *ns)
{
	return walk_ns(ns, NULL, 0).nodes;
}

void shim_set_pid_max(int max)
{
	WRITE_ONCE(pid_max, max);
}

int shim_alloc_pid(struct pid_namespace *ns, const pid_t *set_tid, size_t size,
		   struct pid **pid)
{
	/* The base's prototype is not const. */
	*pid = alloc_pid(ns, (pid_t *)set_tid, size);
	if (IS_ERR(*pid)) {
		int err = PTR_ERR(*pid);

		*pid = NULL;
		return err;
	}
	return 0;
}

void shim_free_pid(struct pid *pid)
{
	free_pid(pid);
}

void shim_free_pid_irqs_off(struct pid *pid)
{
#ifndef SHIM_FAST
	shim_cpu.irqs_off = true;
#endif
	free_pid(pid);
#ifndef SHIM_FAST
	shim_bug_on(!shim_cpu.irqs_off);
	shim_cpu.irqs_off = false;
#endif
}

void shim_disable_pid_allocation(struct pid_namespace *ns)
{
	disable_pid_allocation(ns);
}

#ifndef SHIM_BASE
bool shim_pid_may_attach(const struct pid *pid, const pid_t *set_tid, size_t size)
{
	return pid_may_attach(pid, set_tid, size);
}

void shim_set_last_pid(struct pid_namespace *ns, int nr)
{
	set_last_pid(ns, nr);
}

bool shim_set_tid_args_valid(u64 uptr, u64 size)
{
	return set_tid_args_valid(uptr, size);
}

int shim_set_tid_copy_from_user(pid_t *set_tid, u64 uptr, size_t size)
{
	return set_tid_copy_from_user(set_tid, uptr, size);
}

/* Instead of kernel/set_tid_trace.c. */
static __thread struct shim_refusal refusal;

#ifdef CONFIG_TRACEPOINTS
int set_tid_refused(struct pid_namespace *ns, pid_t nr,
		    enum set_tid_reason reason, int error)
{
	BUILD_BUG_ON(SHIM_TOO_MANY != (int)SET_TID_TOO_MANY);
	BUILD_BUG_ON(SHIM_IN_USE != (int)SET_TID_IN_USE);
	BUILD_BUG_ON(SHIM_NO_MEMORY != (int)SET_TID_NO_MEMORY);

	shim_bug_on(shim_cpu.locked);
	if (reason == SET_TID_IN_USE)
		might_sleep();
	refusal.count++;
	refusal.level = ns->level;
	refusal.nr = nr;
	refusal.reason = (enum shim_reason)reason;
	refusal.error = error;
	return error;
}
#endif

void shim_get_refusal(struct shim_refusal *last)
{
	*last = refusal;
}
#endif

void shim_read_lock(void)
{
	rcu_read_lock();
}

void shim_read_unlock(void)
{
	rcu_read_unlock();
}

struct pid *shim_find_pid(int nr, struct pid_namespace *ns)
{
	return find_pid_ns(nr, ns);
}

unsigned int shim_pid_level(const struct pid *pid)
{
	return pid->level;
}

int shim_pid_nr(const struct pid *pid, unsigned int level)
{
	return pid->numbers[level].nr;
}

struct pid_namespace *shim_pid_ns(const struct pid *pid, unsigned int level)
{
	return pid->numbers[level].ns;
}

u64 shim_pid_ino(const struct pid *pid)
{
	return pid->ino;
}

unsigned int shim_pid_refs(const struct pid *pid)
{
	return refcount_read(&pid->count);
}

void shim_get_pid(struct pid *pid)
{
	get_pid(pid);
}

void shim_put_pid(struct pid *pid)
{
	put_pid(pid);
}

bool shim_pid_is_fresh(struct pid *pid)
{
	enum pid_type type;

	for (type = 0; type < PIDTYPE_MAX; type++)
		if (pid_has_task(pid, type))
			return false;
	return hlist_empty(&pid->inodes) && !pid->stashed &&
	       !pid->lock.locked && !pid->wait_pidfd.lock.locked &&
	       list_empty(&pid->wait_pidfd.head);
}

void shim_set_user_end(const void *end)
{
	user_end = end;
}

unsigned int shim_drop_preloaded(void)
{
	unsigned int nr = this_cpu_ptr(&radix_tree_preloads)->nr;

	shim_cpu_dead(0);
	return nr;
}

unsigned int shim_usual_preload(void)
{
	shim_drop_preloaded();
	shim_bug_on(radix_tree_preload(GFP_KERNEL));
	radix_tree_preload_end();
	return shim_drop_preloaded();
}

void shim_set_alloc(enum shim_alloc kind, long succeed)
{
	self.succeed[kind] = succeed;
}

void shim_fail_nth(unsigned long n)
{
	self.fail_nth = n;
}

bool shim_fail_pending(void)
{
	return self.fail_nth;
}

void shim_get_stats(struct shim_stats *stats)
{
	unsigned int level;

	*stats = (struct shim_stats) {
		.locks = self.locks,
		.atomic = self.tried[SHIM_ATOMIC],
		.sleeping = self.tried[SHIM_SLEEPING],
		.warnings = READ_ONCE(warnings),
		.live_nodes = READ_ONCE(radix_tree_node_cachep->live),
		.live_namespaces = READ_ONCE(live_namespaces),
		.pending_callbacks = READ_ONCE(pending_callbacks),
	};
	for (level = 0; level <= SHIM_MAX_LEVEL; level++)
		stats->live_pids += READ_ONCE(pid_caches[level]->live);
}
