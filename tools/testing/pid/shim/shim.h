/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kernel/pid_alloc.c and kernel/set_tid.c for C++ tests: the kernel's headers
 * do not parse as C++, so here its objects are opaque. Functions return 0 or a
 * negative errno where the kernel does.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pid;
struct pid_namespace;
struct user_namespace;

enum {
	SHIM_MAX_LEVEL = 32,
	SHIM_RESERVED_PIDS = 300,
	SHIM_PID_MAX_DEFAULT = 32768,
	SHIM_PID_MAX_LIMIT = 4194304,
};

#define SHIM_PIDNS_ADDING (1U << 31)

/* A thread is a CPU. Each thread calls these first and last. */
void shim_thread_enter(void);
void shim_thread_exit(void);

/* User namespaces: the capabilities that the caller has there. */
enum shim_caps {
	SHIM_CAP_NONE = 0,
	SHIM_CAP_SYS_ADMIN = 1,
	SHIM_CAP_CHECKPOINT_RESTORE = 2,
};

struct user_namespace *shim_user_ns_create(unsigned int caps);
void shim_user_ns_destroy(struct user_namespace *ns);
void shim_user_ns_set_caps(struct user_namespace *ns, unsigned int caps);
/* How often a capability was asked for. */
unsigned long shim_user_ns_asked(const struct user_namespace *ns);

/*
 * PID namespaces. The root is static and has its init. A new one has none, and
 * one reference; shim_ns_create() returns NULL below the deepest level.
 */
struct pid_namespace *shim_root(void);
/* Empties the root: no PID in use, cursor 0, init there, its pid_max the default. */
void shim_root_reset(struct user_namespace *owner);
struct pid_namespace *shim_ns_create(struct pid_namespace *parent,
				     struct user_namespace *owner);
void shim_ns_put(struct pid_namespace *ns);
void shim_ns_set_owner(struct pid_namespace *ns, struct user_namespace *owner);
unsigned int shim_ns_refs(const struct pid_namespace *ns);
void shim_ns_set_reaper(struct pid_namespace *ns, bool there);
/* How often the init was woken. */
unsigned long shim_ns_woken(const struct pid_namespace *ns);
/* PIDs in use and, until PIDs are disabled, SHIM_PIDNS_ADDING. */
unsigned int shim_ns_allocated(const struct pid_namespace *ns);
/* The IDR cursor: ns_last_pid plus one. */
unsigned int shim_ns_cursor(const struct pid_namespace *ns);
void shim_ns_set_cursor(struct pid_namespace *ns, unsigned int cursor);
/*
 * Write kernel.pid_max. Has each namespace its own, which is SHIM_PID_MAX_LIMIT at
 * first? If not, a write changes that of all.
 */
bool shim_pid_max_per_ns(void);
int shim_ns_pid_max(const struct pid_namespace *ns);
void shim_ns_set_pid_max(struct pid_namespace *ns, int max);
/* Write ns_last_pid. */
void shim_set_last_pid(struct pid_namespace *ns, int nr);
/* kernel.pid_min, which is 1 at first. */
int shim_ns_pid_min(const struct pid_namespace *ns);
int shim_set_pid_min(struct pid_namespace *ns, int min);
/*
 * The numbers that the IDR holds, published or not, in order: how many, and
 * as many of them as @nrs has room for.
 */
size_t shim_ns_used(const struct pid_namespace *ns, int *nrs, size_t room);
/* Nodes in the IDR's tree. */
size_t shim_ns_nodes(const struct pid_namespace *ns);

/* The functions under test. */
int shim_alloc_pid(struct pid_namespace *ns, const pid_t *set_tid, size_t size,
		   struct pid **pid);
void shim_free_pid(struct pid *pid);
void shim_disable_pid_allocation(struct pid_namespace *ns);
bool shim_pid_may_attach(const struct pid *pid, const pid_t *set_tid, size_t size);
bool shim_set_tid_args_valid(uint64_t uptr, uint64_t size);
int shim_set_tid_copy_from_user(pid_t *set_tid, uint64_t uptr, size_t size);

/* As enum set_tid_reason. */
enum shim_reason {
	SHIM_TOO_MANY,
	SHIM_OUT_OF_RANGE,
	SHIM_NO_INIT_YET,
	SHIM_NO_CAPABILITY,
	SHIM_IN_USE,
	SHIM_LOST_INIT,
	SHIM_NONE_FREE,
	SHIM_NO_MEMORY,
};

/* Reports of refused requests of this thread; all but the count is of the last one. */
struct shim_refusal {
	unsigned long count;
	unsigned int level;
	int nr;
	enum shim_reason reason;
	int error;
};

void shim_get_refusal(struct shim_refusal *refusal);

/* With interrupts off, as whoever holds tasklist_lock for writing. */
void shim_free_pid_under_tasklist_lock(struct pid *pid);

/* As release_task() does, with what a task has left behind: any may be NULL. */
enum {
	SHIM_PID_TYPES = 4,
};

void shim_free_pids(struct pid *pids[SHIM_PID_TYPES]);

/* Take a lock as pidmap_lock might be taken, and drop it. */
void shim_lock_irqs_off(void);
void shim_lock_irqs_on(void);

/*
 * pidfs: can it refuse a struct pid, and does it refuse those of this thread? If so,
 * a namespace counts the PIDs for which it is active, those of which it is the
 * innermost.
 */
bool shim_pidfs_can_fail(void);
void shim_fail_pidfs(bool fail);
long shim_ns_active(const struct pid_namespace *ns);

/* Lookups, and what they find. */
void shim_read_lock(void);
void shim_read_unlock(void);
struct pid *shim_find_pid(int nr, struct pid_namespace *ns);
unsigned int shim_pid_level(const struct pid *pid);
int shim_pid_nr(const struct pid *pid, unsigned int level);
struct pid_namespace *shim_pid_ns(const struct pid *pid, unsigned int level);
uint64_t shim_pid_ino(const struct pid *pid);
unsigned int shim_pid_refs(const struct pid *pid);
void shim_get_pid(struct pid *pid);
void shim_put_pid(struct pid *pid);
/* Does every field that alloc_pid() has to set have its initial value? */
bool shim_pid_is_fresh(struct pid *pid);

/* User memory ends here for copy_from_user(); NULL for nowhere. */
void shim_set_user_end(const void *end);

/* Waits for a grace period, then runs the callbacks that this thread has queued. */
void shim_rcu_barrier(void);

/* Frees this thread's preloaded IDR nodes; returns how many there were. */
unsigned int shim_drop_preloaded(void);
/* How many nodes radix_tree_preload() allocates. */
unsigned int shim_usual_preload(void);

/*
 * Which of this thread's allocations fail. At first all atomic ones do and no
 * sleeping one does, so that the claim has to use preloaded nodes.
 */
enum shim_alloc {
	SHIM_ATOMIC,
	SHIM_SLEEPING,
};

/* The next @succeed ones succeed, all after them fail; -1: all succeed. */
void shim_set_alloc(enum shim_alloc kind, long succeed);
/* The @n-th allocation from now fails, of either kind; 1 is the next, 0 is none. */
void shim_fail_nth(unsigned long n);
/* Has the allocation that shim_fail_nth() wants to fail not been tried yet? */
bool shim_fail_pending(void);

/* What another task does on this CPU while a sleeping allocation waits; NULL: nothing. */
void shim_while_asleep(void (*other)(void *arg), void *arg);

/* Counted so far, in all threads unless it says otherwise. */
struct shim_stats {
	unsigned long locks;		/* spin locks taken, by this thread */
	unsigned long atomic;		/* allocations tried, by this thread */
	unsigned long sleeping;
	unsigned long warnings;		/* WARN_ON() */
	long live_pids;			/* objects that were not freed */
	long live_nodes;
	long live_namespaces;
	long live_in_pidfs;
	long pending_callbacks;
};

void shim_get_stats(struct shim_stats *stats);

/*
 * For bench/hold.cpp, with which callgrind counts only while a lock is held. Each
 * unlock writes a dump with this name; NULL: none.
 */
void shim_hold_name(const char *name);
/* Takes a lock and drops it, for what the counting costs. */
void shim_hold_nothing(void);

#ifdef __cplusplus
}
#endif

#endif /* SHIM_SHIM_H */
